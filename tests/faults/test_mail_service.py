"""The service with a mailbox, as real processes: mails within seconds, replies exactly once."""

import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import mail_server
from tests.faults.service import Service
from tests.mail_server import PASSWORD, Dovecot, make_mail, until

KILLS = 10  # between sending and recording
LOST = 2  # handed over and never taken
PATIENCE_SECONDS = 240
SOURCE = """
[[sources]]
name = "inbox"
channel = "email"
host = "127.0.0.1"
port = {port}
tls = false
user = "support@genericcorp.com"
password_env = "SUPPORT_PASSWORD"
every = "1h"
"""
REPLY = """
from django.contrib.auth.models import User
from feedback.models import Item
from triage import replies
eve, _ = User.objects.get_or_create(username="eve")
for item in Item.objects.all():
    replies.send(item, "We look into it.", eve, token="t")
"""


@pytest.fixture
def service(dovecot: Dovecot, smtp: mail_server.Post, tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path, {"EMAIL_URL": smtp.url, "SUPPORT_PASSWORD": PASSWORD})
    made.manage("migrate", "-v0")
    path = tmp_path / "playbook.toml"
    path.write_text(made.manage("playbook", "dump") + SOURCE.format(port=dovecot.port))
    made.manage("playbook", "load", str(path))
    with made:
        yield made


def asked(folder: Path, query: str) -> list[Any]:
    database = sqlite3.connect(folder / "feedback.sqlite3", timeout=20)
    try:
        return database.execute(query).fetchall()
    finally:
        database.close()


def count(folder: Path, table: str) -> int:
    return int(asked(folder, f"SELECT COUNT(*) FROM {table}")[0][0])


def test_a_mail_is_an_item_within_seconds_though_the_poll_is_hourly(
    service: Service, dovecot: Dovecot, tmp_path: Path
) -> None:
    dovecot.deliver(make_mail("The first."))
    until(lambda: count(tmp_path, "feedback_item") == 1, 60)
    spans = []
    for number in range(2, 5):
        time.sleep(2)
        begin = time.monotonic()
        dovecot.deliver(make_mail(f"Number {number}."))
        until(lambda number=number: count(tmp_path, "feedback_item") == number, 30)
        spans.append(time.monotonic() - begin)
    print(f"\nfrom delivery to item: {', '.join(f'{span:.1f} s' for span in spans)}")
    assert min(spans) < 5
    service.kill_scheduler()
    dovecot.deliver(make_mail("While nobody listens."))
    service.start_scheduler()
    until(lambda: count(tmp_path, "feedback_item") == 5, 60)


def test_killed_between_sending_and_recording_no_reply_is_missing_and_none_is_doubled(
    service: Service, dovecot: Dovecot, smtp: mail_server.Post, tmp_path: Path
) -> None:
    number = KILLS + LOST + 4
    for n in range(number):
        dovecot.deliver(make_mail(f"Number {n}.", **{"from": f"p{n}@example.org"}))
    until(lambda: count(tmp_path, "feedback_item") == number, 90)
    left = {"sent": KILLS, "lost": LOST}
    kill = threading.Lock()

    def dies(server: Any, taken: mail_server.Taken) -> str | None:
        with kill:
            how = "sent" if left["sent"] else "lost" if left["lost"] else ""
            if not how:
                return None
            left[how] -= 1
            if how == "sent":
                smtp.take(taken)
            service.kill_worker()
            service.start_worker()
            return "451 nobody hears this"

    smtp.fault = dies
    service.manage("shell", "-v0", "-c", REPLY)
    done = "SELECT COUNT(*) FROM triage_outboxentry WHERE next_attempt_at IS NULL"
    until(lambda: asked(tmp_path, done)[0][0] == number, PATIENCE_SECONDS)
    assert left == {"sent": 0, "lost": 0}
    sent = Counter(mail.recipients[0] for mail in smtp.taken)
    assert set(sent.values()) == {1}, "a reply went out twice"
    states = Counter(row[0] for row in asked(tmp_path, "SELECT state FROM triage_outboxentry"))
    print(f"\n{KILLS + LOST} kills: {dict(states)}, {len(sent)} mails arrived")
    # What was handed over and never taken cannot be known: a person is asked. A kill may hit a
    # second mail at that very moment.
    assert states["sent"] == len(sent)
    assert LOST <= states["unsure"] == number - len(sent) <= LOST + 1
