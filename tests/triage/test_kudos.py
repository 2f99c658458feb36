"""Kind words: liked where the service lets us, shared with the team by one click."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback.channels.reddit.api import _kept
from feedback.models import Item, Message
from tests.github_server import REPOSITORY, Hub
from tests.make import make_item, make_source
from tests.reddit_server import ME, Board
from tests.serve import Answer, Served, after_taking, says
from tests.twitter_server import X
from triage import kudos, outbox
from triage.models import Delivery, OutboxEntry
from triage.moves import Conflict

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def slack(settings: Any) -> Iterator[Served]:
    with Served(lambda request: Answer(b"ok")) as served:
        settings.SLACK_WEBHOOK_URL = f"{served.url}/services/T/B/secret"
        yield served


@pytest.fixture
def staff() -> User:
    return User.objects.create_user("eng-1")


def praise(channel: str = "hackernews", **values: Any) -> Item:
    source = make_source(channel, channel=channel, config=values.pop("config", {}))
    return make_item(source, text=values.pop("text", "I love it <!channel>"), category="praise",
                     sentiment="positive", **values)  # fmt: skip


def entry(kind: str) -> OutboxEntry:
    return OutboxEntry.objects.filter(kind=kind).latest("pk")


def test_kind_words_are_shared_once_with_who_said_them(slack: Served, staff: User) -> None:
    item = praise()
    kudos.share(item, staff)
    with pytest.raises(Conflict):
        kudos.share(item, staff)
    outbox.deliver_waiting()
    assert len(slack.requests) == 1
    text = slack.requests[0].json["text"]
    assert "> I love it &lt;!channel&gt;" in text  # no mention of their making
    assert "eng-1" in text
    assert entry("share").state == Delivery.SENT
    assert item.history.filter(event="shared").exists()


def test_without_slack_the_button_says_so(staff: User, admin_client: Client) -> None:
    item = praise()
    page = admin_client.get(reverse("admin:feedback_item_change", args=[item.pk])).content.decode()
    assert "set SLACK_WEBHOOK_URL" in page
    with pytest.raises(Conflict, match="SLACK_WEBHOOK_URL"):
        kudos.share(item, staff)


def test_what_slack_may_have_got_is_not_sent_again_by_itself(slack: Served, staff: User) -> None:
    item = praise()
    kudos.share(item, staff)
    slack.fault = after_taking
    outbox.deliver_waiting()
    slack.fault = None
    OutboxEntry.objects.update(next_attempt_at=timezone.now())
    outbox.deliver_waiting()
    assert (entry("share").state, len(slack.requests)) == (Delivery.UNSURE, 1)
    assert "share it again" in kudos.kudos(item)[-1].error
    kudos.share(item, staff)  # a person says so
    outbox.deliver_waiting()
    assert (entry("share").state, len(slack.requests)) == (Delivery.SENT, 2)


def test_a_refusal_of_slack_is_told_without_its_address(slack: Served, staff: User) -> None:
    item = praise()
    slack.fault = says(b"invalid_token", 403)
    kudos.share(item, staff)
    outbox.deliver_waiting()
    assert entry("share").error == "Slack refuses it: invalid_token. Check SLACK_WEBHOOK_URL."


def test_a_restricted_item_is_not_shared(slack: Served, staff: User) -> None:
    with pytest.raises(Conflict, match="restricted"):
        kudos.share(praise(restricted_at=timezone.now()), staff)


def test_a_post_on_x_is_liked(settings: Any, staff: User) -> None:
    item = praise("twitter", config={"handle": "genericcorp"})
    Message.objects.update(external_id="1860000000000000000")
    with X() as x:
        settings.TWITTER_API_URL, settings.TWITTER_BEARER_TOKEN = x.url, "secret"
        kudos.like(item, staff)
        outbox.deliver_waiting()
        assert "TWITTER_API_KEY" in entry("like").error
        for name in ("API_KEY", "API_SECRET", "ACCESS_TOKEN", "ACCESS_SECRET"):
            setattr(settings, f"TWITTER_{name}", "42-secret")
        kudos.like(item, staff)
        outbox.deliver_waiting()
        assert x.liked == ["1860000000000000000"]
        with pytest.raises(Conflict):
            kudos.like(item, staff)


def test_a_post_on_reddit_is_upvoted(settings: Any, staff: User) -> None:
    _kept.key = ()
    item = praise("reddit", config={"subreddits": ["corp"]})
    Message.objects.update(external_id="t1_abc")
    with Board() as board:
        settings.REDDIT_URL = settings.REDDIT_OAUTH_URL = board.url
        settings.REDDIT_CLIENT_ID = "id"
        settings.REDDIT_USERNAME, settings.REDDIT_PASSWORD = ME, "secret"
        kudos.like(item, staff)
        outbox.deliver_waiting()
        assert board.votes == [("t1_abc", "1")]
        assert entry("like").state == Delivery.SENT


def test_a_post_on_github_gets_a_thumb(settings: Any, staff: User) -> None:
    item = praise("github", config={"repositories": [REPOSITORY]})
    Message.objects.update(raw={"repository": REPOSITORY, "node_id": "I_1"})
    with Hub() as hub:
        settings.GITHUB_API_URL, settings.GITHUB_TOKEN = hub.url, "secret"
        kudos.like(item, staff)
        hub.fault = after_taking  # its answer is lost: once more does no harm
        outbox.deliver_waiting()
        hub.fault = None
        OutboxEntry.objects.update(next_attempt_at=timezone.now())
        outbox.deliver_waiting()
        assert set(hub.thumbs) == {"I_1"}
        assert entry("like").state == Delivery.SENT


def test_hacker_news_lets_only_people_upvote(staff: User, admin_client: Client) -> None:
    item = praise()
    page = admin_client.get(reverse("admin:feedback_item_change", args=[item.pk])).content.decode()
    assert "lets only people upvote" in page
    with pytest.raises(Conflict, match="by hand"):
        kudos.like(item, staff)


def test_only_kind_words_have_the_buttons(admin_client: Client) -> None:
    item = make_item()
    page = admin_client.get(reverse("admin:feedback_item_change", args=[item.pk])).content.decode()
    assert "Share internally" not in page
