"""The pages that staff live in, on Django's admin.

`queue` the list, `item` one item, `start` the first page, `playbook` the rules,
`engine` the tables behind them.
"""

from triage.admin import engine, item, playbook, queue, start

__all__ = ["engine", "item", "playbook", "queue", "start"]
