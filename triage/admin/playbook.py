"""The playbook in the admin: its text with check and diff, its templates as small forms."""

import difflib
from typing import Any

import tomlkit
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from unfold.decorators import display

from triage.admin.engine import ReadOnly, code
from triage.admin.posted import text_of, user_of
from triage.models import PlaybookVersion
from triage.playbook import PlaybookError, parse, store
from triage.playbook.schema import VARIABLES

LIST = "admin:triage_playbookversion_changelist"
MAY_EDIT = "triage.add_playbookversion"


@admin.register(PlaybookVersion)
class PlaybookVersionAdmin(ReadOnly):
    """The versions of the rules; the newest is in force, an edit makes a new one."""

    list_display = ("__str__", "loaded_at", "loaded_by", "note")
    list_select_related = ("loaded_by",)
    ordering = ("-pk",)
    readonly_fields = ("text_shown",)
    fields = ("loaded_at", "loaded_by", "note", "text_shown")
    change_list_template = "triage/playbook_list.html"

    @display(description="Text")
    def text_shown(self, version: PlaybookVersion) -> SafeString:
        """The whole document."""
        return code(version.text)

    def get_urls(self) -> list[URLPattern]:
        """The list, the text and a form for each template."""
        view = self.admin_site.admin_view
        return [
            path("edit/", view(self.edit), name="playbook_edit"),
            path("template/<slug:slug>/", view(self.template), name="playbook_template"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The versions, with the templates of the one in force."""
        rules = store.current()
        extra = {"templates": rules.templates.items(), "may_edit": request.user.has_perm(MAY_EDIT)}
        return super().changelist_view(request, {**(extra_context or {}), **extra})

    def edit(self, request: HttpRequest) -> HttpResponse:
        """The text: check it, see what would change, put it in force."""
        _may_edit(request)
        loaded, seen = _in_force()
        text = text_of(request, default=loaded)
        problems: list[str] = []
        if request.method == "POST":
            problems = _problems(text)
            if not problems and "load" in request.POST and _is_newest(request, seen):
                store.load(text, by=user_of(request), note="edited in the admin")
                messages.success(request, "In force. Items keep the version they were routed by.")
                return redirect(LIST)
        context = self.admin_site.each_context(request) | {
            "title": "Edit the playbook",
            "text": text,
            "seen": seen,
            "problems": problems,
            "was_checked": request.method == "POST",
            "diff": _diff(loaded, text),
        }
        return TemplateResponse(request, "triage/playbook_edit.html", context)

    def template(self, request: HttpRequest, slug: str) -> HttpResponse:
        """One reply template; what is saved is written into the playbook's text."""
        _may_edit(request)
        loaded, seen = _in_force()
        rules = store.current()
        if slug not in rules.templates:
            raise Http404
        title = request.POST.get("title", rules.templates[slug].title)
        body = text_of(request, "body", rules.templates[slug].text)
        problems: list[str] = []
        if request.method == "POST":
            text = _with_template(loaded, slug, title, body)
            problems = _problems(text)
            if not problems and _is_newest(request, seen):
                note = f"template {slug} edited in the admin"
                store.load(text, by=user_of(request), note=note)
                messages.success(request, f"Template “{title}” is saved.")
                return redirect(LIST)
        context = self.admin_site.each_context(request) | {
            "title": f"Template {slug}",
            "slug": slug,
            "template_title": title,
            "body": body,
            "seen": seen,
            "problems": problems,
            "variables": sorted(f"{{{name}}}" for name in VARIABLES),
        }
        return TemplateResponse(request, "triage/playbook_template.html", context)


def _may_edit(request: HttpRequest) -> None:
    if not request.user.has_perm(MAY_EDIT):
        raise PermissionDenied


def _in_force() -> tuple[str, int]:
    """The text in force and its version, 0 for the shipped one."""
    newest = PlaybookVersion.objects.order_by("-pk").first()
    return (newest.text, newest.pk) if newest else (store.SHIPPED.read_text("utf-8"), 0)


def _is_newest(request: HttpRequest, seen: int) -> bool:
    """Whether the person edited the version in force; if not, they are told."""
    if request.POST.get("seen") == str(seen):
        return True
    messages.error(
        request, "Somebody changed the playbook meanwhile. See the difference, then save again."
    )
    return False


def _problems(text: str) -> list[str]:
    try:
        parse(text, "playbook")
    except PlaybookError as error:
        return error.problems
    return []


def _diff(old: str, new: str) -> list[tuple[str, str]]:
    """The lines of a unified diff, each with what it is: added, removed, place or same."""
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
    return [(kinds.get(line[:1], "same"), line) for line in lines if line[:3] not in ("---", "+++")]


def _with_template(text: str, slug: str, title: str, body: str) -> str:
    """A playbook's text with one template changed, its comments kept."""
    document = tomlkit.parse(text)
    table: Any = document["templates"][slug]
    table["title"] = title
    table["text"] = tomlkit.string(body.strip("\n") + "\n", multiline=True)
    return tomlkit.dumps(document)
