"""Posts are looked at again, and follow what became of them at their source."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from feedback import refreshing
from feedback.intake import add_posts
from feedback.models import Message
from tests.make import LAUNCH, make_post, make_source
from tests.replay import Replay, make_thread

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_edit_and_a_deletion_are_followed(replay: Replay) -> None:
    replay.items = {item["id"]: dict(item) for item in make_thread(0)}
    story = min(replay.items)
    edited, dead, same = (replay.add_comment(story, "First.") for _ in range(3))
    source = make_source(config={"stories": [story]})
    with time_machine.travel(LAUNCH, tick=False):
        ids = [str(comment["id"]) for comment in (edited, dead, same)]
        add_posts(source, [make_post(id_, text="First.", created_at=LAUNCH) for id_ in ids])
        assert not refreshing.refresh_due()
        assert replay.asked() == []
    replay.items[edited["id"]]["text"] = "Better."
    replay.items[dead["id"]] |= {"deleted": True, "text": ""}
    with time_machine.travel(LAUNCH + timedelta(hours=2), tick=False):
        assert not refreshing.refresh_due()
        texts = {m.external_id: (m.text, m.is_deleted) for m in Message.objects.all()}
        became = [("Better.", False), ("", True), ("First.", False)]
        assert texts == dict(zip(ids, became, strict=True))
        due = set(Message.objects.values_list("look_again_at", flat=True))
        assert due == {LAUNCH + timedelta(hours=6)}


def test_when_the_service_is_away_the_posts_wait(replay: Replay) -> None:
    source = make_source(config={"stories": [1]})
    add_posts(source, [make_post("12", created_at=timezone.now())])
    Message.objects.update(look_again_at=timezone.now())
    replay.faults["*"] = lambda handler: handler.send_error(503)
    assert not refreshing.refresh_due()
    message = Message.objects.get()
    assert not message.is_deleted
    assert message.look_again_at > timezone.now() + timedelta(minutes=9)
