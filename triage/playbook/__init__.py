"""The rules of a launch: one TOML document in versions, parsed into one typed value.

PlaybookError   the document is wrong; the message has a line for each mistake
"""

from triage.playbook.schema import Playbook
from triage.playbook.store import current, shipped
from triage.playbook.text import PlaybookError, parse

__all__ = ["Playbook", "PlaybookError", "current", "parse", "shipped"]
