"""What people talk about in a period."""

from django.db.models import QuerySet

from feedback.models import Item
from feedback.vocabulary import Category
from triage.report.values import Talk
from triage.similar import unpacked
from triage.themes import Voice, themes

LOOKED_AT = 10_000  # newest items
LANGUAGE = "en"  # the embedding knows no other well: it would tell tongues apart, not themes


def talk(items: QuerySet[Item]) -> tuple[Talk, ...]:
    """The themes of these items; other talk than feedback is left out."""
    feedback = items.filter(language=LANGUAGE).exclude(category__in=["", Category.OTHER])
    rows = list(
        feedback.exclude(reading__embedding=None)
        .order_by("-pk")
        .values_list("pk", "title", "first_words", "sentiment", "reading__embedding")[:LOOKED_AT]
    )
    width = len(rows[0][-1] or b"") if rows else 0
    rows = [row for row in rows if row[-1] and len(row[-1]) == width]  # of the newest one's model
    if not rows:
        return ()
    voices = [Voice(pk, f"{title} {words}", mood) for pk, title, words, mood, _ in rows]
    embeddings = unpacked(b"".join(row[-1] or b"" for row in rows)).reshape(len(rows), -1)
    shown = {pk: words or title for pk, title, words, _, _ in rows}
    return tuple(
        Talk(
            name=theme.name,
            count=theme.count,
            negative=theme.negative,
            item=theme.items[0],
            text=shown[theme.items[0]],
        )
        for theme in themes(voices, embeddings)
        if theme.name
    )
