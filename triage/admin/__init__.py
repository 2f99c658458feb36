"""The pages that staff live in, on Django's admin.

`queue` the list, `item` one item, `start` the first page, `playbook` the rules,
`tracking` the tracked issues, `model` what was learnt, `engine` the tables behind them.
"""

from triage.admin import engine, item, model, playbook, queue, start, tracking

__all__ = ["engine", "item", "model", "playbook", "queue", "start", "tracking"]
