"""One decision at a time, over all workers: two of them never file the same bug."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

LOCK = 7_416_301  # a number of our own among PostgreSQL's advisory locks


@contextmanager
def turn() -> Iterator[None]:
    """A transaction in which nobody else decides. SQLite has one writer anyhow: BEGIN IMMEDIATE."""
    with transaction.atomic():
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        yield
