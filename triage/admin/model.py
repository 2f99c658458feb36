"""The model's versions: what was learnt from corrections, compared, put in force, rolled back."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from feedback.models import Item
from triage.admin.engine import ReadOnly
from triage.admin.posted import user_of
from triage.classifier import ModelError
from triage.classifier.reader import shipped_version
from triage.learning import versions
from triage.learning.learn import NEEDED, TooFew, learn
from triage.models import ModelVersion

PAGE = "admin:triage_modelversion_changelist"
SHOWN = 50


@admin.register(ModelVersion)
class ModelVersionAdmin(ReadOnly):
    """Versions side by side; learning and putting in force need the right to change them."""

    def get_urls(self) -> list[URLPattern]:
        """The page, and what its buttons do."""
        view = self.admin_site.admin_view
        return [
            path("learn/", view(require_POST(self.learn)), name="model_learn"),
            path("use/<int:pk>/", view(require_POST(self.use)), name="model_use"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The shipped model and what was learnt on top of it, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        rows = ModelVersion.objects.select_related("made_by", "activated_by").defer("weights")
        shown = list(rows.order_by("-pk")[:SHOWN])
        context = self.admin_site.each_context(request) | {
            "title": "Model",
            "shipped": _shipped(),
            "is_shipped": not any(version.is_active for version in shown),
            "versions": [(version, list(_figures(version))) for version in shown],
            "seen": Item.objects.filter(corrected=True).count(),
            "needed": NEEDED,
            "may_change": _may(request),
        }
        return TemplateResponse(request, "triage/model.html", context)

    def learn(self, request: HttpRequest) -> HttpResponse:
        """Learn from the corrections; it takes seconds."""
        _must(request)
        try:
            learnt = learn(shipped_version(), user_of(request))
        except (TooFew, ModelError) as error:
            messages.error(request, str(error))
        else:
            say = messages.success if learnt.version.is_in_force() else messages.warning
            say(request, f"{learnt.version}: {learnt.reason}")
        return redirect(PAGE)

    def use(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Put a version in force; 0 is the shipped model alone."""
        _must(request)
        version = get_object_or_404(ModelVersion, pk=pk, base=_shipped()) if pk else None
        versions.activate(version, user_of(request))
        messages.success(request, f"{version or _shipped()} reads from now on.")
        return redirect(PAGE)


def _may(request: HttpRequest) -> bool:
    return request.user.has_perm("triage.change_modelversion")


def _must(request: HttpRequest) -> None:
    if not _may(request):
        raise PermissionDenied


def _shipped() -> str:
    try:
        return shipped_version()
    except ModelError as error:
        return str(error)


def _figures(version: ModelVersion) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """By head what was read right of what was held out, before and after."""
    before, after = version.figures.get("before", {}), version.figures.get("after", {})
    for head in after:
        yield head, before.get(head, {}), after[head]
