"""The email channel against a real Dovecot and a real SMTP server on loopback."""

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback import files
from feedback.channels.base import Unreadable
from feedback.channels.mail import Email
from feedback.channels.mail.parse import parse
from feedback.channels.mail.posts import Origin, kept_raw
from feedback.intake import add_posts
from feedback.models import Item, Message, RejectedPost, Source
from feedback.replay import replay
from tests import mail_server
from tests.mail_server import USER, Dovecot, make_mail
from tests.mailbox import poll, read, settle
from triage import outbox, replies
from triage.models import Delivery, OutboxEntry

pytestmark = pytest.mark.django_db(transaction=True)


def channel(dovecot: Dovecot, **values: Any) -> Email:
    return Email(dovecot.config(**values), team=frozenset([USER]))


def test_seen_or_unseen_every_mail_is_read_once(dovecot: Dovecot) -> None:
    for number in range(5):
        dovecot.append(make_mail(f"Number {number}"), flags="\\Seen" if number % 2 else "")
    posts, batch = read(channel(dovecot))
    assert sorted(post.text for post in posts) == [f"Number {n}" for n in range(5)]
    assert read(channel(dovecot), batch.cursor)[0] == []
    with dovecot.client() as client:  # nothing of it was changed
        client.select("INBOX", readonly=True)
        assert len(client.search(None, "UNSEEN")[1][0].split()) == 3


def test_a_reply_goes_out_and_its_answer_joins_the_item(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    dovecot.deliver(make_mail(message_id="<one@example.org>", references="<zero@example.org>"))
    assert poll(mailbox).taken.new == 1
    item = Item.objects.get()
    assert (item.title, item.author.handle) == ("Trouble", "ann@example.org")
    entry = replies.send(item, "We look into it.", User.objects.create_user("eve"), token="t")
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.SENT, entry.error
    sent = smtp.taken[0]
    assert sent.recipients == ["ann@example.org", USER]
    ours = Message.objects.get(ours=True)
    assert f"Message-ID: {ours.external_id}".encode() in sent.content
    assert b"References: <zero@example.org> <one@example.org>\r\n" in sent.content
    answer = make_mail("Thanks!", in_reply_to=ours.external_id, subject="Whatever")
    dovecot.deliver(answer)
    poll(mailbox)
    assert Item.objects.count() == 1
    said = [message.text for message in item.messages.order_by("pk")]
    assert said == ["It does not load.", "We look into it.", "Thanks!"]


def recordings(shared: Path) -> dict[str, bytes]:
    """Every recorded mail, by its name."""
    found = {}
    folder = shared / "recordings" / "email"
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "README.md" and "replies" not in path.parts:
            raw = path.read_bytes()
            name = str(path.relative_to(folder))
            found[name] = gzip.decompress(raw) if path.suffix == ".gz" else raw
    return found


def has_body(raw: bytes) -> bool:
    return b"\n\n" in raw.replace(b"\r\n", b"\n").lstrip()


AUTOMATIC = "dsn mdn auto-submitted list-mail null-return-path from-daemon precedence-bulk".split()
NOT_AUTOMATIC = (  # they stand among bounces and are none
    "flufl.bounce/groupwise_03.txt",  # a person forwards a booking
    "bounceparser/spam-with-image.msg",
)


def noted(shared: Path) -> dict[str, list[str]]:
    """The words of the recordings' own table on each mail."""
    readme = (shared / "recordings" / "email" / "README.md").read_text(encoding="utf-8")
    rows = [line.strip("|").split("|") for line in readme.splitlines() if line.startswith("| ")]
    return {row[0].strip(): row[2].split() for row in rows if len(row) > 2}


def test_every_recorded_mail_is_kept_and_none_stops_the_mailbox(
    shared: Path, mailbox: Source, dovecot: Dovecot
) -> None:
    mails = recordings(shared)
    dovecot.deliver(*mails.values())
    polled = poll(mailbox)
    assert polled.error == ""
    cursor = mailbox.cursor["mailboxes"]["INBOX"]
    assert cursor["next"] > len(mails)
    parsed = {name: parse(raw) for name, raw in mails.items()}
    says = {n: m for n, m in parsed.items() if m.own or m.subject or m.attached}
    found = set(Message.objects.values_list("raw__fingerprint", flat=True))
    assert len(says) > 550
    # Dovecot writes NUL another way, and what has no empty line is no mail to it.
    as_it_was = {n for n, raw in mails.items() if b"\0" not in raw and has_body(raw)}
    assert len(found) > 540
    assert [
        name for name, mail in says.items() if mail.fingerprint not in found and name in as_it_was
    ] == []
    assert RejectedPost.objects.count() == len(parsed.keys() - says)
    assert all(row.error for row in RejectedPost.objects.all())
    before = Message.objects.count(), Item.objects.count(), RejectedPost.objects.count()
    again = poll(mailbox)
    assert again.taken.new == 0
    Source.objects.update(cursor={"mailboxes": {"INBOX": {**cursor, "validity": 1}}})
    assert poll(mailbox).taken.new == 0  # numbered anew, read anew
    assert (Message.objects.count(), Item.objects.count(), RejectedPost.objects.count()) == before


def test_automatic_mail_of_the_recordings_is_no_item(shared: Path) -> None:
    notes = noted(shared)
    missed = []
    for name, raw in recordings(shared).items():
        words = notes.get(name, [])
        is_bounce = name.startswith(("sisimai/", "flufl.bounce/", "bounceparser/"))
        if not is_bounce and not set(words) & set(AUTOMATIC):
            continue
        if name not in NOT_AUTOMATIC and not parse(raw).automatic:
            missed.append(name)
    assert missed == []


def test_a_mailbox_unread_for_three_days_is_read_whole_and_numbered_anew_without_doubles(
    mailbox: Source, dovecot: Dovecot
) -> None:
    dovecot.append(make_mail("First"))
    poll(mailbox)
    now = datetime.now(UTC)
    for hours in range(72):  # nobody polled
        dovecot.append(make_mail(f"Hour {hours}"), at=now - timedelta(hours=hours), flags="\\Seen")
    assert poll(mailbox).taken.new == 72
    with dovecot.client() as client:  # deleted and made anew: another UIDVALIDITY
        client.create("Kept")
        client.select("INBOX")
        client.copy("1:*", "Kept")
    config = dovecot.config(mailbox="Kept")
    state = {**mailbox.cursor["mailboxes"]["INBOX"], "validity": 12345}
    Source.objects.update(config=config, cursor={"mailboxes": {"Kept": state}})
    assert poll(mailbox).taken.new == 0
    assert Message.objects.count() == 73
    with dovecot.client() as client:
        client.delete("Kept")


def test_the_first_start_reads_back_as_far_as_it_was_told(dovecot: Dovecot) -> None:
    now = datetime.now(UTC)
    for days in (9, 3, 1, 0):
        dovecot.append(make_mail(f"{days} days"), at=now - timedelta(days=days))
    posts, batch = read(channel(dovecot, backfill=f"{2 * 86_400}s"))
    assert [post.text for post in posts] == ["1 days", "0 days"]
    # What a person moves into the mailbox later is new, however old it is.
    dovecot.append(make_mail("moved"), at=now - timedelta(days=300))
    assert [post.text for post in read(channel(dovecot), batch.cursor)[0]] == ["moved"]


def test_a_reused_id_is_another_mail_and_the_same_mail_in_two_mailboxes_is_one(
    mailbox: Source, dovecot: Dovecot
) -> None:
    for text in ("One thing.", "Another thing.", "A third."):
        dovecot.append(make_mail(text, message_id="<same@printer>"))
    for text in ("No id.", "No id either."):
        dovecot.append(make_mail(text, message_id=None))
    with dovecot.client() as client:
        client.create("Two")
        client.select("INBOX")
        client.copy("1:*", "Two")
    Source.objects.update(config=dovecot.config(mailbox=["INBOX", "Two"]))
    mailbox.refresh_from_db()
    assert poll(mailbox).taken.read == 10
    assert sorted(Message.objects.values_list("text", flat=True)) == [
        "A third.", "Another thing.", "No id either.", "No id.", "One thing."
    ]  # fmt: skip
    with dovecot.client() as client:
        client.delete("Two")


def test_an_answer_is_threaded_by_any_sign_but_never_by_its_subject(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    dovecot.append(make_mail("It breaks.", message_id="<one@example.org>"))
    poll(mailbox)
    item = Item.objects.get()
    replies.send(item, "Which version?", User.objects.create_user("eve"), token="t")
    outbox.deliver_waiting()
    ours = Message.objects.get(ours=True).external_id or ""
    mark = ours.removeprefix("<feedback.").partition("@")[0]
    quoted = f"2.1\n\nOn Thursday support wrote:\n> Which version?\n> [ref:{mark}]\n"
    answers = [
        make_mail("By In-Reply-To.", in_reply_to=ours),
        make_mail("By References.", references=f"<one@example.org> {ours} <x@y>"),
        make_mail("By another's address.", in_reply_to=ours, **{"from": "bob@example.net"}),
        make_mail("By our address.", to=f"support+f.{mark}@genericcorp.com"),
        make_mail(quoted),
    ]
    for mail in answers:
        dovecot.append(mail)
    dovecot.append(make_mail("A stranger's.", subject="Re: Trouble", **{"from": "eve@example.net"}))
    poll(mailbox)
    assert item.messages.filter(ours=False).count() == 1 + len(answers)
    assert "2.1" in item.messages.values_list("text", flat=True)
    assert Item.objects.exclude(pk=item.pk).get().author.handle == "eve@example.net"


def test_what_somebody_sent_from_a_mail_program_is_our_reply_and_stops_the_clocks(
    mailbox: Source, dovecot: Dovecot
) -> None:
    dovecot.append(make_mail("How much is it?", message_id="<one@example.org>"))
    poll(mailbox)
    settle()
    item = Item.objects.get()
    assert item.clocks.filter(met_at=None).exists()
    answer = {"from": "Eve <eve@genericcorp.com>", "to": "ann@example.org"}
    dovecot.append(make_mail("Ten.", in_reply_to="<one@example.org>", **answer), "Sent")
    dovecot.append(make_mail("To somebody else.", **answer), "Sent")
    poll(mailbox)
    settle()
    reply = item.messages.get(ours=True)
    assert (reply.kind, reply.text) == ("reply", "Ten.")
    assert not item.clocks.filter(kind__in=["respond", "acknowledge"], met_at=None).exists()
    assert not Message.objects.filter(text__startswith="To somebody").exists()


def test_a_forwarded_mail_of_a_colleague_is_an_item_and_a_forged_one_too(
    mailbox: Source, dovecot: Dovecot
) -> None:
    dovecot.append(make_mail("Look at this.", **{"from": USER}))
    poll(mailbox)
    assert Item.objects.get().author.handle == USER


def test_a_bounce_of_our_reply_is_shown_at_it_and_the_item_waits_for_us_again(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post, admin_client: Client
) -> None:
    dovecot.append(make_mail("It breaks."))
    poll(mailbox)
    settle()
    item = Item.objects.get()
    replies.send(item, "Which version?", User.objects.create_user("eve"), token="t")
    settle()
    item.refresh_from_db()
    assert item.state == "waiting"
    dovecot.append(bounce_of(smtp.taken[0].content))
    poll(mailbox)
    settle()
    item.refresh_from_db()
    assert (item.state, Item.objects.count()) == ("open", 1)
    page = admin_client.get(reverse("admin:feedback_item_change", args=[item.pk]))
    assert "5.1.1 No such user" in page.content.decode()
    listed = admin_client.get(reverse("admin:feedback_automaticmail_changelist"))
    assert "Undelivered" in listed.content.decode()


def bounce_of(sent: bytes) -> bytes:
    """What a mail server says of a mail that it cannot deliver."""
    return b"""From: MAILER-DAEMON@mx.example.org
To: support@genericcorp.com
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <%d@mx.example.org>
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I'm sorry to have to inform you that your message could not be delivered.
--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; ann@example.org
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user

--b
Content-Type: message/rfc822

%s
--b--
""" % (time.monotonic_ns(), sent)


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        ("550 5.1.1 No such user", Delivery.REFUSED, "ask the author another way"),
        ("450 4.2.0 Come later", Delivery.PENDING, "asks for patience"),
    ],
)
def test_a_refused_recipient_is_told_at_the_reply(
    mailbox: Source,
    dovecot: Dovecot,
    smtp: mail_server.Post,
    answer: str,
    state: str,
    said: str,
) -> None:
    entry = waiting_reply(mailbox, dovecot)
    smtp.refuse = {"ann@example.org": answer}
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert (entry.state, smtp.taken) == (state, [])
    assert said in entry.error


def waiting_reply(mailbox: Source, dovecot: Dovecot, **headers: str) -> OutboxEntry:
    """A reply that is to be sent."""
    dovecot.append(make_mail("It breaks.", **headers))
    poll(mailbox)
    staff, _ = User.objects.get_or_create(username="eve")
    return replies.send(Item.objects.latest("pk"), "Which version?", staff, token="t")


def test_a_loss_after_the_mail_was_handed_over_is_found_by_its_id_and_not_sent_twice(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    entry = waiting_reply(mailbox, dovecot)

    def takes_and_loses(server: Any, taken: mail_server.Taken) -> str:
        smtp.take(taken)
        return loses(server, taken)

    smtp.fault = takes_and_loses
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.UNSURE
    smtp.fault = None
    again(entry)
    assert (entry.state, len(smtp.taken)) == (Delivery.SENT, 1)
    poll(mailbox)  # our own copy is no message
    assert Message.objects.filter(ours=True).count() == 1


def test_where_nobody_knows_a_person_is_asked_and_nothing_is_sent_again(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    entry = waiting_reply(mailbox, dovecot)
    smtp.fault = loses
    outbox.deliver_waiting()
    smtp.fault = None
    again(entry)
    assert (entry.state, entry.next_attempt_at is None) == (Delivery.UNSURE, False)
    OutboxEntry.objects.update(created_at=timezone.now() - timedelta(hours=1))
    again(entry)
    assert (entry.state, entry.next_attempt_at, smtp.taken) == (Delivery.UNSURE, None, [])
    assert "Look into the folder of sent mail" in entry.error


def test_while_the_mailbox_is_away_an_unsure_reply_stays_unsure(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    entry = waiting_reply(mailbox, dovecot)
    smtp.fault = loses
    outbox.deliver_waiting()
    smtp.fault = None
    Source.objects.update(config={**mailbox.config, "port": mail_server.free_port()})
    again(entry)
    again(entry)
    assert (entry.state, smtp.taken) == (Delivery.UNSURE, [])


def loses(server: Any, taken: mail_server.Taken) -> str:
    """A fault: the connection ends before the server says what came of the mail."""
    server.transport.close()
    return "451 nobody hears this"


def again(entry: OutboxEntry) -> None:
    OutboxEntry.objects.filter(pk=entry.pk).update(next_attempt_at=timezone.now())
    outbox.deliver_waiting()
    entry.refresh_from_db()


def test_without_an_outgoing_server_a_person_answers_from_a_mail_program(
    mailbox: Source, dovecot: Dovecot, settings: Any
) -> None:
    settings.EMAIL_URL = ""
    entry = waiting_reply(mailbox, dovecot)
    outbox.deliver_waiting()
    entry.refresh_from_db()
    assert entry.state == Delivery.BY_HAND
    assert "EMAIL_URL" in entry.error
    answer = {"from": USER, "to": "ann@example.org"}
    parent = Message.objects.get(ours=False).external_id
    dovecot.append(make_mail("Which version?", in_reply_to=parent, **answer), "Sent")
    poll(mailbox)
    settle()
    entry.refresh_from_db()
    assert entry.state == Delivery.SENT
    assert Message.objects.filter(ours=True).count() == 1


def test_the_check_says_what_is_missing(dovecot: Dovecot, smtp: mail_server.Post) -> None:
    assert channel(dovecot).check().message == "Reads INBOX, Sent. Replies go out."
    assert (
        "SUPPORT_PASSWORDS is not set"
        in channel(dovecot, password_env="SUPPORT_PASSWORDS").check().message
    )
    wrong = channel(dovecot, mailbox="Nowhere").check()
    assert not wrong.ok
    assert 'no mailbox "Nowhere"' in wrong.message


def test_files_are_kept_named_safely_and_only_ever_downloaded(
    mailbox: Source, dovecot: Dovecot, admin_client: Client, client: Client
) -> None:
    mail = EmailMessage()
    mail["From"], mail["Subject"], mail["Message-ID"] = "ann@example.org", "Files", "<f@x>"
    mail.set_content("Hello.\n\n-- \nAnn\n+1 555\n")
    script = b"<script>alert(1)</script>"
    mail.add_attachment(script, maintype="text", subtype="html", filename="../../etc/<x>.html")
    mail.add_attachment(b"\x89PNG" * 400_000, maintype="image", subtype="png", filename="big.png")
    dovecot.append(mail.as_bytes())
    poll(mailbox)
    message = Message.objects.get()
    assert message.text == "Hello."
    names = [row["name"] for row in message.raw["files"]]
    assert names == ["_x_.html", "big.png"]
    address = reverse("admin:mail_file", args=[message.pk, 0])
    answer = admin_client.get(address)
    assert b"".join(answer.streaming_content) == script
    assert answer["Content-Disposition"].startswith("attachment")
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["X-Content-Type-Options"] == "nosniff"
    big = admin_client.get(reverse("admin:mail_file", args=[message.pk, 1]))
    assert (len(b"".join(big.streaming_content)), big["Content-Type"]) == (1_600_000, "image/png")
    assert admin_client.get(reverse("admin:mail_file", args=[message.pk, 2])).status_code == 404
    assert client.get(address).status_code == 302  # to the login
    whole = admin_client.get(reverse("admin:mail_whole", args=[message.pk]))
    assert b"".join(whole.streaming_content).replace(b"\r\n", b"\n").startswith(b"From: ann@")
    assert int(whole["Content-Length"]) > 2_000_000
    page = admin_client.get(reverse("admin:feedback_item_change", args=[message.item_id]))
    assert "Quotations and signature" in page.content.decode()
    assert "_x_.html" in page.content.decode()


def test_a_reply_that_a_restored_database_does_not_know_is_found_in_the_mailbox(
    mailbox: Source, dovecot: Dovecot, smtp: mail_server.Post
) -> None:
    entry = waiting_reply(mailbox, dovecot)
    settle()
    item = Item.objects.get()
    poll(mailbox)
    assert item.messages.filter(ours=True).count() == 1
    entry.refresh_from_db()
    OutboxEntry.objects.all().delete()
    Message.objects.filter(ours=True).delete()
    Source.objects.update(cursor={})
    mailbox.refresh_from_db()
    poll(mailbox)
    reply = item.messages.get(ours=True)
    assert (reply.kind, reply.text) == ("reply", "Which version?")


def test_a_mail_taken_for_automatic_becomes_an_item_by_one_click(
    mailbox: Source, dovecot: Dovecot, admin_client: Client
) -> None:
    dovecot.append(make_mail("Your robot is broken.", subject="Out of office view is empty"))
    poll(mailbox)
    mail = Message.objects.get()
    assert (mail.automatic, mail.item) == ("reply", None)
    chosen = {"action": "make_items", "_selected_action": [mail.pk]}
    admin_client.post(reverse("admin:feedback_automaticmail_changelist"), chosen)
    mail.refresh_from_db()
    assert mail.item is not None
    assert mail.item.title == "Out of office view is empty"
    assert mail.automatic is None
    settle()
    mail.item.refresh_from_db()
    assert mail.item.category


def test_a_mail_that_was_set_aside_is_taken_in_after_a_mend(mailbox: Source) -> None:
    kept = files.keep(make_mail("Now it can be read."), packed=True)
    raw = kept_raw(kept, Origin(box="INBOX", uid=7), b"From: ann")
    row = Unreadable(external_id=f"INBOX:{kept}", raw=raw, error="It could not be read.")
    add_posts(mailbox, [], [row])
    taken, still = replay(mailbox, RejectedPost.objects.all())
    assert (taken.new, still) == (1, 0)
    assert Item.objects.get().messages.get().text == "Now it can be read."
    assert RejectedPost.objects.get().resolved_at is not None
