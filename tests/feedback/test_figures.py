"""How followed stories do over time: noted beside the polls, shown on a page."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from feedback import polling
from feedback.models import Source, StoryFigures
from tests.make import make_source
from tests.replay import Replay, answers, make_thread
from triage.figures_page import points

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def poll(replay: Replay, minutes: int) -> None:
    with time_machine.travel(NOW + timedelta(minutes=minutes)):
        Source.objects.update(next_poll_at=timezone.now())
        for source in Source.objects.all():
            polling.poll(source.pk)


def noted() -> list[tuple[int, int, int | None]]:
    rows = StoryFigures.objects.filter(story="100").order_by("at")
    return [(row.score, row.comments, row.rank) for row in rows]


@pytest.fixture
def story(replay: Replay) -> dict:
    items = make_thread(3, at=int(NOW.timestamp()) - 900)
    replay.items = {item["id"]: item for item in items}
    make_source("hn", config={"stories": [100]})
    return replay.items[100]


def test_score_rank_and_comments_are_noted_when_they_change(replay: Replay, story: dict) -> None:
    replay.top = [7, 100]
    poll(replay, 0)
    poll(replay, 2)  # too soon
    poll(replay, 6)  # the same
    story["score"], replay.top = 55, [100]
    replay.add_comment(100)
    poll(replay, 12)
    replay.top = []
    poll(replay, 18)
    poll(replay, 90)  # still the same: noted once an hour
    assert noted() == [(9, 3, 2), (55, 4, 1), (55, 4, None), (55, 4, None)]


def test_figures_that_cannot_be_had_stop_no_poll(replay: Replay, story: dict) -> None:
    replay.faults["/v0/topstories.json"] = answers({}, 503)
    poll(replay, 0)
    assert noted() == []
    assert Source.objects.get().last_error == ""
    replay.faults = {"/v0/topstories.json": answers({"a": 1})}
    poll(replay, 6)
    assert noted() == []


def test_the_page_shows_each_story_and_its_lines(
    replay: Replay, story: dict, admin_client: Client
) -> None:
    story["title"] = "Show HN: A & B"
    page = f"/feedback/source/{Source.objects.get().pk}/stories/"
    assert "Nothing noted yet" in admin_client.get(page).content.decode()
    replay.top = [100]
    poll(replay, 0)
    story["score"] = 1234
    poll(replay, 10)
    shown = admin_client.get(page).content.decode()
    assert "1,234" in shown
    assert "Show HN: A &amp; B" in shown
    assert shown.count("<polyline") == 3
    assert "1 followed" in admin_client.get("/feedback/source/").content.decode()


def test_who_may_not_see_sources_sees_no_stories(client: Client, django_user_model) -> None:
    client.force_login(django_user_model.objects.create_user("x", is_staff=True))
    source = make_source()
    assert client.get(f"/feedback/source/{source.pk}/stories/").status_code == 403


def test_a_line_stays_in_its_frame() -> None:
    values = [(NOW + timedelta(minutes=n), n * n) for n in range(9)]
    pairs = [tuple(map(float, one.split(","))) for one in points(values).split()]
    assert all(0 <= x <= 240 and 0 <= y <= 48 for x, y in pairs)
    assert pairs[0][1] > pairs[-1][1]  # up is more
    assert len(points([(NOW, 5)]).split()) == 2
    assert points([]) == ""
