"""Static files and templates that stand before Unfold's own."""

from django.apps import AppConfig


class ThemeConfig(AppConfig):
    name = "triage.theme"
    label = "theme"
