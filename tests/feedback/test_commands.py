"""The commands as a person or a script runs them: any may be the first, none shows a traceback."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from feedback.commands import ServiceCommand

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = (
    "up poll classify evaluate train playbook report export import sample reprocess preflight"
).split()
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path) -> Run:
    """Runs `manage.py …` on a data folder of the test's own, empty at first."""

    def run(*words: str, said: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path / "data"), **settings},
            input=said, capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def parsed(name: str, words: list[str]) -> tuple[ServiceCommand, dict[str, Any]]:
    """The command and its options, as from the command line. Raises SystemExit."""
    command = load_command_class(get_commands()[name], name)
    command._called_from_command_line = True
    return command, vars(command.create_parser("manage.py", name).parse_args(words))


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_and_a_wrong_argument_is_one_line_with_status_2(name, capsys):
    with pytest.raises(SystemExit) as ended:
        parsed(name, ["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0
    assert "Example" in told
    assert f"manage.py {name} " in told
    with pytest.raises(SystemExit) as ended:
        parsed(name, ["--nonsense"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert len(told.splitlines()) == 1
    assert f"manage.py {name} --help" in told


@pytest.mark.parametrize(
    "words", ["check --json a.toml", "--json check a.toml", "check a.toml --json"]
)
def test_options_may_stand_anywhere(words):
    _, options = parsed("playbook", words.split())
    assert (options["action"], options["file"], options["json"]) == ("check", "a.toml", True)


WRONG = [
    ["poll", "nowhere"],
    ["classify"],
    ["classify", "It crashes", "--input", "also.jsonl"],
    ["classify", "--input", "{tmp}/missing.jsonl"],
    ["classify", "--input", "{tmp}/broken.jsonl"],
    ["classify", "--input", "{tmp}/textless.jsonl"],
    ["classify", "--input", "{tmp}/broken.jsonl.gz"],
    ["evaluate", "{tmp}/missing.jsonl"],
    ["evaluate", "{tmp}/broken.jsonl"],
    ["evaluate", "{tmp}/empty.jsonl"],
    ["evaluate", "{tmp}/broken.jsonl.gz"],
    ["evaluate", "{tmp}/textless.jsonl", "--labels", "bug,nonsense"],
    ["evaluate", "{tmp}/textless.jsonl", "--map", "bug"],
    ["train", "--data", "{tmp}"],
    ["playbook", "dance"],
    ["playbook", "check"],
    ["playbook", "check", "{tmp}/missing.toml"],
    ["playbook", "check", "{tmp}"],
    ["playbook", "load", "{tmp}/broken.jsonl"],
    ["playbook", "dump", "{tmp}/missing/playbook.toml"],
    ["playbook", "dump", "--number", "77"],
    ["report", "--since", "soon"],
    ["report", "--format", "xml"],
    ["report", "--output", "{tmp}/missing/report.html"],
    ["export", "tracker.pdf"],
    ["export", "{tmp}/missing/tracker.csv"],
    ["import", "tracker.pdf"],
    ["import", "{tmp}/missing.csv"],
    ["import", "{tmp}/empty.csv"],
    ["sample"],
    ["sample", "--play", "--remove"],
    ["sample", "--play", "--speed", "fast"],
    ["reprocess"],
    ["preflight"],
]


def put_wrong_files(folder: Path) -> None:
    (folder / "broken.jsonl").write_text("{not JSON\n")
    (folder / "textless.jsonl").write_text('{"id": 1, "words": "It crashes"}\n')
    (folder / "empty.jsonl").write_text("")
    (folder / "empty.csv").write_text("")
    packed = gzip.compress(b'{"text": "It crashes on start"}\n')
    (folder / "broken.jsonl.gz").write_bytes(packed[:14] + b"junk" + packed[18:])


@pytest.mark.django_db
@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_is_wrong_is_one_line_with_status_2(words, tmp_path, capsys):
    put_wrong_files(tmp_path)
    name, *rest = (word.format(tmp=tmp_path) for word in words)
    try:
        command, options = parsed(name, rest)
        command.execute(**options)
        code, told = 0, ""
    except SystemExit as ended:
        code, told = ended.code, capsys.readouterr().err
    except CommandError as error:
        code, told = error.returncode, str(error)
    assert code == 2
    assert len(told.splitlines()) == 1, told
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", [["nosuch"], ["playbook", "dance"], ["import", "tracker.pdf"]])
def test_the_process_says_so_and_no_more(run, words):
    done = run(*words)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_a_database_that_does_not_answer_is_one_line(run):
    done = run("poll", DATABASE_URL="postgres://nobody@127.0.0.1:1/nothing")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "Connection refused" in done.stderr
    assert "DATABASE_URL" in done.stderr


def test_any_command_may_be_the_first_and_finds_the_configured_playbook(run, tmp_path):
    text = run("playbook", "dump", DATA_DIR=str(tmp_path / "other")).stdout
    mine = tmp_path / "mine.toml"
    mine.write_text(f'{text}\n[[sources]]\nname = "mine"\nchannel = "hackernews"\nstories = [1]\n')
    nobody = {"HACKERNEWS_FIREBASE_URL": "http://127.0.0.1:1"}
    done = run("poll", "mine", "--json", PLAYBOOK=str(mine), **nobody)
    assert done.returncode == 1
    assert json.loads(done.stdout)["source"] == "mine"
    assert "cannot be reached" in json.loads(done.stdout)["error"]
    assert run("export", "-").returncode == 0
    assert '"items": 0' in run("report", "--format", "json").stdout


def test_a_broken_playbook_setting_is_told_by_the_first_command(run, tmp_path):
    broken = tmp_path / "broken.toml"
    broken.write_text("name = \n")
    done = run("poll", PLAYBOOK=str(broken))
    assert done.returncode == 2
    assert "broken.toml, line 1" in done.stderr
    assert "Traceback" not in done.stderr


def test_text_and_rows_come_by_standard_input_too(run):
    text = run("classify", "-", said="It crashes on start")
    rows = run("classify", "--input", "-", said='{"id": "a", "text": "It crashes on start"}\n')
    assert json.loads(rows.stdout) == json.loads(text.stdout) | {"id": "a"}
    assert run("playbook", "check", "-", said="name = \n").returncode == 2


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} manage.py playbook dump | head -c 10; echo ${{PIPESTATUS[0]}}",
        cwd=ROOT, env={**os.environ, "DATA_DIR": str(tmp_path)}, shell=True, text=True,
        executable="/bin/bash", capture_output=True, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
