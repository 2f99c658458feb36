"""Tracked issues: the list, one issue with both histories, and telling everyone who reported it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from feedback.models import VIEW_RESTRICTED, Item
from triage import playbook
from triage.admin.engine import ReadOnly
from triage.admin.posted import number_of, text_of, user_of
from triage.moves import Conflict
from triage.playbook.schema import VARIABLES
from triage.tracking import moves, overview, telling
from triage.tracking.matching import names_of
from triage.tracking.models import (
    DraftState,
    IssueReport,
    Occasion,
    ReportState,
    Telling,
    TrackedIssue,
    TrackedRepository,
)

PAGE = 50
ASKED = 50  # decisions shown at once
SHOWN = 200  # reports, lines of history
PREVIEWED = 100
SHARED = ("workaround", "eta", "version")  # variables that are the same for every reporter
LIST = "admin:triage_trackedissue_changelist"
ONE = "admin:triage_trackedissue_change"


@admin.register(TrackedIssue)
class TrackedIssueAdmin(ReadOnly):
    """The pages are our own, on the admin's frame; who may see and answer items may do so here."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever sees items; private issues are for whom that was given."""
        may = request.user.has_perm("feedback.view_item")
        return may and not (obj and obj.is_private and not request.user.has_perm(VIEW_RESTRICTED))

    def get_urls(self) -> list[URLPattern]:
        """The admin's own, and one for what people do and for telling everyone."""
        view = self.admin_site.admin_view
        act, decide = view(require_POST(self.act)), view(require_POST(self.decide))
        return [
            path("<int:pk>/tell/", view(self.tell), name="tracked_tell"),
            path("<int:pk>/act/<slug:name>/", act, name="tracked_act"),
            path("item/<int:pk>/<slug:name>/", decide, name="tracked_decide"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The list, what a person is to decide above it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        tab = request.GET.get("tab", "open")
        tab = tab if tab in overview.TABS else "open"
        sees_all = request.user.has_perm(VIEW_RESTRICTED)
        begin = number_of(request.GET.get("from", ""))
        found = list(overview.listed(tab, with_private=sees_all)[begin : begin + PAGE + 1])
        context = self.admin_site.each_context(request) | {
            "title": "Tracked issues",
            "tab": tab,
            "tabs": [(key, title) for key, (title, _) in overview.TABS.items()],
            "rows": overview.rows_of(found[:PAGE], timezone.now()),
            "next": begin + PAGE if len(found) > PAGE else 0,
            "asks": _asks(sees_all),
            "repositories": TrackedRepository.objects.order_by("name"),
            "may_change": request.user.has_perm("feedback.change_item"),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "triage/tracked_list.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One tracked issue: its items, both histories, what was told to whom."""
        tracked = self._tracked(request, number_of(object_id))
        reports = tracked.issue_reports.filter(state=ReportState.JOINED)
        reports = reports.select_related("item__author").defer("item__context")
        tellings = list(telling.newest(tracked).select_related("by")[:20])
        others = overview.listed("open", with_private=tracked.is_private).exclude(pk=tracked.pk)
        others = others.filter(is_private=tracked.is_private, category=tracked.category)
        context = self.admin_site.each_context(request) | {
            "title": f"{tracked.name} {tracked.title}"[:80],
            "tracked": tracked,
            "row": overview.rows_of([tracked], timezone.now())[0],
            "reports": reports.order_by("-item__created_at", "-pk")[:SHOWN],
            "events": tracked.events.select_related("by").order_by("-at", "-pk")[:SHOWN],
            "entries": tracked.outbox.order_by("-pk")[:20],
            "tellings": [_told(one) for one in tellings],
            "others": others[:SHOWN],
            "may_change": request.user.has_perm("feedback.change_item"),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "triage/tracked_issue.html", context)

    def tell(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Write to everyone who reported it; shown to the writer before it goes out."""
        tracked = self._tracked(request, pk)
        if not request.user.has_perm("feedback.change_item"):
            raise PermissionDenied
        rules = playbook.current()
        asked = request.POST if request.method == "POST" else request.GET
        slug = asked.get("template", telling.KNOWN)
        template = rules.templates.get(slug)
        default = template.text.strip() if template else ""
        written = text_of(request, default=default)[:10_000]
        values = {name: asked.get(name, "").strip()[:500] for name in SHARED}
        values = {name: value for name, value in values.items() if value}
        previews = telling.preview(tracked, written, values) if request.method == "POST" else []
        missing = sorted({name for one in previews for name in telling.unfilled(one.text)})
        if request.method == "POST" and "preview" not in request.POST and not missing:
            return self._send(request, tracked, written, slug, values)
        if missing:
            messages.error(request, f"Fill in {', '.join(f'{{{n}}}' for n in missing)} first.")
        context = self.admin_site.each_context(request) | {
            "title": f"Tell everyone: {tracked.title}"[:80],
            "tracked": tracked,
            "text": written,
            "template": slug,
            "templates": [(key, one.title) for key, one in rules.templates.items()],
            "fields": [(name, values.get(name, "")) for name in SHARED],
            "previews": previews[:PREVIEWED],
            "more": max(0, len(previews) - PREVIEWED),
            "count": len(previews) or tracked.reports,
            "may_send": bool(previews) and not missing,
            "token": request.POST.get("token", "")[:40] or uuid4().hex,
            "variables": sorted(VARIABLES),
        }
        return TemplateResponse(request, "triage/tracked_tell.html", context)

    def _send(
        self, request: HttpRequest, tracked: TrackedIssue, text: str, slug: str, values: Any
    ) -> HttpResponse:
        """Draft it for all and send it; pressing twice tells it once."""
        token = request.POST.get("token", "")[:40] or uuid4().hex
        now = timezone.now()
        with transaction.atomic():
            told = telling.tell(
                tracked,
                Occasion.KNOWN,
                text,
                now,
                key=f"known:{tracked.key}:{token}",
                template=slug,
                values=values,
                by=user_of(request),
            )
        _report(request, told, telling.send_all(told, user_of(request)))
        return HttpResponseRedirect(reverse(ONE, args=[tracked.pk]))

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do what a person asked for of a tracked issue."""
        tracked = self._tracked(request, pk)
        if not request.user.has_perm("feedback.change_item") or name not in ACTS:
            raise PermissionDenied
        page = reverse(ONE, args=[tracked.pk])
        try:
            page = ACTS[name](tracked, request) or page
        except (Conflict, ValueError) as error:
            messages.error(request, str(error))
        return HttpResponseRedirect(page)

    def decide(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do what a person decided of one report."""
        if not request.user.has_perm("feedback.change_item") or name not in DECISIONS:
            raise PermissionDenied
        item = get_object_or_404(Item.objects.seen_by(request.user), pk=pk)
        try:
            messages.success(request, DECISIONS[name](item, request))
        except (Conflict, ValueError) as error:
            messages.error(request, str(error))
        if request.POST.get("back") == "list":
            return HttpResponseRedirect(reverse(LIST))
        return HttpResponseRedirect(reverse("admin:feedback_item_change", args=[pk]))

    def _tracked(self, request: HttpRequest, pk: int) -> TrackedIssue:
        rows = TrackedIssue.objects.select_related("repository", "merged_into")
        tracked = get_object_or_404(rows, pk=pk)
        if not self.has_view_permission(request, tracked):
            raise PermissionDenied
        return tracked


def _asks(sees_all: bool) -> list[dict[str, Any]]:
    """The reports that a person is to decide on."""
    states = [ReportState.OFFERED, *([ReportState.SECURITY] if sees_all else [])]
    reports: QuerySet[IssueReport] = IssueReport.objects.filter(state__in=states)
    reports = reports.select_related("item").defer("item__context")
    if not sees_all:
        reports = reports.filter(item__restricted_at=None)
    return [
        {"report": report, "item": report.item, "candidates": names_of(report.candidates)}
        for report in reports.order_by("-at", "-pk")[:ASKED]
    ]


def _told(one: Telling) -> dict[str, Any]:
    drafts = one.drafts.select_related("item__author", "entry").defer("item__context")
    waiting = one.drafts.filter(state=DraftState.OPEN)
    first = waiting.first()
    return {
        "telling": one,
        "drafts": drafts.order_by("pk")[:SHOWN],
        "open": waiting.count(),
        "missing": telling.unfilled(first.text) if first else [],
    }


def _merge(tracked: TrackedIssue, request: HttpRequest) -> str:
    into = moves.merge(tracked.pk, number_of(request.POST.get("into", "")), user_of(request))
    messages.success(request, f"Its reports are now reports of {into.name}.")
    return reverse(ONE, args=[into.pk])


def _send_all(tracked: TrackedIssue, request: HttpRequest) -> str:
    one = get_object_or_404(tracked.tellings, pk=number_of(request.POST.get("telling", "")))
    values = {name: request.POST.get(name, "").strip()[:500] for name in SHARED}
    telling.rewrite(one, values)
    _report(request, one, telling.send_all(one, user_of(request)))
    return ""


def _drop(tracked: TrackedIssue, request: HttpRequest) -> str:
    one = get_object_or_404(tracked.tellings, pk=number_of(request.POST.get("telling", "")))
    telling.drop(one.drafts.open())
    messages.success(request, "The drafts are dropped; nothing was sent.")
    return ""


def _report(request: HttpRequest, one: Telling, done: telling.SentAll) -> None:
    left = one.drafts.filter(state=DraftState.OPEN).count()
    messages.success(request, f"{done.sent} answers are in the outbox.")
    for reason in done.kept:
        messages.error(request, reason)
    if left and not done.kept:
        messages.warning(request, f"{left} are left: press again to send them too.")


def _join(item: Item, request: HttpRequest) -> str:
    tracked = moves.join(item, _wanted(request), user_of(request))
    return f"It is a report of {tracked.name} now."


def _split(item: Item, request: HttpRequest) -> str:
    moves.split(item, user_of(request))
    return "It gets an issue of its own."


def _apart(item: Item, request: HttpRequest) -> str:
    moves.set_apart(item, user_of(request))
    return "It is not tracked."


def _harmless(item: Item, request: HttpRequest) -> str:
    if not request.user.has_perm(VIEW_RESTRICTED):
        raise PermissionDenied
    moves.harmless(item, user_of(request))
    return "It is no security matter: it is decided on like any other."


def _quote(item: Item, request: HttpRequest) -> str:
    moves.may_quote(item, user_of(request))
    return "Its words may be quoted in public."


def _wanted(request: HttpRequest) -> int:
    """The tracked issue that was chosen: as a row, or by its number on GitHub."""
    if number := number_of(request.POST.get("number", "").strip().lstrip("#")):
        rows = TrackedIssue.objects.filter(number=number).order_by("is_private")
        if not request.user.has_perm(VIEW_RESTRICTED):
            rows = rows.filter(is_private=False)
        found = rows.values_list("pk", flat=True).first()
        if found is None:
            raise Conflict(f"No tracked issue has the number {number}.")
        return found
    return number_of(request.POST.get("tracked", ""))


ACTS: dict[str, Callable[[TrackedIssue, HttpRequest], str]] = {
    "merge": _merge,
    "send-all": _send_all,
    "drop": _drop,
}
DECISIONS: dict[str, Callable[[Item, HttpRequest], str]] = {
    "join": _join,
    "split": _split,
    "apart": _apart,
    "harmless": _harmless,
    "quote": _quote,
}
