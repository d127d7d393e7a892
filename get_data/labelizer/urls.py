"""URLs and their views."""

from django.urls import path
from django.views.decorators.http import require_GET, require_POST

from get_data.labelizer import views

urlpatterns = [
    path("", require_GET(views.page)),
    path("api/entries", require_GET(views.entries)),
    path("api/state", require_GET(views.state)),
    path("api/comparison", require_GET(views.comparison)),
    path("api/findings", require_GET(views.findings)),
    path("api/model", require_GET(views.model)),
    path("api/document/<int:position>", require_GET(views.document)),
    path("api/lease", require_POST(views.lease)),
    path("api/heartbeat", require_POST(views.heartbeat)),
    path("api/edits", require_POST(views.edits)),
    path("api/export", require_POST(views.export)),
    path("api/reopen", require_POST(views.reopen)),
    path("pic/<int:position>", require_GET(views.picture)),
    path("sheet/<int:number>", require_GET(views.sheet)),
    path("export/<str:name>", require_GET(views.exported_file)),
]
