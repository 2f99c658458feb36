"""One report that joined wrongly does not draw everybody after it who says the same."""

import pytest
from django.utils import timezone

from tests.triage.tracking.conftest import settle
from triage.tracking import moves, records
from triage.tracking.matching import Candidate, Nothing, Perhaps, Same, verdict
from triage.tracking.models import ReportState, TrackedIssue
from triage.tracking.turn import turn

EXPORT = "Exporting the report to CSV gives me an empty file with 0 bytes."
CHART = "The PDF of the burndown leaves out the chart, there is only a white box."
CHART_AGAIN = "The PDF of the burndown leaves out the chart, I only get a white box."


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([Candidate(1, 0.2, 0.2)], Same),
        ([Candidate(1, 0.2, 0.001)], Perhaps),  # like a joined report alone
        ([Candidate(1, 0.2, 0.2), Candidate(2, 0.15, 0.15)], Perhaps),
        ([Candidate(1, 0.03, 0.03)], Perhaps),
        ([Candidate(1, 0.001, 0.001)], Nothing),
        ([], Nothing),
    ],
)
def test_a_report_joins_what_it_is_like_from_the_beginning(found, expected):
    assert isinstance(verdict(found, sure=0.08, unsure=0.008), expected)


@pytest.mark.django_db(transaction=True)
def test_one_wrong_join_draws_nobody_until_a_person_says_that_it_is_right(github, report, staff):
    report(EXPORT)
    settle()
    export = TrackedIssue.objects.get()
    wrong = report(CHART)
    with turn():
        records.join(wrong.tracking, export, timezone.now(), score=0.09)
    settle()
    second = report(CHART_AGAIN)
    settle()
    second.tracking.refresh_from_db()
    assert second.tracking.state == ReportState.OFFERED
    assert [pk for pk, _ in second.tracking.candidates] == [export.pk]

    moves.join(second, export.pk, staff)
    third = report(CHART_AGAIN, author="somebody else")
    settle()
    third.tracking.refresh_from_db()
    assert third.tracking.tracked == export
