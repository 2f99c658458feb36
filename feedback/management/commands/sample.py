"""Play the sample launch, or remove it without a trace."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.core.management.base import CommandError

from feedback.channels import sample
from feedback.commands import ServiceCommand


class Command(ServiceCommand):
    help = (
        "Play the sample launch, a day of posts written for it, or remove it without a trace. "
        "Example: manage.py sample --play --speed 1440"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--play", action="store_true", help="begin the launch now")
        what.add_argument("--remove", action="store_true", help="remove all that came of it")
        parser.add_argument(
            "--speed",
            type=_speed,
            default=sample.SPEED,
            metavar="N",
            help="times as fast as real time (default %(default)g: a day in five minutes)",
        )
        parser.add_argument("--json", action="store_true", help="print a JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["play"]:
            row, line = _play(options["speed"])
        elif options["remove"]:
            row, line = _remove()
        else:
            raise CommandError("Say --play or --remove.", returncode=2)
        self.stdout.write(json.dumps(row) if options["json"] else line)


def _speed(word: str) -> float:
    try:
        return sample.checked_speed(word)
    except ValueError:
        raise ArgumentTypeError(
            f'"{word}" is no speed. Write a number from {sample.SLOWEST:g} to {sample.FASTEST:g}.'
        ) from None


def _play(speed: float) -> tuple[dict[str, Any], str]:
    try:
        source = sample.play(speed)
    except ValueError as error:
        raise CommandError(str(error), returncode=2) from error
    posts, minutes = len(sample.written()), 24 * 60 / speed
    row = {"source": source.name, "posts": posts, "speed": speed, "minutes": round(minutes, 2)}
    return row, (
        f"The sample launch plays: {posts} posts in about {minutes:.3g} minutes. "
        'A running service reads them; "manage.py poll sample" reads what has come so far.'
    )


def _remove() -> tuple[dict[str, Any], str]:
    gone = sample.remove()
    return {"removed": gone}, (
        f"{gone} messages of the sample launch are gone."
        if gone
        else "Nothing of the sample launch is left here."
    )
