"""The metrics: a source's health, what waits, and who may read them."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from feedback.channels.base import Unreadable
from feedback.intake import add_posts
from tests.make import make_post, make_source

pytestmark = pytest.mark.django_db

LINE = re.compile(r"(# (HELP|TYPE) feedback_\w+ .+|feedback_\w+(\{[^{}]*\})? -?[\d.e+-]+)")


def test_every_line_is_in_the_format_and_a_source_is_told_with_its_quota(
    admin_client: Client,
) -> None:
    now = timezone.now()
    well = make_source(
        'x"\n', channel="twitter", last_polled_at=now, next_poll_at=now + timedelta(minutes=5),
        meter={"posts read this month": 120, "note": "words"},
    )  # fmt: skip
    make_source("late", next_poll_at=now - timedelta(minutes=9), failures=3)
    make_source("stopped", is_stopped=True)
    make_source("off", enabled=False)
    add_posts(well, [make_post("1")], [Unreadable(external_id="2", raw={}, error="no")])
    text = admin_client.get("/metrics").content.decode()
    assert all(LINE.fullmatch(line) for line in text.splitlines())
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    labels = 'source="x\\"\\n",channel="twitter"'
    assert values[f"feedback_source_up{{{labels}}}"] == "1"
    assert values[f'feedback_source_quota{{{labels},name="posts read this month"}}'] == "120"
    assert values['feedback_source_up{source="stopped",channel="hackernews"}'] == "0"
    assert values['feedback_source_up{source="late",channel="hackernews"}'] == "0"
    assert float(values['feedback_source_lag_seconds{source="late",channel="hackernews"}']) > 500
    assert values['feedback_source_failures{source="late",channel="hackernews"}'] == "3"
    assert 'feedback_source_up{source="off"' not in text
    assert values['feedback_items{state="new"}'] == "1"
    assert values["feedback_items_unread"] == "1"
    assert values['feedback_rejected_posts{source="x\\"\\n"}'] == "1"


def test_they_are_for_staff_and_for_who_has_the_token(client: Client, settings) -> None:
    assert client.get("/metrics").status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 403
    settings.METRICS_TOKEN = "long and secret"
    assert client.get("/metrics", headers={"authorization": "Bearer wrong"}).status_code == 403
    assert client.get("/metrics", headers={"authorization": "Bearer ä"}).status_code == 403
    right = client.get("/metrics", headers={"authorization": "Bearer long and secret"})
    assert right.status_code == 200
    assert right["content-type"].startswith("text/plain; version=0.0.4")


def test_their_cost_does_not_grow_with_the_sources(
    admin_client: Client, django_assert_num_queries
) -> None:
    make_source("one")
    with django_assert_num_queries(8):
        admin_client.get("/metrics")
    for number in range(20):
        make_source(f"s{number}")
    with django_assert_num_queries(8):
        admin_client.get("/metrics")
