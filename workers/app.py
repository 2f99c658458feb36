"""The Celery app: Redis where REDIS_URL names one, else hints as files in the data folder."""

import os
from pathlib import Path
from typing import Any

import kombu.transport
from celery import Celery
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedback.settings")

# kombu refuses a dotted path in the URL, hence the alias.
kombu.transport.TRANSPORT_ALIASES["hints"] = "workers.hints:Transport"


def hints_folder() -> Path:
    """Where the embedded broker keeps its messages."""
    folder: Path = settings.DATA_DIR / "hints"
    return folder


def _embedded() -> dict[str, Any]:
    folder = hints_folder()
    for name in ("m", "p", "c"):
        (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "broker_url": "hints://localhost",
        "broker_transport_options": {
            "data_folder_in": str(folder / "m"),
            "data_folder_out": str(folder / "m"),
            "processed_folder": str(folder / "p"),
            "control_folder": str(folder / "c"),
            "store_processed": True,
            "polling_interval": 0.2,
        },
        "worker_prefetch_multiplier": 4,
        "worker_enable_remote_control": False,
    }


def _redis() -> dict[str, Any]:
    return {
        "broker_url": settings.REDIS_URL,
        "broker_transport_options": {
            "visibility_timeout": 300,
            "unacked_restore_interval": 5,
            "unacked_restore_throttle": 1,
            "global_keyprefix": "feedback:",
            "socket_keepalive": True,
            "socket_timeout": 30,
            "health_check_interval": 25,
        },
        "worker_prefetch_multiplier": 1,
        "task_reject_on_worker_lost": True,
    }


app = Celery("feedback-triage", include=["workers.tasks"])
app.conf.update(
    task_ignore_result=True,
    result_backend=None,
    task_acks_late=True,
    worker_send_task_events=False,
    task_send_sent_event=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_soft_shutdown_timeout=2,
    worker_max_memory_per_child=400_000,  # KiB; prefork only
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
    timezone="UTC",
    **(_redis() if settings.REDIS_URL else _embedded()),
)
