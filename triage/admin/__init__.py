"""The pages that staff live in, on Django's admin.

`queue` the list, `item` one item, `start` the first page, `playbook` the rules, `tracking` the
tracked issues, `model` what was learnt, `mail` downloads and automatic mail, `engine` the tables
behind them.
"""

from triage.admin import engine, item, mail, model, playbook, queue, start, tracking

__all__ = ["engine", "item", "mail", "model", "playbook", "queue", "start", "tracking"]
