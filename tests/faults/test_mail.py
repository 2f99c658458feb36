"""Mailboxes and mail servers that fail in every way: nothing is lost, nothing is doubled."""

import random
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from feedback.channels.base import SourceStopped, TryLater
from feedback.channels.mail import Email, imap
from feedback.models import Item, Message, RejectedPost, Source
from tests import mail_server
from tests.mail_server import Dovecot, make_mail
from tests.mailbox import poll, settle
from tests.proxy import Line
from triage import automatic, outbox, replies
from triage.models import Delivery, OutboxEntry, Trouble

pytestmark = pytest.mark.django_db(transaction=True)

CUTS = 25


@pytest.fixture
def line(dovecot: Dovecot) -> Iterator[Line]:
    with Line(dovecot.port) as running:
        yield running


def test_a_connection_cut_at_random_points_loses_nothing_and_doubles_nothing(
    mailbox: Source, dovecot: Dovecot, line: Line
) -> None:
    texts = [f"Number {n}: {'x' * (n * 500 + 1)}" for n in range(60)]
    for text in texts:
        dovecot.append(make_mail(text))
    Source.objects.update(config=dovecot.config(port=line.port))
    rng = random.Random(4)
    for _ in range(CUTS):
        line.cut_after = int(10 ** rng.uniform(1, 6))
        poll(mailbox)
    line.cut_after = None
    poll(mailbox)
    assert poll(mailbox).taken.new == 0
    assert sorted(Message.objects.values_list("text", flat=True)) == sorted(texts)
    assert Item.objects.count() == len(texts)
    assert RejectedPost.objects.count() == 0


def test_a_big_mail_whose_connection_is_cut_is_read_at_the_next_poll(
    mailbox: Source, dovecot: Dovecot, line: Line
) -> None:
    dovecot.append(make_mail("Before."))
    dovecot.append(make_mail("y" * 3_000_000, subject="Big"))
    Source.objects.update(config=dovecot.config(port=line.port))
    line.cut_after = 1_500_000
    poll(mailbox)
    poll(mailbox)
    line.cut_after = None
    assert poll(mailbox).error == ""
    assert sorted(Item.objects.values_list("title", flat=True)) == ["Big", "Trouble"]
    assert not list(mail_files("*.tmp"))


def mail_files(pattern: str) -> Iterator[Any]:
    from django.conf import settings

    yield from (settings.DATA_DIR / "files").rglob(pattern)


@pytest.mark.parametrize("after", [0, 10, 700])
def test_a_server_that_hangs_is_given_up_and_its_cursor_stays(
    mailbox: Source, dovecot: Dovecot, line: Line, monkeypatch: Any, after: int
) -> None:
    dovecot.append(make_mail("There."))
    monkeypatch.setattr(imap, "TIMEOUT_SECONDS", 1)
    Source.objects.update(config=dovecot.config(port=line.port))
    line.cut_after, line.hangs = after, True
    begin = time.monotonic()
    polled = poll(mailbox)
    assert time.monotonic() - begin < 5
    assert "does not answer" in polled.error
    assert mailbox.failures == 1
    assert not mailbox.is_stopped
    line.cut_after = None
    assert poll(mailbox).taken.new == 1


def test_a_whole_poll_has_a_deadline_however_slowly_it_goes(dovecot: Dovecot, line: Line) -> None:
    session = imap.Session(Email(dovecot.config(port=line.port))._config.login(), 1)
    time.sleep(1.3)
    with pytest.raises(TryLater):
        session.select("INBOX")
    session.close()


def test_a_refused_login_stops_the_source_with_one_clear_message(
    mailbox: Source, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SUPPORT_PASSWORD", "wrong")
    error = poll(mailbox).error
    assert mailbox.is_stopped
    assert "refuses the login of support@genericcorp.com" in error
    assert "SUPPORT_PASSWORD" in error
    assert "wrong" not in error.replace("was wrong", "")


def test_tls_is_checked(dovecot: Dovecot, monkeypatch: Any) -> None:
    by_tls = dovecot.config(port=dovecot.tls_port, tls=True)
    with pytest.raises(TryLater, match="certificate that cannot be trusted"):
        Email(by_tls).poll({})
    with pytest.raises(TryLater, match="does not speak TLS"):
        Email(dovecot.config(tls=True)).poll({})
    monkeypatch.setenv("SSL_CERT_FILE", str(dovecot.folder / "cert.pem"))
    assert Email(by_tls).poll({}).posts == ()
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    with pytest.raises(SourceStopped, match="on this machine alone"):
        Email(dovecot.config(host="imap.example.org"))


def test_one_odd_mail_among_a_thousand_is_set_aside_shown_and_taken_in_after_a_mend(
    mailbox: Source, dovecot: Dovecot, monkeypatch: Any
) -> None:
    odd = b"From: ann@example.org\nSubject: Odd\n" + b"".join(
        b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(2_000)
    )
    mails = [make_mail(f"Number {n}") for n in range(1_000)]
    dovecot.deliver(*mails[:500], odd, *mails[500:])
    polled = poll(mailbox)
    assert (polled.taken.new, polled.error) == (1_000, "")
    row = RejectedPost.objects.get()
    assert row.error == "Its parts are nested too deep to be read."
    assert row.raw["begins"].startswith("From: ann@example.org")
    assert poll(mailbox).taken.new == 0


def bounce(number: int, of: str = "") -> bytes:
    headers = {"from": "MAILER-DAEMON@mx.example.org", "subject": "Undelivered Mail"}
    return make_mail(f"Not delivered ({number}).\n\nMessage-ID: {of}\n", **headers)


def test_a_storm_of_bounces_of_our_own_notices_makes_no_item_and_no_answer(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    notice = "<feedback.0123456789abcdef0123@genericcorp.com>"
    dovecot.deliver(*(bounce(number, notice) for number in range(300)))
    poll(mailbox)
    settle()
    assert Item.objects.count() == 0
    assert Message.objects.filter(automatic="bounce").count() == 300
    assert smtp.taken == []


def test_a_loop_with_a_robot_that_hides_ends_after_ten_mails_with_one_alert(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    """The robot answers all that we send, from a person's address, without any sign."""
    dovecot.append(make_mail("Hello.", **{"from": "robot@example.net"}))
    staff = User.objects.create_user("eve")
    for round_ in range(25):
        poll(mailbox)
        item = Item.objects.get()
        seen = Message.objects.filter(ours=True).order_by("-pk").values_list("pk", flat=True)
        entry = replies.send(
            item, f"Received ({round_}).", staff, token=str(round_), seen=seen.first() or 0
        )
        OutboxEntry.objects.filter(pk=entry.pk).update(payload={"automatic": True})
        outbox.deliver_waiting()
        entry.refresh_from_db()
        if entry.state != Delivery.SENT:
            continue
        dovecot.append(
            make_mail("Thanks!", in_reply_to=entry.message.external_id,
                      **{"from": "robot@example.net"})
        )  # fmt: skip
    assert len(smtp.taken) == automatic.A_DAY
    assert OutboxEntry.objects.filter(state=Delivery.HELD).count() == 15
    assert b"Auto-Submitted: auto-replied" in smtp.taken[0].content
    assert Trouble.objects.filter(key=automatic.TROUBLE).count() == 1


def test_the_hourly_breaker_holds_over_all_recipients(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post, monkeypatch: Any
) -> None:
    monkeypatch.setattr(automatic, "AN_HOUR", 5)
    for number in range(8):
        dovecot.append(make_mail(f"From {number}", **{"from": f"p{number}@example.net"}))
    poll(mailbox)
    staff = User.objects.create_user("eve")
    for item in Item.objects.all():
        entry = replies.send(item, "Received.", staff, token="t")
        OutboxEntry.objects.filter(pk=entry.pk).update(payload={"automatic": True})
    outbox.deliver_waiting()
    assert len(smtp.taken) == 5
    assert OutboxEntry.objects.filter(state=Delivery.HELD).count() == 3
    assert Trouble.objects.count() == 1


def test_a_robot_of_a_no_reply_address_gets_no_answer_and_makes_no_item(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    for number in range(5):
        dovecot.append(make_mail(f"Ticket {number}", **{"from": "noreply@shop.example"}))
    poll(mailbox)
    settle()
    assert (Item.objects.count(), smtp.taken) == (0, [])
    assert Message.objects.filter(automatic="reply").count() == 5


def test_a_mailbox_that_is_gone_for_a_while_is_read_whole_when_it_is_back(
    mailbox: Source, dovecot: Dovecot
) -> None:
    dovecot.append(make_mail("Before."))
    poll(mailbox)
    for number in range(20):
        dovecot.append(make_mail(f"Meanwhile {number}"))
    Source.objects.update(config=dovecot.config(port=mail_server.free_port()))
    for _ in range(4):
        assert "was lost" in poll(mailbox).error
    assert mailbox.failures == 4
    assert mailbox.next_poll_at > timezone.now()
    Source.objects.update(config=dovecot.config())
    assert poll(mailbox).taken.new == 20
