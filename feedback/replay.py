"""Taking posts in again that were set aside, after a mend."""

from django.db.models import QuerySet
from django.utils import timezone

from feedback.channels import make_channel
from feedback.channels.base import ChannelError, Post
from feedback.intake import Taken, add_posts, team_of
from feedback.models import RejectedPost, Source

BATCH = 200


def replay(source: Source, chosen: QuerySet[RejectedPost]) -> tuple[Taken, int]:
    """Parse those of the chosen posts that are a source's again.

    Returns what was taken in and how many still fail.
    """
    waiting = chosen.filter(source=source, resolved_at=None)
    try:
        channel = make_channel(source.channel, source.config, team_of(source))
    except ChannelError:
        return Taken(), waiting.count()
    taken, still, last = Taken(), 0, 0
    while rows := list(waiting.filter(pk__gt=last).order_by("pk")[:BATCH]):
        last = rows[-1].pk
        posts: list[Post] = []
        done: list[int] = []
        for row in rows:
            try:
                posts.append(channel.parse(row.raw))
                done.append(row.pk)
            except Exception as error:  # noqa: BLE001 - the parser's word on content is what staff must see
                still += 1
                RejectedPost.objects.filter(pk=row.pk).update(error=str(error)[:2000])
        taken += add_posts(source, posts)
        RejectedPost.objects.filter(pk__in=done).update(resolved_at=timezone.now())
    return taken, still
