"""Thin tasks, one a stage: each looks in the database for what is due and works on it.

A stage that has more to do than it could in its few seconds hints at itself again.
"""

from feedback import hints, polling
from triage import clocks, outbox, pipeline
from workers.app import app


@app.task
def poll(source_id: int) -> None:
    """Poll one source, if it is still due."""
    polling.poll(source_id)


@app.task
def triage() -> None:
    """Read what came in."""
    if pipeline.triage_waiting():
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
