"""Web server: Django under waitress, on this machine's loopback address only."""

import os
import secrets
import socket
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from common import signals
from common.errors import InputError
from get_data.labelizer import connections
from get_data.labelizer.access import HOST, Access
from get_data.labelizer.workspace import Workspace

_MAX_REQUEST_BYTES = 64_000_000  # moving a hundred thousand labels takes a few million
_LOGGING = {  # tracebacks of bugs only, on stderr
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "bugs": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: record.exc_info is not None,
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "filters": ["bugs"]}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        "django.security": {"handlers": [], "level": "CRITICAL", "propagate": False},
        "waitress.queue": {"handlers": [], "level": "CRITICAL", "propagate": False},
    },
}


def listen(port: int) -> socket.socket:
    """Return a socket that listens on the port.

    Raises:
        InputError: the port is in use or not permitted.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(
            f"port {port} cannot be used: {reason}; choose another with --port"
        ) from error


def create_server(workspace: Workspace, access: Access, listener: socket.socket) -> Any:
    """Create the server, whose `run()` returns at Ctrl-C. Call it once in a process.

    Signals are deferred meanwhile: Django turns an exception from a signal handler, raised during
    its setup, into another exception.
    """
    with signals.defer_signals():
        settings.configure(**_settings(workspace, access, listener.getsockname()[1]))
        application = get_wsgi_application()
    return connections.create_server(
        application, listener, access, max_body_bytes=_MAX_REQUEST_BYTES
    )


def _settings(workspace: Workspace, access: Access, port: int) -> dict[str, Any]:
    """Return the Django settings."""
    return {
        "LABELIZER": workspace,
        "LABELIZER_ACCESS": access,
        "DEBUG": False,
        "SECRET_KEY": secrets.token_urlsafe(50),  # signs nothing that outlives the process
        "ALLOWED_HOSTS": [HOST, "localhost", "[::1]"],
        "ROOT_URLCONF": "get_data.labelizer.urls",
        "INSTALLED_APPS": ["django.contrib.staticfiles", "get_data.labelizer"],
        "MIDDLEWARE": [
            "get_data.labelizer.middleware.SecurityHeaders",
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "django.middleware.common.CommonMiddleware",  # refuses foreign Host headers
            "whitenoise.middleware.WhiteNoiseMiddleware",  # scripts and styles need no token
            "get_data.labelizer.middleware.OwnerOnly",  # everything below needs it
            "django.middleware.csrf.CsrfViewMiddleware",
            "get_data.labelizer.middleware.Failures",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.csrf"]},
            }
        ],
        "STATIC_URL": "/static/",
        "WHITENOISE_USE_FINDERS": True,
        "WHITENOISE_MAX_AGE": 0,  # revalidated each time, so that an update is seen
        "CSRF_COOKIE_NAME": f"labelizer-{port}",  # browsers share cookies between ports
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
        "SECURE_REFERRER_POLICY": "no-referrer",  # the printed address contains the token
        "DATA_UPLOAD_MAX_MEMORY_SIZE": _MAX_REQUEST_BYTES,
        "LOGGING": _LOGGING,
        "USE_TZ": True,
    }
