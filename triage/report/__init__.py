"""The sentiment report: what the crowd said in a period, and how it was answered."""

from triage.report.figures import make
from triage.report.values import Kept, Quote, Report, Talk, Waiting
from triage.report.words import as_json, spoken, summary

__all__ = ["Kept", "Quote", "Report", "Talk", "Waiting", "as_json", "make", "spoken", "summary"]
