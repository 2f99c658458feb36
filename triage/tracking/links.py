"""What templates may say of an item's tracked issue."""

from collections.abc import Mapping

from feedback.models import Item
from triage.tracking.models import IssueReport, ReportState, TrackedIssue


def facts_of(item: Item) -> Mapping[str, str]:
    """The tracking link and the version of the fix, as far as they are known and public."""
    report = (
        IssueReport.objects.filter(item=item, state=ReportState.JOINED)
        .select_related("tracked__repository")
        .first()
    )
    if report is None or report.tracked is None:
        return {"tracking": "", "version": ""}
    return {"tracking": public_url(report.tracked), "version": report.tracked.version}


def public_url(tracked: TrackedIssue) -> str:
    """Where everybody can follow a tracked issue; nothing where they cannot."""
    if tracked.is_private or tracked.repository.is_private:
        return ""
    return tracked.url
