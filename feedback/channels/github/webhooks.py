"""GitHub's webhooks: an issue is an item within seconds; what is missed, polls read later.

A delivery may come twice, late or in any order: intake knows what it has.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from feedback.channels.base import Post, Unreadable
from feedback.channels.github.posts import (
    CHANNEL,
    comment_post,
    discussion_post,
    gone,
    is_own,
    is_pull_request,
    issue_id,
    issue_number,
    issue_post,
)
from feedback.credentials import credential
from feedback.intake import add_posts
from feedback.models import Source

LARGEST = 5_000_000  # bytes; GitHub sends at most 25 MB, and no such is about a comment
GONE = ("deleted", "transferred")
EVENTS = ("issues", "issue_comment", "discussion", "discussion_comment")


@csrf_exempt
@require_POST
def receive(request: HttpRequest) -> HttpResponse:
    """Take one delivery in. 403 for a wrong signature, 204 where there is nothing to do."""
    secret = credential("GITHUB_WEBHOOK_SECRET")
    if not secret:
        return HttpResponse("GITHUB_WEBHOOK_SECRET is not set.\n", status=404)
    if int(request.META.get("CONTENT_LENGTH") or 0) > LARGEST:
        return HttpResponse("Too big.\n", status=413)
    if not is_signed(request.body, request.headers.get("X-Hub-Signature-256", ""), secret):
        return HttpResponse("The signature is wrong.\n", status=403)
    try:
        payload = json.loads(request.body)
    except (ValueError, RecursionError):
        return HttpResponse("This is not JSON.\n", status=400)
    event = request.headers.get("X-GitHub-Event", "")
    if event not in EVENTS or not isinstance(payload, Mapping):
        return HttpResponse(status=204)
    return HttpResponse(status=202 if _take(event, payload) else 204)


def is_signed(body: bytes, header: str, secret: str) -> bool:
    """Whether `header` is GitHub's signature of the raw body."""
    wanted = b"sha256=" + hmac.new(secret.encode(), body, "sha256").hexdigest().encode()
    # Bytes: comparing text that is not ASCII raises.
    return hmac.compare_digest(wanted, header.strip().encode("utf-8", "replace"))


def _take(event: str, payload: Mapping[str, Any]) -> bool:
    """Hand what a delivery says to intake. Returns whether a source wants it."""
    repository = payload.get("repository")
    name = str(repository.get("full_name") or "") if isinstance(repository, Mapping) else ""
    source = _source(name, event)
    row = payload.get("comment") or payload.get("issue") or payload.get("discussion")
    if source is None or not isinstance(row, Mapping) or is_own(row.get("body")):
        return False
    if is_pull_request(payload.get("issue") or {}):
        return False
    try:
        add_posts(source, [_post(event, payload, name)])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        id_ = str(row.get("node_id") or row.get("id"))
        add_posts(source, [], [Unreadable(external_id=id_, raw=dict(row), error=str(error))])
    return True


def _source(name: str, event: str) -> Source | None:
    """The source that reads a repository, and this kind of thing in it."""
    kind = "discussions" if event.startswith("discussion") else "issues"
    for source in Source.objects.filter(channel=CHANNEL, enabled=True):
        names = [str(one).casefold() for one in source.config.get("repositories") or []]
        if name.casefold() in names and source.config.get(kind, True):
            return source
    return None


def _post(event: str, payload: Mapping[str, Any], name: str) -> Post:
    repository_id = int(payload["repository"]["id"])
    is_gone = payload.get("action") in GONE
    if event == "issues":
        post = issue_post(payload["issue"], name, repository_id)
    elif event == "issue_comment":
        title = str(payload["issue"].get("title") or "")
        comment = payload["comment"]
        post = comment_post(comment, name, repository_id, title)
        thread = issue_id(repository_id, issue_number(comment))
        return gone(post.external_id, thread) if is_gone else post
    else:
        discussion = payload["discussion"]
        comment = payload.get("comment") if event == "discussion_comment" else None
        parent = str(discussion.get("node_id")) if comment else None
        post = discussion_post(comment or discussion, name, discussion, parent)
    return gone(post.external_id, post.thread_id) if is_gone else post
