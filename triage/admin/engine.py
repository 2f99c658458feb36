"""The tables behind the queue: sources and their health, what was rejected, what goes out."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.decorators import action, display
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.paginator import InfinitePaginator

from feedback import preview
from feedback.health import check, lag
from feedback.hints import hint
from feedback.models import RejectedPost, Source
from feedback.replay import replay
from feedback.vocabulary import Channel
from triage.admin.posted import user_of
from triage.figures_page import figures_page
from triage.models import OutboxEntry
from triage.playbook import PlaybookError, store
from triage.replies import spoken

LATE = timedelta(minutes=2)  # a poll that has not begun this long after its time
SHOWN = 20  # posts of a preview
CHECKED = 10  # sources in one click


def code(value: Any) -> SafeString:
    """A value as it is stored, escaped; Unfold's own way of drawing JSON needs inline styles."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    clean = text.encode("utf-8", "replace").decode("utf-8")  # JSON may hold half a character
    return format_html('<pre class="t-code">{}</pre>', clean)


def ago(at: datetime | None) -> str:
    """An instant as pages show it, in short, with the exact one on hover."""
    return render_to_string("triage/ago.html", {"at": at}) if at else "—"


class ReadOnly(ModelAdmin):
    """A table that is looked at, never edited here."""

    show_full_result_count = False
    paginator = InfinitePaginator
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Source)
class SourceAdmin(ReadOnly):
    """Sources and their health; what they read is set in the playbook."""

    list_display = (
        "name",
        "channel",
        "health",
        "last_poll",
        "next_poll",
        "lag_line",
        "meter_line",
        "query_link",
        "figures_link",
        "last_error",
    )
    list_filter = ("channel",)
    ordering = ("name",)
    actions = ("poll_now", "check_now")
    change_list_template = "triage/source_list.html"
    readonly_fields = (
        "lag_line",
        "meter_line",
        "config_shown",
        "cursor_shown",
    )
    fields = (
        "name",
        "channel",
        "enabled",
        "is_stopped",
        "account",
        "every",
        "last_polled_at",
        "next_poll_at",
        "lag_line",
        "failures",
        "last_error",
        "meter_line",
        "config_shown",
        "cursor_shown",
    )

    def get_urls(self) -> list[URLPattern]:
        """The list, and pages for a source's query and its stories."""
        query = self.admin_site.admin_view(self.query)
        figures = self.admin_site.admin_view(self.figures)
        return [
            path("<int:pk>/query/", query, name="source_query"),
            path("<int:pk>/stories/", figures, name="source_figures"),
            *super().get_urls(),
        ]

    def figures(self, request: HttpRequest, pk: int) -> HttpResponse:
        """How the stories that a source follows do over time."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        source = get_object_or_404(Source, pk=pk)
        context = self.admin_site.each_context(request) | figures_page(source)
        return TemplateResponse(request, "triage/source_figures.html", context)

    @display(description="Stories")
    def figures_link(self, source: Source) -> str:
        """The way to how its stories do."""
        stories = source.config.get("stories") or []
        if source.channel != Channel.HACKERNEWS or not stories:
            return ""
        address = reverse("admin:source_figures", args=[source.pk])
        return format_html('<a href="{}">{}</a>', address, f"{len(stories)} followed")

    def query(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What of a source is about us: tried on what it has read, then saved in the playbook."""
        if not self.has_poll_permission(request):
            raise PermissionDenied
        source = get_object_or_404(Source, pk=pk)
        match = request.POST.get("match", source.config.get("match", "")).strip()
        context: dict[str, Any] = {"title": "Query", "source": source, "match": match}
        try:
            found = preview.of_stored(source, match)
            if request.method == "POST" and "preview" not in request.POST:
                store.set_match(source, match, user_of(request))
                messages.success(request, f"{source.name} takes in what matches from now on.")
                return redirect("admin:feedback_source_changelist")
            context |= {"found": found, "shown": SHOWN}
        except (ValueError, PlaybookError) as error:
            context["wrong"] = str(error)
        shown = self.admin_site.each_context(request) | context
        return TemplateResponse(request, "triage/source_query.html", shown)

    @display(description="About us")
    def query_link(self, source: Source) -> str:
        """The way to the source's query."""
        if source.channel == Channel.SAMPLE:
            return ""
        address = reverse("admin:source_query", args=[source.pk])
        return format_html(
            '<a href="{}">{}</a>', address, source.config.get("match") or "Everything"
        )

    @display(
        description="Health",
        label={
            "Off": "info",
            "Stopped": "danger",
            "Failing": "warning",
            "Late": "warning",
            "Well": "success",
        },
    )
    def health(self, source: Source) -> str:
        """One word for how a source does."""
        if not source.enabled:
            return "Off"
        if source.is_stopped:
            return "Stopped"
        if source.failures:
            return "Failing"
        late = lag(source, timezone.now())
        return "Late" if late and late > LATE else "Well"

    @display(description="Last poll", ordering="last_polled_at")
    def last_poll(self, source: Source) -> str:
        """When it was polled last."""
        return ago(source.last_polled_at)

    @display(description="Next poll", ordering="next_poll_at")
    def next_poll(self, source: Source) -> str:
        """When it is polled next; one that is off or has stopped is not."""
        is_read = source.enabled and not source.is_stopped
        at = source.next_poll_at if is_read else None
        return render_to_string("triage/due.html", {"at": at}) if at else "—"

    @display(description="Lag")
    def lag_line(self, source: Source) -> str:
        """By how much its next poll is late."""
        late = lag(source, timezone.now())
        return f"{spoken(late)} late" if late and late > LATE else "none"

    @display(description="Limits")
    def meter_line(self, source: Source) -> str:
        """What the service told of its limits at the last poll."""
        told = [
            f"{value:,} {name}" if isinstance(value, int) else f"{value} {name}"
            for name, value in source.meter.items()
        ]
        lines = format_html_join(
            "", '<div class="whitespace-nowrap">{}</div>', ((line,) for line in told)
        )
        return lines or "none told"

    @action(description="Poll now", permissions=["poll"])
    def poll_now(self, request: HttpRequest, sources: QuerySet[Source]) -> None:
        """Have the chosen sources polled at once; a stopped one tries again."""
        enabled = sources.filter(enabled=True)
        for pk in enabled.values_list("pk", flat=True):
            hint("poll", pk)
        count = enabled.update(next_poll_at=timezone.now(), is_stopped=False)
        messages.success(request, f"{count} sources are polled now.")

    @action(description="Check credentials", permissions=["poll"])
    def check_now(self, request: HttpRequest, sources: QuerySet[Source]) -> None:
        """Ask the services of the chosen sources whether they can work."""
        for source in sources[:CHECKED]:
            health = check(source)
            say = messages.success if health.ok else messages.error
            say(request, f"{source.name}: {health.message}")

    def has_poll_permission(self, request: HttpRequest) -> bool:
        """Whoever may change sources may have them polled."""
        return request.user.has_perm("feedback.change_source")

    @display(description="Config")
    def config_shown(self, source: Source) -> SafeString:
        """The stored value."""
        return code(source.config)

    @display(description="Cursor")
    def cursor_shown(self, source: Source) -> SafeString:
        """The stored value."""
        return code(source.cursor)


@admin.register(RejectedPost)
class RejectedPostAdmin(ReadOnly):
    """Posts that could not be parsed, as they came, to be taken in again after a mend."""

    list_display = ("external_id", "source", "error", "at", "resolved_at")
    list_filter = ("channel",)
    list_select_related = ("source",)
    ordering = ("-pk",)
    readonly_fields = ("raw_shown",)
    fields = ("source", "channel", "external_id", "error", "at", "resolved_at", "raw_shown")
    actions = ("take_in_again",)

    @action(description="Take in again", permissions=["replay"])
    def take_in_again(self, request: HttpRequest, posts: QuerySet[RejectedPost]) -> None:
        """Parse the chosen posts again."""
        new = still = 0
        for source in Source.objects.filter(rejected__in=posts).distinct():
            taken, failed = replay(source, posts)
            new, still = new + taken.new, still + failed
        messages.info(request, f"{new} were taken in, {still} still cannot be read.")

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Whoever may change rejected posts may replay them."""
        return request.user.has_perm("feedback.change_rejectedpost")

    @display(description="As it came")
    def raw_shown(self, post: RejectedPost) -> SafeString:
        """The stored value."""
        return code(post.raw)


@admin.register(OutboxEntry)
class OutboxAdmin(ReadOnly):
    """Everything that leaves, and where it stands."""

    list_display = (
        "kind",
        "item",
        "channel",
        "state",
        "attempts",
        "next_attempt_at",
        "sent_at",
        "error",
    )
    list_select_related = ("item",)
    list_filter = ("state",)
    ordering = ("-pk",)
    readonly_fields = ("payload_shown",)
    fields = (
        "key",
        "kind",
        "item",
        "channel",
        "state",
        "payload_shown",
        "attempts",
        "next_attempt_at",
        "created_at",
        "sent_at",
        "error",
    )

    @display(description="Payload")
    def payload_shown(self, entry: OutboxEntry) -> SafeString:
        """The stored value."""
        return code(entry.payload)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(DjangoUserAdmin, ModelAdmin):  # type: ignore[type-arg]
    """Staff; a user whose name or group is a role of the playbook sees its items under Mine."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(DjangoGroupAdmin, ModelAdmin):
    """Teams; name a group like a role of the playbook."""
