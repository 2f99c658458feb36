"""Hints to workers: "look at this stage now". A lost hint costs a sweep, never an item."""

import logging

from celery import current_app
from django.db import transaction

SECONDS = 30  # a hint that nobody took by then is stale: the scheduler sends the next

log = logging.getLogger(__name__)


def hint(stage: str, *ids: int) -> None:
    """Hint at `stage` once the transaction is committed.

    Stages: poll, triage, sweep, deliver, refresh, track, follow.
    """
    transaction.on_commit(lambda: send(stage, *ids), robust=True)


def send(stage: str, *ids: int) -> None:
    """Hint at `stage` now. A broker that is away is logged, never raised."""
    try:
        current_app.send_task(
            f"workers.tasks.{stage}", args=ids, expires=SECONDS, ignore_result=True, retry=False
        )
    except Exception as error:  # noqa: BLE001 - kombu raises what its transport raises
        log.warning("hint.lost", extra={"stage": stage, "error": str(error)[:200]})
