"""The tables behind the queue: shown as they are, changed by nobody, acted on by the entitled."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from feedback.models import RejectedPost, Source
from tests.make import make_item, make_source
from tests.replay import Replay, make_thread
from triage.models import Delivery, OutboxEntry

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>"


def rejected() -> RejectedPost:
    return RejectedPost.objects.create(
        source=make_source(),
        channel="hackernews",
        external_id="1",
        raw={"text": EVIL, "half": "\ud83d"},
        error=f"not a post: {EVIL}",
        at=timezone.now(),
    )


def test_a_rejected_post_is_shown_as_text(admin_client: Client) -> None:
    post = rejected()
    for name, args in (("changelist", []), ("change", [post.pk])):
        address = reverse(f"admin:feedback_rejectedpost_{name}", args=args)
        html = admin_client.get(address).content.decode()
        assert "&lt;script&gt;alert(1)" in html
        assert EVIL not in html


def test_nobody_edits_what_the_engine_wrote(admin_client: Client) -> None:
    post, item = rejected(), make_item()
    entry = OutboxEntry.objects.create(
        key="k",
        kind="reply",
        item=item,
        channel="hackernews",
        state=Delivery.SENT,
        payload={"text": EVIL},
        created_at=timezone.now(),
    )
    for row in (post, post.source, entry):
        name = f"admin:{row._meta.app_label}_{row._meta.model_name}"
        address = reverse(f"{name}_change", args=[row.pk])
        assert EVIL not in admin_client.get(address).content.decode()
        assert admin_client.post(address, {"state": "pending"}).status_code == 403
        assert admin_client.post(reverse(f"{name}_delete", args=[row.pk])).status_code == 403
        assert admin_client.get(reverse(f"{name}_add")).status_code == 403


def act(client: Client, model: str, action: str, pk: int) -> int:
    address = reverse(f"admin:feedback_{model}_changelist")
    return client.post(address, {"action": action, "_selected_action": [pk]}).status_code


def test_the_entitled_poll_a_source_now(admin_client: Client) -> None:
    source = make_source(is_stopped=True)
    act(admin_client, "source", "poll_now", source.pk)
    source.refresh_from_db()
    assert not source.is_stopped
    assert source.next_poll_at is not None


def test_a_reader_polls_and_replays_nothing(client: Client) -> None:
    reader = User.objects.create_user("rita", is_staff=True)
    names = ["view_source", "view_rejectedpost"]
    reader.user_permissions.set(Permission.objects.filter(codename__in=names))
    client.force_login(reader)
    post = rejected()
    act(client, "source", "poll_now", post.source_id)
    act(client, "rejectedpost", "take_in_again", post.pk)
    assert Source.objects.get().next_poll_at is None
    post.refresh_from_db()
    assert post.resolved_at is None


def test_a_post_that_can_be_read_now_is_taken_in(admin_client: Client) -> None:
    post = rejected()
    assert act(admin_client, "rejectedpost", "take_in_again", post.pk) == 302


def test_a_source_shows_its_limits_and_answers_a_check(
    admin_client: Client, replay: Replay
) -> None:
    replay.items = {item["id"]: dict(item) for item in make_thread(1)}
    story = min(replay.items)
    good = make_source("good", config={"stories": [story]}, meter={"requests left": 412})
    bad = make_source("bad", config={"stories": ["x"]})
    address = reverse("admin:feedback_source_changelist")
    assert "requests left" in admin_client.get(address).content.decode()
    chosen = {"action": "check_now", "_selected_action": [good.pk, bad.pk]}
    said = admin_client.post(address, chosen, follow=True).content.decode()
    assert "good: Answers. Searches: 0, threads: 1." in said
    assert "is not the id of an item" in said


def test_a_poll_that_does_not_begin_is_late(admin_client: Client) -> None:
    make_source(next_poll_at=timezone.now() - timedelta(minutes=5))
    page = admin_client.get(reverse("admin:feedback_source_changelist")).content.decode()
    assert "Late" in page
