"""What all commands of the service share: one line for what is wrong, and a database that is there.

Errors: CommandError with status 2 for a wrong argument, file or setting, 1 for work that failed.
"""

import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import InterfaceError, OperationalError
from django.utils.module_loading import import_string

from feedback.models import Source


class ServiceCommand(BaseCommand):
    """A command that tells what is wrong in one line, and sets up an empty database first."""

    _called_from_command_line: bool  # Django's own

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """The parser, whose errors are one line; options may stand before, between and behind."""
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        if self._called_from_command_line:
            parser.error = lambda message: _refuse(parser, message)  # type: ignore[method-assign]
            parser.parse_args = parser.parse_intermixed_args  # type: ignore[method-assign]
        return parser

    def execute(self, *args: Any, **options: Any) -> Any:
        """Run it; a database that cannot be used is an error like any other."""
        try:
            if self._called_from_command_line:
                # One connection is enough; a pool would hide why it cannot be had.
                connection.settings_dict["OPTIONS"].pop("pool", None)
                if self.needs_database(options):
                    prepare()
            return super().execute(*args, **options)
        except (OperationalError, InterfaceError) as error:
            what = " ".join(str(error).split()) or type(error).__name__
            raise CommandError(
                f"The database cannot be used: {what}. Check DATABASE_URL or DATA_DIR.",
                returncode=2,
            ) from error

    def needs_database(self, options: dict[str, Any]) -> bool:
        """Whether it cannot work without one."""
        del options
        return True


def prepare() -> None:
    """Set up an empty database as `up` does, so that any command may be the first."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        if executor.loader.applied_migrations:
            raise CommandError(
                "The database is of another version. Run `manage.py migrate` first (`up` does).",
                returncode=2,
            )
        call_command("migrate", interactive=False, verbosity=0)
    if Source.objects.exists():
        return
    try:  # by name: feedback knows nothing of triage
        import_string("triage.playbook.store.load_first")()
    except import_string("triage.playbook.PlaybookError") as error:
        raise CommandError(f"PLAYBOOK: {error}", returncode=2) from None


def _refuse(parser: ArgumentParser, message: str) -> NoReturn:
    sys.stderr.write(f"{parser.prog}: {message.rstrip('.')}. See {parser.prog} --help.\n")
    sys.exit(2)
