"""The site: the admin is the application."""

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from triage.admin import start
from triage.metrics import metrics
from triage.report_page import report_page
from triage.tracking import hooks


def healthz(_: HttpRequest) -> HttpResponse:
    """Whether the service answers and its database does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("", start.home, name="home"),
    path("start/watch", start.watch, name="watch"),
    path("start/sample", start.play_sample, name="play-sample"),
    path("start/sample/remove", start.remove_sample, name="remove-sample"),
    path("report/", report_page, name="report"),
    path("metrics", metrics, name="metrics"),
    path("hooks/github", hooks.receive, name="github-webhook"),
    path("healthz", healthz, name="healthz"),
    path("favicon.ico", RedirectView.as_view(url=static("triage/favicon.svg"))),
    path("", admin.site.urls),
]
