"""The GitHub channel and its webhooks against a loopback GitHub that keeps state."""

import hmac
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client

from feedback.channels.base import (
    Absent,
    Batch,
    Later,
    Post,
    Refused,
    Reply,
    Sent,
    SourceStopped,
    TryLater,
    Unsure,
)
from feedback.channels.github import GitHub
from feedback.channels.github.posts import comment_post, issue_post
from feedback.intake import add_posts
from feedback.models import Item, Message, RejectedPost
from tests.github_server import REPOSITORY, REPOSITORY_ID, Hub
from tests.make import make_source
from tests.serve import FAULTS, after_taking, says

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRET = "hush"


@pytest.fixture
def hub(settings) -> Iterator[Hub]:
    with Hub() as served:
        settings.GITHUB_API_URL = served.url
        settings.GITHUB_TOKEN = "secret"
        yield served


@pytest.fixture(autouse=True)
def _now() -> Iterator[None]:
    with time_machine.travel(NOW, tick=True):
        yield


def channel(**config: Any) -> GitHub:
    return GitHub({"repositories": [REPOSITORY], **config})


def read(source: GitHub, cursor: Any = None) -> tuple[list[Post], Batch]:
    posts: list[Post] = []
    while True:
        batch = source.poll(json.loads(json.dumps(cursor or {})))
        posts += batch.posts
        cursor = batch.cursor
        if not batch.more:
            return posts, batch


def test_issues_and_comments_are_read_whole_and_pull_requests_are_not(hub: Hub) -> None:
    for number in range(50):
        hub.open(f"Issue {number}", body=None if number == 3 else "It broke.")
    hub.open("A patch", pull_request={"url": "x"})
    hub.comment(2, "Same here.")
    hub.comment(51, "LGTM", html_url=f"https://github.com/{REPOSITORY}/pull/51#c")
    posts, batch = read(channel(discussions=False))
    assert len({post.external_id for post in posts}) == 51
    comment = next(post for post in posts if "/c" in post.external_id)
    assert (comment.parent_id, comment.context) == (f"R{REPOSITORY_ID}#2", "story: Issue 1")
    assert batch.meter == {"requests left": 4990}


def test_a_second_poll_adds_nothing_and_a_quiet_one_costs_two_requests(hub: Hub) -> None:
    for number in range(4):
        hub.open(f"Issue {number}")
    known = {post.external_id for post in read(channel(discussions=False))[0]}
    _, batch = read(channel(discussions=False))
    again, batch = read(channel(discussions=False), batch.cursor)
    assert {post.external_id for post in again} <= known
    _, batch = read(channel(discussions=False), batch.cursor)
    asked = len(hub.requests)
    assert read(channel(discussions=False), batch.cursor)[0] == []
    assert len(hub.requests) - asked == 2
    hub.open("New")
    posts, _ = read(channel(discussions=False), batch.cursor)
    assert "New" in {post.title for post in posts}


def test_discussions_with_their_comments_and_answers(hub: Hub) -> None:
    for number in range(7):
        wish = hub.discuss(f"Wish {number}")
    top = hub.say(wish, "Me too.")
    deep = hub.say(top, "And me.", "eve")
    posts, batch = read(channel(issues=False))
    by_id = {post.external_id: post for post in posts}
    assert len(by_id) == 9
    assert by_id[top["id"]].parent_id == wish["id"]
    assert by_id[deep["id"]].parent_id == top["id"]
    assert by_id[deep["id"]].context == "story: Wish 6"
    hub.say(wish, "Later.")
    posts, _ = read(channel(issues=False), batch.cursor)
    assert "Later." in {post.text for post in posts}


def test_what_changes_while_it_is_read_leaves_nothing_out(hub: Hub) -> None:
    for number in range(12):
        hub.open(f"Issue {number}")
    touched = iter(hub.issues[:6])

    def touch(handler: Any) -> bool:
        if "/issues?" in handler.path and (issue := next(touched, None)):
            issue["updated_at"] = hub._now()  # it moves to the end, and all others up
        return False

    hub.fault = touch
    posts, _ = read(channel(discussions=False))
    assert {post.title for post in posts} == {f"Issue {number}" for number in range(12)}


def test_many_changes_of_one_second_are_read_whole(hub: Hub) -> None:
    for number in range(10):
        hub.open(f"Issue {number}", updated_at="x")
    for issue in hub.issues:
        issue["updated_at"] = "2026-11-24T10:30:00Z"
    posts, batch = read(channel(discussions=False))
    assert len({post.title for post in posts}) == 10
    assert batch.cursor["repositories"][REPOSITORY]["issues"].get("page", 1) == 1


def test_however_many_repositories_there_are_the_poll_ends(hub: Hub) -> None:
    hub.open("One")
    hub.names = {f"corp/board{n}" for n in range(6)}
    _, batch = read(channel(repositories=[REPOSITORY, *sorted(hub.names)]))
    paths = {request.path for request in hub.requests}
    assert {f"/repos/corp/board{n}/issues/comments" for n in range(6)} <= paths
    assert batch.cursor["left"] == []


def test_every_comment_of_a_long_discussion_is_read(hub: Hub) -> None:
    wish = hub.discuss("Wish")
    tops = [hub.say(wish, f"Comment {n}") for n in range(120)]
    for number in range(110):
        hub.say(tops[0], f"Answer {number}")
    posts, _ = read(channel(issues=False))
    assert len({post.external_id for post in posts}) == 1 + 120 + 110


def test_what_the_account_itself_wrote_is_ours(hub: Hub) -> None:
    assert read(channel())[1].account == "corp-bot"
    hub.login = ""
    assert read(channel())[1].account == ""


def test_when_nothing_is_left_of_the_limit_it_waits_for_the_reset(hub: Hub) -> None:
    hub.open("One")
    reset = int((NOW + timedelta(minutes=10)).timestamp())
    hub.headers = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(reset)}
    batch = channel(discussions=False).poll({})
    assert len(batch.posts) == 1
    assert timedelta(minutes=9) < batch.failure.wait <= timedelta(minutes=10)
    hub.headers = {}
    posts, _ = read(channel(discussions=False), batch.cursor)
    assert len(posts) <= 1


def test_what_a_template_hides_is_no_text(hub: Hub) -> None:
    hub.open("T", body="<!-- Tell us -->\r\n### Version\r\n1.0")
    assert read(channel())[0][0].text == "### Version\n1.0"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_cursor_and_says_what_it_is(hub: Hub, fault: str) -> None:
    hub.open("One")
    _, batch = read(channel())
    hub.open("Two")
    hub.fault = FAULTS[fault]
    with pytest.raises(TryLater) as told:
        channel().poll(batch.cursor)
    assert "GitHub" in str(told.value)
    hub.fault = None
    assert "Two" in {post.title for post in read(channel(), batch.cursor)[0]}


def test_limits_are_waited_for(hub: Hub) -> None:
    hub.fault = says({"message": "You have exceeded a secondary rate limit"}, 403)
    with pytest.raises(TryLater) as told:
        channel().poll({})
    assert told.value.wait == timedelta(seconds=60)
    reset = int((NOW + timedelta(minutes=10)).timestamp())
    spent = {"x_ratelimit_remaining": "0", "x_ratelimit_reset": str(reset)}
    hub.fault = says({"message": "API rate limit exceeded"}, 403, **spent)
    with pytest.raises(TryLater) as told:
        channel().poll({})
    assert timedelta(minutes=9) < told.value.wait <= timedelta(minutes=10)


def test_what_a_person_must_mend_stops_the_source(hub: Hub, settings) -> None:
    with pytest.raises(SourceStopped, match="GitHub has no /repos/corp/other"):
        GitHub({"repositories": ["corp/other"]}).poll({})
    hub.fault = says({"message": "Bad credentials"}, 401)
    with pytest.raises(SourceStopped, match="GITHUB_TOKEN anew"):
        channel().poll({})
    hub.fault = says({"message": "Resource not accessible by personal access token"}, 403)
    with pytest.raises(SourceStopped, match="not accessible"):
        channel().poll({})
    hub.fault = None
    hub.has_discussions = False
    assert channel().check().message == f"{REPOSITORY} has no discussions: set discussions = false."
    assert channel(discussions=False).check().ok
    settings.GITHUB_TOKEN = ""
    with pytest.raises(SourceStopped, match="set GITHUB_TOKEN"):
        channel().poll({})
    with pytest.raises(SourceStopped, match="owner/name"):
        GitHub({"repositories": ["board"]})


def reply_to(post: Post) -> Reply:
    return Reply(key="reply:1:a", parent_id=post.external_id, thread_id=post.thread_id,
                 text="We are on it.", parent=post.raw, decided_at=NOW)  # fmt: skip


@pytest.mark.parametrize("kind", ["issue", "comment", "discussion", "answer"])
def test_a_reply_goes_out_once_is_found_and_is_no_item(hub: Hub, kind: str) -> None:
    if kind in ("issue", "comment"):
        hub.open("It broke")
        hub.comment(1, "Same here.")
    else:
        hub.say(hub.say(hub.discuss("Wish"), "Me too."), "And me.")
    posts, batch = read(channel())
    post = posts[0 if kind in ("issue", "discussion") else -1]
    assert channel().find(reply_to(post)) == Absent()
    sent = channel().reply(reply_to(post))
    assert isinstance(sent, Sent)
    with time_machine.travel(datetime(2026, 11, 24, 9, tzinfo=UTC)):
        assert channel().find(reply_to(post)).external_id == sent.external_id
    assert "We are on it." not in {one.text for one in read(channel(), batch.cursor)[0]}


def test_a_lost_answer_is_unsure_and_then_found(hub: Hub) -> None:
    hub.open("It broke")
    reply = reply_to(read(channel())[0][0])
    hub.fault = after_taking
    assert isinstance(channel().reply(reply), Unsure)
    hub.fault = None
    assert isinstance(channel().find(reply), Sent)
    assert (
        sum(request.method == "POST" and "comments" in request.path for request in hub.requests)
        == 1
    )


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (403, {"message": "You have exceeded a secondary rate limit"}, Later),
        (403, {"message": "Issue is locked"}, Refused),
        (404, {"message": "Not Found"}, Refused),
        (410, {"message": "This issue was deleted"}, Refused),
        (422, {"message": "Validation Failed", "errors": [{"message": "too long"}]}, Refused),
        (502, {"message": "Server Error"}, Unsure),
    ],
)
def test_what_github_says_to_a_comment(hub: Hub, status: int, body: Any, outcome: type) -> None:
    hub.open("It broke")
    reply = reply_to(read(channel())[0][0])
    hub.fault = says(body, status)
    assert isinstance(channel().reply(reply), outcome)


def test_refresh_tells_edits_and_what_is_gone(hub: Hub) -> None:
    hub.open("One")["body"] = "Better."
    comment = hub.comment(1, "Same.")
    asked = [f"R{REPOSITORY_ID}#1", f"R{REPOSITORY_ID}#1/c{comment['id']}", f"R{REPOSITORY_ID}#9"]
    posts = {post.external_id: post for post in channel().refresh(asked)}
    assert posts[asked[0]].text == "Better."
    assert not posts[asked[1]].is_deleted
    assert posts[asked[2]].is_deleted
    wish = hub.discuss("Wish")
    said = hub.say(hub.say(wish, "Me too."), "And me.")
    said["body"] = "Edited."
    posts = {post.external_id: post for post in channel().refresh([wish["id"], said["id"], "DC_x"])}
    assert posts[wish["id"]].text == "I wish…"
    assert posts[said["id"]].text == "Edited."
    assert posts["DC_x"].is_deleted


def test_a_transferred_issue_is_gone_and_a_hidden_repository_is_not(hub: Hub) -> None:
    hub.open("One")
    hub.open("Two")
    hub.moved = {1}
    asked = [f"R{REPOSITORY_ID}#1", f"R{REPOSITORY_ID}#2"]
    assert [post.is_deleted for post in channel().refresh(asked)] == [True, False]
    hub.is_hidden = True
    with pytest.raises(SourceStopped):
        channel().refresh(asked)


def deliver(client: Client, event: str, payload: Any, secret: str = SECRET, **headers: str) -> int:
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest()
    sent = {"X-GitHub-Event": event, "X-Hub-Signature-256": signature, **headers}
    return client.post(
        "/hooks/github", body, content_type="application/json", headers=sent
    ).status_code


@pytest.mark.django_db(transaction=True)
class TestWebhooks:
    @pytest.fixture(autouse=True)
    def _source(self, settings) -> None:
        settings.GITHUB_WEBHOOK_SECRET = SECRET
        self.source = make_source("gh", channel="github", config={"repositories": [REPOSITORY]})

    def payload(self, hub: Hub, action: str = "opened", **more: Any) -> dict[str, Any]:
        repository = {"id": REPOSITORY_ID, "full_name": REPOSITORY}
        return {"action": action, "issue": hub.issues[0], "repository": repository, **more}

    def test_an_issue_is_an_item_at_once_and_once(self, hub: Hub, client: Client) -> None:
        hub.open("It broke")
        opened = self.payload(hub)
        comment = hub.comment(1, "More.", "ann")
        commented = self.payload(hub, "created", comment=comment)
        assert deliver(client, "issue_comment", commented) == 202
        assert deliver(client, "issues", opened) == 202
        assert deliver(client, "issues", opened) == 202
        add_posts(self.source, read(channel())[0])
        assert Item.objects.filter(title="It broke").count() == 1
        assert Message.objects.count() == 2

    def test_edits_and_deletions_follow(self, hub: Hub, client: Client) -> None:
        issue = hub.open("It broke")
        deliver(client, "issues", self.payload(hub))
        issue["body"] = "Edited."
        deliver(client, "issues", self.payload(hub, "edited"))
        assert Message.objects.get().text == "Edited."
        deliver(client, "issues", self.payload(hub, "deleted"))
        assert Message.objects.get().is_deleted

    def test_what_is_forged_unknown_or_foreign_does_nothing(
        self, hub: Hub, client: Client, settings
    ) -> None:
        hub.open("It broke")
        payload = self.payload(hub)
        assert deliver(client, "issues", payload, "wrong") == 403
        assert deliver(client, "issues", payload, **{"X-Hub-Signature-256": "sha256=ä"}) == 403
        assert deliver(client, "ping", payload) == 204
        foreign = payload | {"repository": {"id": 1, "full_name": "a/b"}}
        assert deliver(client, "issues", foreign) == 204
        assert deliver(client, "issues", [1]) == 204
        own = {"id": 1, "body": "x <!-- feedback:k -->", "issue_url": "x/issues/1"}
        assert deliver(client, "issue_comment", payload | {"comment": own}) == 204
        assert not Item.objects.exists()
        settings.GITHUB_WEBHOOK_SECRET = ""
        assert deliver(client, "issues", payload) == 404

    def test_what_cannot_be_read_is_kept(self, hub: Hub, client: Client) -> None:
        hub.open("It broke")["created_at"] = "yesterday"
        assert deliver(client, "issues", self.payload(hub)) == 202
        assert RejectedPost.objects.get().error == "a post without a time"

    def test_recorded_deliveries_are_taken_in(self, shared: Path, client: Client) -> None:
        folder = shared / "recordings/github/webhooks"
        names = set()
        for path in sorted(folder.glob("*/*.json")):
            payload = json.loads(path.read_text())
            names.add((payload.get("repository") or {}).get("full_name", "a/b"))
        self.source.config = {"repositories": sorted(names)}
        self.source.save()
        for path in sorted(folder.glob("*/*.json")):
            assert deliver(client, path.parent.name, json.loads(path.read_text())) in (202, 204)
        assert Item.objects.count() >= 3
        assert not RejectedPost.objects.exists()


def test_recorded_issues_and_comments_become_posts(shared: Path) -> None:
    count = 0
    for path in sorted((shared / "recordings/github/pygithub-replay").glob("*Issue*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if not re.match(r"[\[{]", line):
                continue
            try:
                value = json.loads(line)
            except ValueError:
                continue
            for row in value if isinstance(value, list) else [value]:
                if isinstance(row, dict) and "issue_url" in row and "body" in row:
                    count += bool(comment_post(row, "a/b", 1, "").text)
                elif isinstance(row, dict) and {"number", "title", "comments"} <= row.keys():
                    count += bool(issue_post(row, "a/b", 1).text)
    assert count > 20
