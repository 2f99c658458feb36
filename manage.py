#!/usr/bin/env python3
"""The service's one entry point."""

import os
import sys


def main() -> None:
    """Run a command; a setting that is wrong is told in plain lines, without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedback.settings")
    from django.core.management import ManagementUtility, get_commands

    from feedback.environment import BadSettings

    class Commands(ManagementUtility):
        def fetch_command(self, subcommand: str) -> object:
            if subcommand not in get_commands():
                sys.stderr.write(f'There is no command "{subcommand}". See manage.py help.\n')
                sys.exit(2)
            return super().fetch_command(subcommand)

    try:
        Commands(sys.argv).execute()
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `export - | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
