"""Mails: their files as downloads, and those that programs wrote, kept apart."""

import mimetypes
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import action, display

from feedback import files
from feedback.intake import begin_item
from feedback.models import AutomaticMail, Message
from triage.admin.engine import ReadOnly

# What a browser might run is of no type, should it ever be opened in place.
SCRIPTED = ("text/html", "application/xhtml+xml", "image/svg+xml", "text/xml", "application/xml")
UNKNOWN = "application/octet-stream"


def download(kept: str, name: str) -> FileResponse:
    """A kept content as an attachment, never shown in place. Raises Http404."""
    try:
        file = files.opened(kept)
    except ValueError as error:
        raise Http404(str(error)) from error
    kind = mimetypes.guess_type(name)[0] or UNKNOWN
    kind = UNKNOWN if kind in SCRIPTED or "script" in kind else kind
    response = FileResponse(file, as_attachment=True, filename=name, content_type=kind)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response


def mail_file(request: HttpRequest, pk: int, number: int) -> FileResponse:
    """The file of that number of a mail."""
    message = _message(request, pk)
    rows = message.raw.get("files")
    row: Any = rows[number] if isinstance(rows, list) and number < len(rows) else {}
    return download(str(row.get("kept") or ""), str(row.get("name") or "file"))


def whole_mail(request: HttpRequest, pk: int) -> FileResponse:
    """A mail as it came."""
    message = _message(request, pk)
    return download(str(message.raw.get("mail") or ""), f"mail-{pk}.eml")


def _message(request: HttpRequest, pk: int) -> Message:
    if not request.user.has_perm("feedback.view_item"):
        raise PermissionDenied
    message = get_object_or_404(Message, pk=pk)
    if not isinstance(message.raw, dict):
        raise Http404
    return message


@admin.register(AutomaticMail)
class AutomaticMailAdmin(ReadOnly):
    """Mails that programs wrote: bounces, receipts, lists, answers of people who are away."""

    list_display = ("subject", "author", "automatic", "source", "created_at")
    list_filter = ("automatic",)
    list_select_related = ("author", "source")
    ordering = ("-pk",)
    readonly_fields = ("subject", "why", "whole", "text_shown")
    fields = (
        "subject",
        "author",
        "automatic",
        "why",
        "source",
        "created_at",
        "text_shown",
        "whole",
    )
    actions = ("make_items",)

    def get_urls(self) -> list[URLPattern]:
        """The list, and the downloads of every mail."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/files/<int:number>/", wrap(mail_file), name="mail_file"),
            path("<int:pk>/mail/", wrap(whole_mail), name="mail_whole"),
            *super().get_urls(),
        ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AutomaticMail]:
        """Those that are kept apart."""
        found: QuerySet[AutomaticMail] = super().get_queryset(request)
        return found.filter(automatic__isnull=False, item=None)

    @action(description="A person wrote it: make an item of it", permissions=["take"])
    def make_items(self, request: HttpRequest, mails: QuerySet[AutomaticMail]) -> None:
        """Undo a wrong guess."""
        done = sum(begin_item(message.pk) for message in mails)
        messages.success(request, f"{done} are in the queue now.")

    def has_take_permission(self, request: HttpRequest) -> bool:
        """Whoever may change items may make one."""
        return request.user.has_perm("feedback.change_item")

    @display(description="Subject")
    def subject(self, message: Message) -> str:
        """Its subject, else its first words."""
        return str(message.raw.get("subject") or message.text[:80] or "(no words)")

    @display(description="Why it came back")
    def why(self, message: Message) -> str:
        """What the other server said."""
        return str(message.raw.get("why") or "—")

    @display(description="Text")
    def text_shown(self, message: Message) -> SafeString:
        """What it says, escaped."""
        return format_html('<pre class="t-code">{}</pre>', message.text[:20_000])

    @display(description="As it came")
    def whole(self, message: Message) -> SafeString:
        """The way to the whole mail."""
        address = reverse("admin:mail_whole", args=[message.pk])
        return format_html('<a href="{}">Download the mail</a>', address)
