"""Full-text search over what was said, in the database's own index, newest first."""

import re

from django.db import connection
from django.db.models import QuerySet

from feedback.models import Item, Message, Person

WORDS = 12  # of a query that are looked for
FOUND = 1_000  # newest messages that a search looks at
WORD = re.compile(r"\w+")


def search(items: QuerySet[Item], query: str) -> QuerySet[Item]:
    """The items in whose conversation every word of `query` stands, the last as a beginning.

    A query of one handle finds its author's items too.
    """
    words = WORD.findall(query.replace("\0", ""))[:WORDS]
    if not words:
        return items.none()
    found = _sqlite(words) if connection.vendor == "sqlite" else _postgresql(words)
    ids = set(Message.objects.filter(pk__in=found).values_list("item_id", flat=True))
    handle = query.strip().lstrip("@")
    for person in Person.objects.filter(handle__in=[handle, f"@{handle}"])[:WORDS]:
        ids |= set(person.items.order_by("-pk").values_list("pk", flat=True)[:FOUND])
    return items.filter(pk__in=list(ids - {None})[:FOUND])


def forget_deleted() -> None:
    """Rewrite the index without the words of deleted messages, which SQLite keeps until then."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO feedback_search(feedback_search) VALUES ('optimize')")


def _sqlite(words: list[str]) -> list[int]:
    match = " ".join(f'"{word}"' for word in words) + "*"
    return _ids(
        "SELECT rowid FROM feedback_search WHERE feedback_search MATCH %s"
        " ORDER BY rowid DESC LIMIT %s",
        [match, FOUND],
    )


def _postgresql(words: list[str]) -> list[int]:
    match = " & ".join(f"'{word}'" for word in words) + ":*"
    return _ids(
        "(SELECT id FROM feedback_message WHERE to_tsvector('simple', text)"
        " @@ to_tsquery('simple', %s) ORDER BY id DESC LIMIT %s) UNION"
        " (SELECT m.id FROM feedback_message m JOIN feedback_item i ON m.item_id = i.id"
        " WHERE to_tsvector('simple', i.title) @@ to_tsquery('simple', %s)"
        " ORDER BY m.id DESC LIMIT %s)",
        [match, FOUND, match, FOUND],
    )


def _ids(sql: str, values: list[str | int]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        return [row[0] for row in cursor.fetchall()]
