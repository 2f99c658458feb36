"""Settings: typed, checked at start, told in plain lines."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from feedback.environment import NAMES, BadSettings, load

ROOT = Path(__file__).resolve().parents[2]


def test_defaults_need_nothing(tmp_path):
    env = load(tmp_path, {})
    assert env.bind == ("127.0.0.1", 8000)
    assert env.data_dir == tmp_path / "var"
    assert env.origins["GITHUB_API_URL"] == "https://api.github.com"
    assert env.database is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("BIND", "8000", 'BIND: "8000" is not an address. Write host:port'),
        ("BIND", "0.0.0.0:99999", "BIND:"),
        ("DEBUG", "maybe", 'DEBUG: "maybe" is not yes or no'),
        ("PLAYBOOK", "/nowhere.toml", 'PLAYBOOK: "/nowhere.toml" is not a file'),
        ("REDIS_URL", "http://x", "REDIS_URL: its scheme is not known"),
        ("DATABASE_URL", "mysql://x/y", "DATABASE_URL:"),
        ("GITHUB_API_URL", "api.github.com", 'GITHUB_API_URL: "api.github.com" is not an origin'),
        ("GITHUB_API_URL", "http://host:port", "GITHUB_API_URL:"),
        ("BIND", "http://127.0.0.1:8000", "BIND:"),
        ("REDIS_URL", "redis://[", "REDIS_URL: its scheme is not known"),
        ("EMAIL_URL", "mail.example.com:25", "EMAIL_URL: its scheme is not known. Write smtps://"),
        ("TRUSTED_ORIGINS", "example.com", 'TRUSTED_ORIGINS: "example.com" is not an origin'),
        ("GITHUB_TOKEN_FILE", "/nowhere", 'GITHUB_TOKEN_FILE: "/nowhere" cannot be read'),
    ],
)
def test_a_malformed_setting_is_named_with_what_would_be_right(tmp_path, name, value, told):
    with pytest.raises(BadSettings) as raised:
        load(tmp_path, {name: value})
    assert str(raised.value).startswith(told)


def test_all_mistakes_are_told_at_once_and_a_misspelt_name_gets_its_neighbour(tmp_path):
    (tmp_path / ".env").write_text("GITHUB_TOKN=x\nBIND=nowhere\nDEBUG=maybe\n")
    with pytest.raises(BadSettings) as raised:
        load(tmp_path, {})
    lines = str(raised.value).splitlines()
    assert ".env: GITHUB_TOKN is not a setting. Did you mean GITHUB_TOKEN?" in lines
    assert len(lines) == 3


def test_the_environment_goes_before_the_file_and_a_secret_may_be_a_file(tmp_path):
    (tmp_path / ".env").write_text("BIND=127.0.0.1:1\n")
    (tmp_path / "token").write_text("secret\n")
    env = load(tmp_path, {"BIND": "127.0.0.1:2", "GITHUB_TOKEN_FILE": str(tmp_path / "token")})
    assert env.bind == ("127.0.0.1", 2)
    assert env.secrets["GITHUB_TOKEN"] == "secret"


def test_a_name_that_the_playbook_gives_to_a_secret_is_known(tmp_path):
    playbook = tmp_path / "launch.toml"
    playbook.write_text('[[sources]]\npassword_env = "SUPPORT_PASSWORD"\n')
    (tmp_path / ".env").write_text(f"SUPPORT_PASSWORD=x\nPLAYBOOK={playbook}\n")
    assert load(tmp_path, {}).playbook == playbook


def test_a_name_that_the_loaded_playbook_gives_to_a_secret_is_known(tmp_path):
    (tmp_path / "var").mkdir()
    with closing(sqlite3.connect(tmp_path / "var" / "feedback.sqlite3")) as database:
        database.execute("CREATE TABLE triage_playbookversion (id INTEGER, text TEXT)")
        text = '[[sources]]\npassword_env = "SUPPORT_PASSWORD"\n'
        database.execute("INSERT INTO triage_playbookversion VALUES (1, ?)", [text])
        database.commit()
    (tmp_path / ".env").write_text("SUPPORT_PASSWORD=x\n")
    load(tmp_path, {})
    (tmp_path / ".env").write_text("SUPORT_PASSWORD=x\n")
    with pytest.raises(BadSettings, match=r"Did you mean SUPPORT_PASSWORD\?"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (b"GITHUB_TOKEN=x\n'no name\n", ".env, line 2: write NAME=value."),
        (b"GITHUB_TOKEN=\xff\n", ".env: it cannot be read. Save it as UTF-8 text."),
    ],
)
def test_a_file_that_is_no_list_of_settings_is_told(tmp_path, written, told):
    (tmp_path / ".env").write_bytes(written)
    with pytest.raises(BadSettings) as raised:
        load(tmp_path, {})
    assert str(raised.value) == told


def test_a_command_tells_bad_settings_in_a_line_and_exits_with_2(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={"BIND": "nowhere", "DATA_DIR": str(tmp_path), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith('BIND: "nowhere" is not an address.')
    assert "Traceback" not in done.stderr


def test_each_setting_is_documented():
    written = (ROOT / "docs/settings.md").read_text()
    missing = [n for n in NAMES if not n.endswith("_FILE") and f"`{n}`" not in written]
    assert not missing
