#!/usr/bin/env python3
"""The service's one entry point."""

import os
import sys


def main() -> None:
    """Run a command; a setting that is wrong is told in plain lines, without a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "feedback.settings")
    from django.core.management import execute_from_command_line

    from feedback.environment import BadSettings

    try:
        execute_from_command_line(sys.argv)
    except BadSettings as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
