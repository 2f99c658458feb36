"""Whether two texts report the same thing, in whatever words and on whichever channel."""

from triage.duplicates.index import WIDTH, Index, Match
from triage.duplicates.score import SAME
from triage.duplicates.traits import Report, report_of

__all__ = ["SAME", "WIDTH", "Index", "Match", "Report", "report_of"]
