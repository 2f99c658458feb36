"""The tool's pages of tracked issues: seen, decided, told, and kept from whom they are not for."""

import pytest
from django.contrib.auth.models import Permission, User
from django.urls import reverse

from feedback.models import Item
from tests.make import make_source
from tests.triage.tracking.conftest import poll, settle
from triage.models import OutboxEntry
from triage.tracking import telling
from triage.tracking.models import Draft, IssueReport, Telling, TrackedIssue

pytestmark = pytest.mark.django_db(transaction=True)

SPINNER = "The task board does not load since version 2.3.1, I only see a spinner."
SPINNING = "Since the update the task board does not load any more, I only see a spinner."
LEAK = "Your API key sk-live-abcdefghijklmnop123456 is visible in the page source!"


@pytest.fixture
def tracked(github, report, client, staff):
    client.force_login(staff)
    reddit = make_source("r", channel="reddit", config={})
    report(SPINNER, author="ann")
    report(SPINNING, source=reddit, author="bob")
    settle()
    poll()
    return TrackedIssue.objects.get()


def test_the_list_shows_state_severity_channels_and_trend(client, tracked):
    page = client.get(reverse("admin:triage_trackedissue_changelist")).content.decode()
    for shown in ("#1", "The task board does not load", "P1", "ch-hackernews", "ch-reddit", "Open"):
        assert shown in page
    assert 'class="t-trend"' in page


def test_the_list_asks_the_same_few_queries_for_many(
    client, tracked, report, django_assert_max_num_queries
):
    report("My VAT number is missing from the invoices.")
    settle()
    with django_assert_max_num_queries(16):
        client.get(reverse("admin:triage_trackedissue_changelist"))


def test_an_issue_shows_its_items_both_histories_and_what_was_told(client, tracked, github):
    github.close(1, milestone="v2.4.0")
    poll()
    page = client.get(reverse("admin:triage_trackedissue_change", args=[tracked.pk]))
    text = page.content.decode()
    for shown in ("ann", "bob", "Filed", "on GitHub", "Closed", "Send all 2", "fixed in v2.4.0"):
        assert shown in text


def test_telling_everyone_is_previewed_then_sent_and_offered_to_later_reports(
    client, tracked, report
):
    address = reverse("admin:tracked_tell", args=[tracked.pk])
    assert "known issue" in client.get(address).content.decode()
    text = "Hi {name}, try {workaround}. Fix {eta}: {tracking}"
    form = {"text": text, "workaround": "Firefox", "eta": "by tonight", "template": "known-issue"}
    shown = client.post(address, {**form, "preview": "1", "token": "t"}).content.decode()
    assert "Hi ann, try Firefox. Fix by tonight" in shown
    assert not OutboxEntry.objects.filter(kind="reply").exists()
    for _ in range(2):  # pressed twice
        client.post(address, {**form, "token": "t"})
    assert OutboxEntry.objects.filter(kind="reply").count() == 2
    assert Telling.objects.count() == 1
    late = report("The task board does not load, I only see a spinner.", author="cleo")
    settle()
    page = client.get(reverse("admin:feedback_item_change", args=[late.pk])).content.decode()
    assert "Hi cleo, try Firefox. Fix by tonight" in page
    draft = telling.offered(late)
    client.post(
        reverse("admin:feedback_item_act", args=[late.pk, "reply"]),
        {"text": draft.text, "token": "x", "seen": "0", "offered": draft.pk},
    )
    assert not Draft.objects.open().exists()


def test_a_variable_that_is_still_open_is_not_sent(client, tracked):
    address = reverse("admin:tracked_tell", args=[tracked.pk])
    page = client.post(address, {"text": "Try {workaround}.", "token": "t"}).content.decode()
    assert "Fill in {workaround}" in page
    assert not OutboxEntry.objects.filter(kind="reply").exists()


def test_one_click_sends_all_and_a_missing_version_is_asked_for(client, tracked, github):
    github.close(1)
    poll()
    one = Telling.objects.get()
    page = client.get(reverse("admin:triage_trackedissue_change", args=[tracked.pk]))
    assert 'name="version"' in page.content.decode()
    act = reverse("admin:tracked_act", args=[tracked.pk, "send-all"])
    client.post(act, {"telling": one.pk, "version": "v9"})
    assert OutboxEntry.objects.filter(kind="reply").count() == 2


def test_an_offered_report_is_decided_by_a_click(client, tracked, report):
    IssueReport.objects.filter(item__author__handle="bob").delete()
    item = Item.objects.get(author__handle="bob")
    IssueReport.objects.create(
        item=item, state="offered", at=item.created_at, candidates=[[tracked.pk, 0.03]]
    )
    page = client.get(reverse("admin:triage_trackedissue_changelist")).content.decode()
    assert "To be decided" in page
    assert "Join #1" in page
    client.post(reverse("admin:tracked_decide", args=[item.pk, "join"]), {"tracked": tracked.pk})
    assert IssueReport.objects.get(item=item).tracked == tracked


def test_a_restricted_item_is_seen_by_those_alone_who_may(client, tracked, report):
    secret = report(LEAK)
    settle()
    helper = User.objects.create_user("helper", is_staff=True)
    rights = ["view_item", "change_item"]
    helper.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(helper)
    private = TrackedIssue.objects.get(is_private=True)
    addresses = [
        reverse("admin:feedback_item_change", args=[secret.pk]),
        reverse("admin:feedback_item_similar", args=[secret.pk]),
        reverse("admin:triage_trackedissue_change", args=[private.pk]),
    ]
    assert [client.get(address).status_code for address in addresses] == [404, 404, 403]
    for listed in ("feedback_item", "triage_trackedissue"):
        page = client.get(reverse(f"admin:{listed}_changelist")).content.decode()
        assert "API key" not in page
    helper.user_permissions.add(Permission.objects.get(codename="view_restricted"))
    client.force_login(User.objects.get(username="helper"))
    assert client.get(addresses[0]).status_code == 200


def test_without_the_right_to_change_nothing_is_done(client, tracked):
    viewer = User.objects.create_user("viewer", is_staff=True)
    viewer.user_permissions.set(Permission.objects.filter(codename="view_item"))
    client.force_login(viewer)
    page = client.get(reverse("admin:triage_trackedissue_change", args=[tracked.pk]))
    assert "Tell everyone" not in page.content.decode()
    assert client.get(reverse("admin:tracked_tell", args=[tracked.pk])).status_code == 403
    act = reverse("admin:tracked_act", args=[tracked.pk, "merge"])
    assert client.post(act, {"into": tracked.pk}).status_code == 403
