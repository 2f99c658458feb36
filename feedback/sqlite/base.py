"""Django's SQLite backend with writers that queue in turn.

SQLite's busy handler polls, so that a writer in a loop starves the others for seconds. Here each
writing transaction first takes a lock on a file beside the database, which the kernel hands on
in order.
"""

import fcntl
from pathlib import Path
from typing import IO, Any

from django.db.backends.sqlite3 import base


class DatabaseWrapper(base.DatabaseWrapper):
    """One connection; its turn lasts from BEGIN to the end of the transaction."""

    _turn: IO[str] | None = None

    def _start_transaction_under_autocommit(self) -> None:
        name = str(self.settings_dict["NAME"])
        if ":memory:" not in name and "mode=memory" not in name:
            self._turn = Path(f"{name}.writer").open("w")  # noqa: SIM115 - held until the end
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._end_turn()
            raise

    def _commit(self) -> Any:
        try:
            return super()._commit()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _rollback(self) -> Any:
        try:
            return super()._rollback()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _close(self) -> Any:
        try:
            return super()._close()  # type: ignore[misc]
        finally:
            self._end_turn()

    def _end_turn(self) -> None:
        if self._turn:
            self._turn.close()
            self._turn = None
