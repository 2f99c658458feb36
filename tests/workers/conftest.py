"""Fixtures that the tests of this folder share."""

from tests.mailbox import dovecot, dovecot_server, mailbox, smtp

__all__ = ["dovecot", "dovecot_server", "mailbox", "smtp"]
