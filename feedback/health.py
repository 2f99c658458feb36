"""How a source does: what its service says when asked, and what its polls came to."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from feedback.channels import make_channel
from feedback.channels.base import ChannelError, Health
from feedback.intake import team_of
from feedback.models import Source

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One check before a launch, in a line for a person; `about` is what kind of thing it is."""

    check: str
    ok: bool
    message: str
    about: str = ""


def check(source: Source) -> Health:
    """Ask the source's service whether it can work; whatever goes wrong is told in one line."""
    try:
        return make_channel(source.channel, source.config, team_of(source)).check()
    except ChannelError as error:
        return Health(ok=False, message=str(error))
    except Exception as error:  # a defect of ours is a failed check, not a lost page
        log.exception("check.failed", extra={"source": source.name})
        return Health(ok=False, message=f"Unexpected {type(error).__name__}: {error}")


def lag(source: Source, now: datetime) -> timedelta | None:
    """By how much a source's poll is late, None if it is not."""
    if not source.enabled or source.is_stopped or source.next_poll_at is None:
        return None
    late = now - source.next_poll_at
    return late if late > timedelta(0) else None
