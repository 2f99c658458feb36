"""The first page: with nothing to watch yet, two ways to begin. Later ones are added here too."""

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from feedback import preview
from feedback.channels import sample
from feedback.channels.hackernews.config import story_id
from feedback.hints import hint
from feedback.models import Source
from triage.admin.posted import user_of
from triage.playbook import PlaybookError, store

QUEUE = "admin:feedback_item_changelist"
EVERY = "2m"
SHOWN = 20  # posts of a preview


@staff_member_required(login_url="admin:login")
def home(request: HttpRequest) -> HttpResponse:
    """The queue; before any source is there, the two ways to begin."""
    if Source.objects.filter(enabled=True).exists() or not request.user.has_perm(
        "feedback.add_source"
    ):
        return redirect(QUEUE)
    return _page(request)


@staff_member_required(login_url="admin:login")
def watch(request: HttpRequest) -> HttpResponse:
    """Watch Hacker News for a word or follow a story: a source like any other, written into the
    playbook. With `preview` nothing is written, and what it would find is shown.
    """
    _may(request, "feedback.add_source")
    asked = " ".join(request.POST.get("word", "").split())[:200]
    if request.method != "POST":
        return _page(request)
    if not asked:
        messages.error(request, "Write a word or phrase to watch for.")
        return _page(request)
    table = _table(asked)
    if "preview" in request.POST:
        return _page(request, {"word": asked, "found": preview.of_service("hackernews", table)})
    try:
        source = store.add_source(table, user_of(request))
    except PlaybookError as error:
        messages.error(request, str(error))
        return _page(request, {"word": asked})
    hint("poll", source.pk)
    what = f"following story {table['stories'][0]}" if "stories" in table else f"for “{asked}”"
    messages.success(request, f"Watching Hacker News {what}. What it finds appears here.")
    return redirect(QUEUE)


@require_POST
@staff_member_required(login_url="admin:login")
def play_sample(request: HttpRequest) -> HttpResponse:
    """Play the sample launch."""
    _may(request, "feedback.add_source")
    try:
        sample.play()
    except ValueError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, "The sample launch plays: a day in about five minutes.")
    return redirect(QUEUE)


@require_POST
@staff_member_required(login_url="admin:login")
def remove_sample(request: HttpRequest) -> HttpResponse:
    """Remove the sample without a trace."""
    _may(request, "feedback.delete_source")
    sample.remove()
    messages.success(request, "The sample launch is gone without a trace.")
    return HttpResponseRedirect("/")


def _page(request: HttpRequest, extra: dict[str, Any] | None = None) -> HttpResponse:
    is_first = not Source.objects.filter(enabled=True).exists()
    context = admin.site.each_context(request) | {"title": "Begin" if is_first else "Listen"}
    context |= {"is_first": is_first, "shown": SHOWN} | (extra or {})
    return TemplateResponse(request, "triage/start.html", context)


def _table(asked: str) -> dict[str, Any]:
    """A source of Hacker News for a word, or for a story by its address."""
    try:
        story = story_id(asked)
    except ValueError:
        story = 0
    if story and "/" in asked:
        return {
            "name": _name(str(story)),
            "channel": "hackernews",
            "stories": [story],
            "every": EVERY,
        }
    return {"name": _name(asked), "channel": "hackernews", "queries": [asked], "every": EVERY}


def _name(word: str) -> str:
    """A source's name for a word, with a number where it is taken."""
    stem = "hn-" + (re.sub(r"[^\w]+", "-", word.casefold()).strip("-") or "word")[:60]
    taken = set(Source.objects.filter(name__startswith=stem).values_list("name", flat=True))
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (stem, *numbered) if name not in taken)


def _may(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
