"""What a person sees of a reply on its way out: the account, a refusal with what to do, by hand."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from feedback import polling
from feedback.channels.reddit.api import _kept
from feedback.models import Item, Source
from tests.make import make_item, make_source
from tests.reddit_server import ME, Board
from tests.twitter_server import X
from triage import outbox, replies
from triage.models import Delivery, OutboxEntry

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def board(settings: Any) -> Iterator[Board]:
    _kept.key = ()
    with Board() as served:
        settings.REDDIT_URL = settings.REDDIT_OAUTH_URL = served.url
        settings.REDDIT_CLIENT_ID = "id"
        settings.REDDIT_USERNAME, settings.REDDIT_PASSWORD = ME, "secret"
        yield served


def shown(client: Client, item: Item, query: str = "") -> str:
    page = reverse("admin:feedback_item_change", args=[item.pk])
    return client.get(page + query).content.decode()


def reddit_item() -> Item:
    source = make_source("r", channel="reddit", config={"subreddits": ["corp"], "backfill": "999d"})
    return make_item(source)


def test_the_account_is_shown_before_sending(board: Board, admin_client: Client) -> None:
    item = reddit_item()
    assert "its name is known after the first poll" in shown(admin_client, item)
    Source.objects.update(config={"subreddits": ["corp"]})
    polling.poll(item.source_id, force=True)
    assert f"Goes out as <strong>u/{ME}</strong> on Reddit" in shown(admin_client, item)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("THREAD_LOCKED", "The thread is locked. Take the reply back"),
        ("DELETED_COMMENT", "was deleted. Take the reply back."),
        ("TOO_LONG", "Shorten it."),
        ("USER_BLOCKED", "Its author has blocked us."),
    ],
)
def test_a_refusal_says_what_to_do_and_the_text_can_be_edited(
    board: Board, admin_client: Client, code: str, told: str
) -> None:
    item = reddit_item()
    Source.objects.update(config={"subreddits": ["corp"]})
    board.form = {"json": {"errors": [[code, "no", "x"]]}}
    entry = replies.send(item, "We are on it.", User.objects.get(), token="t")
    outbox.deliver_waiting()
    page = shown(admin_client, item)
    assert "<strong>Refused.</strong>" in page
    assert told in page
    act = reverse("admin:feedback_item_act", args=[item.pk, "cancel"])
    back = admin_client.post(act, {"entry": entry.pk})
    assert ">We are on it.</textarea>" in admin_client.get(back["location"]).content.decode()
    other = make_item(item.source)
    assert "We are on it." not in shown(admin_client, other, f"?taken={entry.pk}")


def test_on_x_who_does_not_mention_us_is_answered_by_hand_with_the_text_ready(
    settings: Any, admin_client: Client
) -> None:
    with X() as x:
        settings.TWITTER_API_URL, settings.TWITTER_BEARER_TOKEN = x.url, "secret"
        source = make_source("x", channel="twitter", config={"handle": "genericcorp"})
        item = make_item(source)
        item.messages.update(external_id="1860000000000000000")
        replies.send(item, "Try a&b?", User.objects.get(), token="t")
        outbox.deliver_waiting()
    assert OutboxEntry.objects.get().state == Delivery.BY_HAND
    page = shown(admin_client, item)
    assert "X lets programs answer only those who mention or quote us." in page
    link = "https://x.com/intent/post?in_reply_to=1860000000000000000&amp;text=Try%20a%26b%3F"
    assert link in page


def test_a_text_too_long_for_x_is_refused_before_it_is_sent(settings: Any) -> None:
    staff = User.objects.create_user("eng-1")
    with X() as x:
        settings.TWITTER_API_URL, settings.TWITTER_BEARER_TOKEN = x.url, "secret"
        source = make_source("x", channel="twitter", config={"handle": "genericcorp"})
        item = make_item(source, text="@genericcorp it crashes")
        item.messages.update(external_id="186", raw={"id": "186", "text": "@genericcorp it"})
        long = replies.send(item, "a" * 270 + " https://example.com/long", staff, token="t")
        outbox.deliver_waiting()
        long.refresh_from_db()
        assert long.error == "X takes 280 characters; this has 294. Shorten it."
        assert not x.requests
