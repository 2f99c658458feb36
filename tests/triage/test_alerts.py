"""A source that stops: one clear message on the pages, and one in Slack."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from feedback.models import Source
from tests.github_server import REPOSITORY, Hub
from tests.make import make_source
from tests.serve import Answer, Served, says
from triage import outbox, troubles
from workers import tasks

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def hub(settings: Any) -> Iterator[Hub]:
    with Hub() as served:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = served.url, "secret"
        yield served


def make_github() -> Source:
    config = {"repositories": [REPOSITORY]}
    return make_source("gh <1>", channel="github", config=config, next_poll_at=timezone.now())


def test_a_refused_credential_stops_the_source_and_people_are_told_once(
    hub: Hub, settings: Any, admin_client: Client
) -> None:
    hub.fault = says({"message": "Bad credentials"}, 401)
    source = make_github()
    with Served(lambda request: Answer(b"ok")) as slack:
        settings.SLACK_WEBHOOK_URL = slack.url
        tasks.poll(source.pk)
        tasks.poll(source.pk)  # it is stopped: nothing is asked any more
        outbox.deliver_waiting()
        assert len(hub.requests) == 1
        assert len(slack.requests) == 1
        text = slack.requests[0].json["text"]
        assert "gh &lt;1&gt;" in text
        assert "GitHub refuses the credential. Set GITHUB_TOKEN anew." in text
        for page in ("/feedback/item/", "/feedback/source/"):
            assert "has stopped. GitHub refuses the credential" in (
                admin_client.get(page).content.decode()
            )

        hub.fault = None  # a person mends it and polls; then it is refused again
        Source.objects.update(is_stopped=False, next_poll_at=timezone.now())
        tasks.poll(source.pk)
        assert "t-trouble" not in admin_client.get("/feedback/item/").content.decode()
        hub.fault = says({"message": "Bad credentials"}, 401)
        Source.objects.update(next_poll_at=timezone.now())
        tasks.poll(source.pk)
        outbox.deliver_waiting()
        assert len(slack.requests) == 2


def test_without_slack_the_pages_say_it_all_the_same(hub: Hub, admin_client: Client) -> None:
    hub.fault = says({"message": "Bad credentials"}, 401)
    tasks.poll(make_github().pk)
    outbox.deliver_waiting()
    assert "has stopped" in admin_client.get("/feedback/item/").content.decode()


def test_a_source_that_keeps_failing_is_told_before_long(hub: Hub, admin_client: Client) -> None:
    hub.fault = says(b"<html>", 502)
    source = make_github()
    for number in range(4):
        assert ("cannot be read" in admin_client.get("/feedback/item/").content.decode()) is False
        Source.objects.update(next_poll_at=timezone.now())
        tasks.poll(source.pk)
        assert Source.objects.get().failures == number + 1
    assert (
        "cannot be read and is tried again" in admin_client.get("/feedback/item/").content.decode()
    )


def test_what_lasts_is_told_in_slack_once(hub: Hub, settings: Any) -> None:
    hub.fault = says(b"<html>", 502)
    source = make_github()
    troubles.begin("classifier", "New items are not read: <it> is damaged.")
    with Served(lambda request: Answer(b"ok")) as slack:
        settings.SLACK_WEBHOOK_URL = slack.url
        for _ in range(6):
            Source.objects.update(next_poll_at=timezone.now())
            tasks.poll(source.pk)
        Source.objects.update(meter={"missed": "r/corp/new from Monday to Tuesday"})
        tasks.follow()
        tasks.follow()
        outbox.deliver_waiting()
        texts = [request.json["text"] for request in slack.requests]
    assert len(texts) == 3
    assert sum("New items are not read: &lt;it&gt; is damaged." in text for text in texts) == 1
    assert sum("could not be read 4 times and is tried again" in text for text in texts) == 1
    assert sum("no longer lists r/corp/new from Monday" in text for text in texts) == 1
