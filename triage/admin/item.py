"""The item page: the conversation, what was read, the promises, and the answer."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST
from unfold.admin import ModelAdmin

from feedback.channels import account_name
from feedback.models import VIEW_RESTRICTED, Item, Message
from feedback.vocabulary import Category, Channel, Closed, Sentiment, Severity, Topic
from triage import kudos, moves, playbook, replies
from triage.admin import queue
from triage.admin.posted import number_of, text_of, user_of
from triage.conversation import last_reply
from triage.mails import came_back
from triage.models import Delivery, OutboxEntry
from triage.playbook import Playbook
from triage.playbook.schema import VARIABLES
from triage.routing import route
from triage.similar import decided_like, similar_to
from triage.tracking import telling
from triage.tracking.matching import names_of
from triage.tracking.models import Draft, IssueReport

MESSAGES_SHOWN = 300
HISTORY_SHOWN = 200


@admin.register(Item)
class ItemAdmin(ModelAdmin):
    """The queue and its items; both pages are our own, on the admin's frame and permissions."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Items come in through intake alone."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Item | None = None) -> bool:
        """Nothing that anyone said is lost."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """The admin's own, one for what people do to an item, and one for what is like it."""
        act = self.admin_site.admin_view(require_POST(self.act))
        similar = self.admin_site.admin_view(self.similar)
        return [
            path("<int:pk>/similar/", similar, name="feedback_item_similar"),
            path("<int:pk>/act/<slug:name>/", act, name="feedback_item_act"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The queue, or with `rows` only its rows, or 204 where they have not changed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        shown = queue.page(request)
        if "rows" in request.GET:
            return queue.rows_or_nothing(request, shown) or TemplateResponse(
                request, "triage/queue_rows.html", {"page": shown}
            )
        context = self.admin_site.each_context(request) | {
            "title": "Queue",
            "page": shown,
            "has_sample": queue.has_sample(),
            "is_fullwidth": "1",
        }
        return TemplateResponse(request, "triage/queue.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """One item; a posted reply that is to be previewed comes here too."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        item = get_object_or_404(
            Item.objects.seen_by(request.user).select_related(
                "author", "source", "taken_by", "reading"
            ),
            pk=number_of(object_id),
        )
        context = self.admin_site.each_context(request) | _context(request, item)
        context["may_change"] = self.has_change_permission(request)
        context["is_fullwidth"] = "1"
        return TemplateResponse(request, "triage/item.html", context)

    def similar(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The panel of items like this one; the page asks for it once it is there."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        item = get_object_or_404(Item.objects.seen_by(request.user), pk=pk)
        context = {
            "item": item,
            "similar": [one for one in similar_to(item) if _may_see(one.item, request)],
            "decided": [one for one in decided_like(item) if _may_see(one, request)],
            "back": queue.back(request),
        }
        return TemplateResponse(request, "triage/item_similar.html", context)

    def act(self, request: HttpRequest, pk: int, name: str) -> HttpResponse:
        """Do what a person asked for; a conflict is told on the page."""
        if not self.has_change_permission(request) or name not in ACTS:
            raise PermissionDenied
        items = Item.objects.seen_by(request.user).select_related("source", "author")
        item = get_object_or_404(items, pk=pk)
        if "preview" in request.POST:
            return self.change_view(request, str(pk))
        try:
            said = ACTS[name](item, request)
        except (moves.Conflict, ValueError) as error:
            messages.error(request, str(error))
            if name == "reply":  # what was written stays on the page
                return self.change_view(request, str(pk))
        else:
            messages.success(request, said)
        page = reverse("admin:feedback_item_change", args=[pk]) + queue.back(request)
        if name == "reply" and (reply := last_reply(item)):
            page += f"#message-{reply.pk}"  # whose buttons are what comes next
        elif name == "cancel":  # what was taken back can be written anew
            taken = number_of(request.POST.get("entry", ""))
            page += f"{'&' if '?' in page else '?'}taken={taken}#composer"
        return HttpResponseRedirect(page)


def _may_see(item: Item, request: HttpRequest) -> bool:
    return not item.restricted_at or request.user.has_perm(VIEW_RESTRICTED)


def _context(request: HttpRequest, item: Item) -> dict[str, Any]:
    rules = playbook.current()
    conversation = _conversation(item)
    clocks = list(item.clocks.all())
    latest = last_reply(item)
    preview = text_of(request) if "preview" in request.POST else ""
    offered = telling.offered(item)
    tracking = IssueReport.objects.filter(item=item).select_related("tracked").first()
    back = queue.back(request)
    before, after = queue.neighbours(request, item)
    return {
        "title": f"{item.get_channel_display()}: {item.title or item.first_words}"[:80],
        "item": item,
        "reading": getattr(item, "reading", None),
        "conversation": conversation,
        "context_lines": [line for line in item.context.splitlines() if line.strip()],
        "clocks": clocks,
        "due_at": queue.due_at(item.urgency) if item.is_open else None,
        "history": list(item.history.select_related("by").order_by("-at", "-id")[:HISTORY_SHOWN]),
        "responder": rules.roles.get(item.responder),
        "together": route(item.category, item.severity or None, item.topic, rules).together,
        "roles": rules.roles.items(),
        "back": back,
        "back_query": back.removeprefix("?"),
        "queue_url": reverse("admin:feedback_item_changelist") + back,
        "previous_url": _page(before, back),
        "next_url": _page(after, back),
        "template": (request.POST or request.GET).get("template", ""),
        "templates": _templates(item, rules),
        "draft": _draft(request, item, rules, offered),
        "offered": offered,
        "tracking": tracking,
        "candidates": names_of(tracking.candidates) if tracking else [],
        "preview": preview,
        "token": request.POST.get("token") or uuid4().hex,
        # A preview has shown nothing new; a refused reply has: the person now sees the newest.
        "seen": request.POST.get("seen") if preview else (latest.pk if latest else 0),
        "by_hand": replies.is_by_hand(item),
        "reply_url": replies.reply_url(item),
        "sends_as": account_name(item.source.channel, item.source.account),
        "kudos": kudos.kudos(item) if item.sentiment == Sentiment.POSITIVE else [],
        "corrections": [
            _correction("category", "", Category.choices, item.category),
            _correction("severity", "p", [("", "—"), *Severity.choices], item.severity),
            _correction("sentiment", "s", Sentiment.choices, item.sentiment),
            _correction("topic", "o", Topic.choices, item.topic),
        ],
        "closings": Closed.choices,
    }


def _conversation(item: Item) -> list[Message]:
    """The messages; those of mails with what came along, and with what came back."""
    rows = item.messages.select_related("author", "posted_by", "delivery")
    if item.channel != Channel.EMAIL:
        return list(rows.defer("raw")[:MESSAGES_SHOWN])
    found = list(rows[:MESSAGES_SHOWN])
    back = came_back(found)
    for message in found:
        message.came_back = back.get(message.external_id or "", [])  # type: ignore[attr-defined]
    return found


def _correction(
    name: str, prefix: str, choices: Sequence[tuple[str, str]], now: str
) -> dict[str, Any]:
    """A field of the reading with its choices, each with its key: 1 to 7, p0 to p3, s1 …, o1 …"""
    keys = [
        value.lower() if name == "severity" else f"{prefix}{number}"
        for number, (value, _) in enumerate(choices, 1)
    ]
    options = [(*choice, key) for choice, key in zip(choices, keys, strict=True)]
    return {"name": name, "title": name.capitalize(), "options": options, "now": now}


def _page(pk: int | None, back: str) -> str:
    return reverse("admin:feedback_item_change", args=[pk]) + back if pk else ""


def _templates(item: Item, rules: Playbook) -> list[dict[str, Any]]:
    """The playbook's templates, filled; those that suit the item come first."""
    rows = [
        {
            "slug": slug,
            "title": template.title,
            "suits": item.category in template.categories,
            "text": replies.fill(template.text, item, rules).strip(),
        }
        for slug, template in rules.templates.items()
    ]
    return sorted(rows, key=lambda row: not row["suits"])


def _draft(request: HttpRequest, item: Item, rules: Playbook, offered: Draft | None) -> str:
    if request.method == "POST":
        return text_of(request)
    if "taken" in request.GET:
        cancelled = item.outbox.filter(state=Delivery.CANCELLED)
        if taken := cancelled.filter(pk=number_of(request.GET["taken"])).first():
            return str(taken.payload.get("text", ""))
    template = rules.templates.get(request.GET.get("template", ""))
    if template is None:
        return offered.text if offered else ""
    return replies.fill(template.text, item, rules).strip()


def _take(item: Item, request: HttpRequest) -> str:
    moves.take(item, user_of(request))
    return "It is yours."


def _assign(item: Item, request: HttpRequest) -> str:
    responder = request.POST.get("responder", "")
    moves.assign(item, responder, user_of(request))
    return f"Given to {responder}." if responder else "Anyone may answer it now."


def _note(item: Item, request: HttpRequest) -> str:
    moves.add_note(item, text_of(request), user_of(request))
    return "Note kept; only staff can see it."


def _close(item: Item, request: HttpRequest) -> str:
    moves.close(item, request.POST.get("as", ""), user_of(request))
    return "Closed."


def _reopen(item: Item, request: HttpRequest) -> str:
    moves.reopen(item, user_of(request))
    return "Back in the queue."


def _spam(item: Item, request: HttpRequest) -> str:
    moves.mark_spam(item, user_of(request))
    return "Marked as spam."


def _not_about_us(item: Item, request: HttpRequest) -> str:
    moves.not_about_us(item, user_of(request))
    return f"Closed. {item.source.name} learns to leave the like of it out."


def _about_us(item: Item, request: HttpRequest) -> str:
    moves.about_us(item, user_of(request))
    return "Back in the queue; the source learns that too."


def _correct(item: Item, request: HttpRequest) -> str:
    values = {name: request.POST[name] for name in moves.CORRECTABLE if name in request.POST}
    moves.correct(item, user_of(request), **values)
    return "The reading is as you say; responder and clocks follow it."


def _reply(item: Item, request: HttpRequest) -> str:
    text = text_of(request)
    for name in replies.VARIABLE.findall(text):
        if name in VARIABLES:
            raise ValueError(f"Fill in {{{name}}} first, or take it out.")
    entry = replies.send(
        item,
        text,
        user_of(request),
        token=request.POST.get("token", "")[:40],
        seen=number_of(request.POST.get("seen", "")),
        template=request.POST.get("template", "")[:60],
    )
    telling.was_sent(item, number_of(request.POST.get("offered", "")), entry.pk)
    if entry.state == Delivery.BY_HAND:
        return "Ready to be posted by hand: copy it, post it, then say so below."
    return "Sent to the outbox."


def _entry(item: Item, request: HttpRequest) -> OutboxEntry:
    return get_object_or_404(item.outbox, pk=number_of(request.POST.get("entry", "")))


def _posted(item: Item, request: HttpRequest) -> str:
    replies.mark_posted(_entry(item, request), user_of(request))
    return "Marked as posted; the next poll will meet it in the thread."


def _like(item: Item, request: HttpRequest) -> str:
    kudos.like(item, user_of(request))
    return "It is liked in our name within moments."


def _share(item: Item, request: HttpRequest) -> str:
    kudos.share(item, user_of(request))
    return "Shared with the team."


def _cancel(item: Item, request: HttpRequest) -> str:
    replies.cancel(_entry(item, request), user_of(request))
    return "Taken back; nothing was posted."


def _again(item: Item, request: HttpRequest) -> str:
    replies.send_again(_entry(item, request), user_of(request))
    return "Sent to the outbox again."


def _settle(item: Item, request: HttpRequest) -> str:
    arrived = request.POST.get("arrived") == "yes"
    replies.settle(_entry(item, request), user_of(request), arrived=arrived)
    return "Marked as arrived." if arrived else "It is sent again."


ACTS: dict[str, Callable[[Item, HttpRequest], str]] = {
    "take": _take,
    "assign": _assign,
    "note": _note,
    "close": _close,
    "reopen": _reopen,
    "spam": _spam,
    "not-about-us": _not_about_us,
    "about-us": _about_us,
    "correct": _correct,
    "reply": _reply,
    "posted": _posted,
    "cancel": _cancel,
    "like": _like,
    "share": _share,
    "again": _again,
    "settle": _settle,
}
