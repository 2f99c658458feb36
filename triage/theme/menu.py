"""Unfold's settings: the name, the menu, the colours."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy


def _link(title: str, icon: str, url: str, permission: str) -> dict[str, Any]:
    def may(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return {"title": title, "icon": icon, "link": reverse_lazy(url), "permission": may}


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "Feedback triage",
    "SITE_HEADER": "Feedback triage",
    "SITE_URL": None,
    "SITE_SYMBOL": "forum",
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "BORDER_RADIUS": "6px",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda _: static("triage/favicon.svg"),
        },
    ],
    "COLORS": {
        "primary": {
            "50": "oklch(96.2% .018 272.314)",
            "100": "oklch(93% .034 272.788)",
            "200": "oklch(87% .065 274.039)",
            "300": "oklch(78.5% .115 274.713)",
            "400": "oklch(67.3% .182 276.935)",
            "500": "oklch(58.5% .233 277.117)",
            "600": "oklch(51.1% .262 276.966)",
            "700": "oklch(45.7% .24 277.023)",
            "800": "oklch(39.8% .195 277.366)",
            "900": "oklch(35.9% .144 278.697)",
            "950": "oklch(25.7% .09 281.288)",
        },
    },
    "SCRIPTS": [lambda _: static("triage/countdown.js")],
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    _link("Queue", "inbox", "admin:feedback_item_changelist", "feedback.view_item"),
                    _link(
                        "Tracked issues",
                        "bug_report",
                        "admin:triage_trackedissue_changelist",
                        "feedback.view_item",
                    ),
                    _link("Report", "monitoring", "report", "feedback.view_item"),
                    _link(
                        "Sources",
                        "rss_feed",
                        "admin:feedback_source_changelist",
                        "feedback.view_source",
                    ),
                ]
            },
            {
                "title": "Behind it",
                "separator": True,
                "items": [
                    _link(
                        "Rejected posts",
                        "report",
                        "admin:feedback_rejectedpost_changelist",
                        "feedback.view_rejectedpost",
                    ),
                    _link(
                        "Automatic mail",
                        "smart_toy",
                        "admin:feedback_automaticmail_changelist",
                        "feedback.view_automaticmail",
                    ),
                    _link(
                        "Outbox",
                        "outbox",
                        "admin:triage_outboxentry_changelist",
                        "triage.view_outboxentry",
                    ),
                    _link(
                        "Playbook",
                        "menu_book",
                        "admin:triage_playbookversion_changelist",
                        "triage.view_playbookversion",
                    ),
                    _link(
                        "Model",
                        "psychology",
                        "admin:triage_modelversion_changelist",
                        "triage.view_modelversion",
                    ),
                    _link("Users", "person", "admin:auth_user_changelist", "auth.view_user"),
                    _link("Groups", "group", "admin:auth_group_changelist", "auth.view_group"),
                ],
            },
        ],
    },
}
