"""The first page: with nothing to watch yet, two ways to begin."""

import re

from django.contrib import admin, messages
from django.contrib.admin.views.decorators import staff_member_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_POST

from feedback.channels import sample
from feedback.hints import hint
from feedback.models import Source
from triage.playbook import PlaybookError, store

QUEUE = "admin:feedback_item_changelist"
EVERY = "2m"


@staff_member_required(login_url="admin:login")
def home(request: HttpRequest) -> HttpResponse:
    """The queue; before any source is there, the two ways to begin."""
    if Source.objects.filter(enabled=True).exists() or not request.user.has_perm(
        "feedback.add_source"
    ):
        return redirect(QUEUE)
    context = admin.site.each_context(request) | {"title": "Begin"}
    return TemplateResponse(request, "triage/start.html", context)


@require_POST
@staff_member_required(login_url="admin:login")
def watch(request: HttpRequest) -> HttpResponse:
    """Watch Hacker News for a word: a source like any other, written into the playbook."""
    _may(request, "feedback.add_source")
    word = " ".join(request.POST.get("word", "").split())[:100]
    if not word:
        messages.error(request, "Write a word or phrase to watch for.")
        return redirect("home")
    table = {"name": _name(word), "channel": "hackernews", "queries": [word], "every": EVERY}
    try:
        source = store.add_source(table, request.user)  # type: ignore[arg-type]
    except PlaybookError as error:
        messages.error(request, str(error))
        return redirect("home")
    hint("poll", source.pk)
    messages.success(request, f"Watching Hacker News for “{word}”. What it finds appears here.")
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


def _name(word: str) -> str:
    """A source's name for a word, with a number where it is taken."""
    stem = "hn-" + (re.sub(r"[^\w]+", "-", word.casefold()).strip("-") or "word")[:60]
    taken = set(Source.objects.filter(name__startswith=stem).values_list("name", flat=True))
    numbered = (f"{stem}-{number}" for number in range(2, len(taken) + 3))
    return next(name for name in (stem, *numbered) if name not in taken)


def _may(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied
