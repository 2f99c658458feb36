"""Thin tasks, one a stage: each looks in the database for what is due and works on it.

A stage that has more to do than it could in its few seconds hints at itself again.
"""

import threading
from contextlib import suppress

from feedback import hints, polling, refreshing
from triage import alerts, clocks, outbox, pipeline, troubles
from triage.classifier import ModelError, get_reader
from triage.tracking import deciding, sync
from workers.app import app

LOADING = threading.Lock()  # two threads at once would load the model twice, or half


@app.task
def poll(source_id: int) -> None:
    """Poll one source, if it is still due; what people must mend, they are told."""
    polling.poll(source_id)
    alerts.tell()


@app.task
def triage() -> None:
    """Read what came in; without its model it waits, and staff are told."""
    try:
        with LOADING, suppress(ModelError):  # which matters only if there is something to read
            get_reader()
        has_more = pipeline.triage_waiting()
        if troubles.lasts("classifier"):
            get_reader()  # there may have been nothing to read
    except ModelError as error:
        troubles.begin("classifier", f"New items are not read: {error}")
        alerts.tell()
        return
    troubles.end("classifier")
    if has_more:
        hints.send("triage")


@app.task
def sweep() -> None:
    """Mark the warnings and breaches that have come."""
    if clocks.sweep():
        hints.send("sweep")


@app.task
def deliver() -> None:
    """Send what is due."""
    if outbox.deliver_waiting():
        hints.send("deliver")


@app.task
def refresh() -> None:
    """Look again at posts that may have been edited or deleted."""
    if refreshing.refresh_due():
        hints.send("refresh")


@app.task
def track() -> None:
    """Join what waits to its tracked issues, or file it."""
    if deciding.track_waiting():
        hints.send("track")


@app.task
def follow() -> None:
    """Look how the tracked issues do on GitHub."""
    has_more = sync.follow_due()
    alerts.tell()
    if has_more:
        hints.send("follow")
