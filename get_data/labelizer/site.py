"""The web server: Django for one desk, on this machine's own address only."""

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
from get_data.labelizer.desk import Desk

_LARGEST_REQUEST = 64_000_000  # a shift of a hundred thousand labels needs a few


def listen(port: int) -> socket.socket:
    """A socket that listens on the port. Raises: InputError when it is taken or not allowed."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise InputError(f"port {port} cannot be used: {why}; name another with --port") from error


def create_server(desk: Desk, access: Access, listener: socket.socket) -> Any:
    """Return a server of this desk whose `run()` answers until Ctrl-C. Once a process.

    Signals wait meanwhile: Django's set-up turns an exception from a handler into one of its own.
    """
    with signals.defer_signals():
        settings.configure(**_settings(desk, access, listener.getsockname()[1]))
        application = get_wsgi_application()
    return connections.create_server(application, listener, access, largest_body=_LARGEST_REQUEST)


def _settings(desk: Desk, access: Access, port: int) -> dict[str, Any]:
    return {
        "LABELIZER": desk,
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
            "django.middleware.common.CommonMiddleware",  # a foreign host goes no further
            "whitenoise.middleware.WhiteNoiseMiddleware",  # scripts and styles are no secret
            "get_data.labelizer.middleware.OwnerOnly",  # all below it is
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
        "WHITENOISE_MAX_AGE": 0,  # asked again each time, so that an update shows
        "CSRF_COOKIE_NAME": f"labelizer-{port}",  # browsers share cookies between ports
        "CSRF_COOKIE_HTTPONLY": True,
        "CSRF_COOKIE_SAMESITE": "Strict",
        "SECURE_REFERRER_POLICY": "no-referrer",  # the printed address tells the secret
        "DATA_UPLOAD_MAX_MEMORY_SIZE": _LARGEST_REQUEST,
        "LOGGING": {
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
        },
        "USE_TZ": True,
    }
