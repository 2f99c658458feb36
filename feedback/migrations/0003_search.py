# ruff: noqa: S608, ISC004 - constants of this file
"""The database's own full-text index over messages; read by `feedback.search`."""

from typing import Any

from django.db import migrations

# The title and the author's handle are found with the message that they came with.
BODY = """
    {row}.text || ' ' ||
    COALESCE((SELECT title FROM feedback_item WHERE id = {row}.item_id), '') || ' ' ||
    COALESCE((SELECT handle || ' ' || name FROM feedback_person WHERE id = {row}.author_id), '')
"""

SQLITE = (
    "CREATE VIRTUAL TABLE feedback_search USING fts5(body)",
    f"""CREATE TRIGGER feedback_search_added AFTER INSERT ON feedback_message BEGIN
        INSERT INTO feedback_search(rowid, body) VALUES (NEW.id, {BODY.format(row="NEW")});
    END""",
    f"""CREATE TRIGGER feedback_search_changed AFTER UPDATE OF text ON feedback_message BEGIN
        UPDATE feedback_search SET body = {BODY.format(row="NEW")} WHERE rowid = NEW.id;
    END""",
    """CREATE TRIGGER feedback_search_removed AFTER DELETE ON feedback_message BEGIN
        DELETE FROM feedback_search WHERE rowid = OLD.id;
    END""",
)
SQLITE_UNDO = (
    "DROP TRIGGER feedback_search_added",
    "DROP TRIGGER feedback_search_changed",
    "DROP TRIGGER feedback_search_removed",
    "DROP TABLE feedback_search",
)
POSTGRESQL = (
    "CREATE INDEX feedback_message_words ON feedback_message"
    " USING gin (to_tsvector('simple', text))",
    "CREATE INDEX feedback_item_words ON feedback_item USING gin (to_tsvector('simple', title))",
)
POSTGRESQL_UNDO = ("DROP INDEX feedback_message_words", "DROP INDEX feedback_item_words")


def create(apps: Any, editor: Any) -> None:
    for statement in SQLITE if editor.connection.vendor == "sqlite" else POSTGRESQL:
        editor.execute(statement)


def drop(apps: Any, editor: Any) -> None:
    for statement in SQLITE_UNDO if editor.connection.vendor == "sqlite" else POSTGRESQL_UNDO:
        editor.execute(statement)


class Migration(migrations.Migration):
    dependencies = [("feedback", "0002_references")]
    operations = [migrations.RunPython(create, drop)]
