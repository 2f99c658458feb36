"""Mails are taken in at no less than half the pace at which Python's own parser reads them.

Taken in: parsed, cleaned, quotations cut, threaded, deduplicated, stored, the raw mail and its
files kept; without the classifier and without the network. Python's own parser: `email` with its
present policy, asked for the same headers, the text and the files.
"""

import gzip
import statistics
import time
from collections.abc import Callable
from email import message_from_bytes, policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from feedback import files
from feedback.channels.base import Batch
from feedback.channels.mail.parse import parse
from feedback.channels.mail.posts import Origin, Ours, post_of
from feedback.intake import take_in
from feedback.models import Message
from tests.make import make_source

pytestmark = pytest.mark.django_db(transaction=True)

AT_LEAST = 0.5
BATCH = 100
RUNS = 3
HEADERS = ("from", "to", "subject", "date", "message-id", "references", "in-reply-to")


def test_mails_are_taken_in_at_half_the_pace_of_pythons_parser(
    shared: Path, settings: Any, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    mails = recorded(shared)
    own, ours, bare = [], [], []
    ours_of_us(mails[:50], 0)  # what is imported late is there now
    for run in range(1, RUNS + 1):
        own.append(pace(lambda: list(map(pythons, mails)), len(mails)))
        ours.append(pace(lambda run=run: ours_of_us(mails, run), len(mails)))
        bare.append(pace(lambda: list(map(message_from_bytes, mails)), len(mails)))
    assert Message.objects.count() > RUNS * 500
    ratio = statistics.median(ours) / statistics.median(own)
    print(
        f"\n{len(mails)} mails: taken in {statistics.median(ours):.0f}/s, Python's own parser "
        f"{statistics.median(own):.0f}/s: ratio {ratio:.2f} (target: at least {AT_LEAST}); "
        f"split into parts alone, nothing decoded: {statistics.median(bare):.0f}/s"
    )
    assert ratio >= AT_LEAST


def recorded(shared: Path) -> list[bytes]:
    found = []
    for path in sorted((shared / "recordings" / "email").rglob("*")):
        if path.is_file() and path.name != "README.md" and "replies" not in path.parts:
            raw = path.read_bytes()
            found.append(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    return found


def pythons(raw: bytes) -> None:
    """What Python's own parser makes of a mail, as far as it can."""
    message = BytesParser(policy=policy.default).parsebytes(raw)
    try:
        for name in HEADERS:
            str(message[name] or "")
        body = message.get_body(("plain", "html"))
        body.get_content() if body else ""
        for part in message.iter_attachments():
            part.get_content()
    except Exception:
        return


def ours_of_us(mails: list[bytes], run: int) -> None:
    """The mails of one run: each differs from those of another, so none is a double."""
    source = make_source(f"mail {run}", channel="email", next_poll_at=timezone.now())
    ours = Ours(addresses=frozenset(["support@example.com"]), domain="example.com")
    for at in range(0, len(mails), BATCH):
        posts = []
        for number, raw in enumerate(mails[at : at + BATCH], at):
            mail = raw + b"\nRun %d.\n" % run
            kept = files.keep(mail, packed=True)
            origin = Origin(box="INBOX", uid=number)
            posts.append(post_of(parse(mail), kept, origin, ours))
        lease, source.next_poll_at = source.next_poll_at, timezone.now()
        batch = Batch(posts=tuple(posts), cursor={"next": at})
        take_in(source, batch, next_poll_at=source.next_poll_at, lease=lease)


def pace(work: Callable[[], Any], count: int) -> float:
    """A second's worth of mails."""
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)
