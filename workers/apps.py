"""The app that makes Celery known to every process, the web's too: it sends hints."""

from django.apps import AppConfig


class WorkersConfig(AppConfig):
    name = "workers"

    def ready(self) -> None:
        from workers.app import app

        app.set_default()
