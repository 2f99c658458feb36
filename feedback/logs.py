"""One line an event: its name, then its fields."""

import logging

_USUAL = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


class Line(logging.Formatter):
    """`WARNING feedback.polling source.later source=hn reason=…`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with what `extra` brought."""
        line = super().format(record)
        fields = (f"{k}={v}" for k, v in record.__dict__.items() if k not in _USUAL)
        return " ".join([line, *fields]) if not record.exc_info else line
