"""The playbook: parsed whole or refused whole, in versions, with sources that follow it."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from feedback.models import Source
from triage.models import PlaybookVersion
from triage.playbook import PlaybookError, current, parse, shipped, store
from triage.playbook.durations import duration
from triage.playbook.lines import line_index

TEXT = store.SHIPPED.read_text(encoding="utf-8")
SOURCE = '\n[[sources]]\nname = "hn"\nchannel = "hackernews"\nqueries = ["x"]\n'


def refused(text: str) -> list[str]:
    with pytest.raises(PlaybookError) as raised:
        parse(text)
    return raised.value.problems


def test_the_shipped_playbook_holds_the_launch_plan():
    rules = shipped()
    minutes = {
        name: [span and span.total_seconds() / 60 for span in (rule.acknowledge, rule.fix)]
        for name, rule in rules.severities.items()
    }
    assert minutes == {"P0": [5, 60], "P1": [15, 240], "P2": [60, 1440], "P3": [None, None]}
    assert len(rules.templates) == 5
    assert rules.report.positive_goal == 0.7
    assert [step.after for step in rules.escalation.steps] == [
        None,
        *(timedelta(minutes=n) for n in (10, 20, 30)),
    ]
    assert not any(source.enabled for source in rules.sources)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('fix = "4h"', 'fix = "soon"', 'severities.P1.fix: "soon" is not a duration. Write "15m"'),
        ('respond = "2h"', 'respnd = "2h"', "routes.3.respnd: this name is not known here."),
        ("[roles.ceo]", "[roles.boss]", 'routes.4: "ceo" is not a role. Add [roles.ceo]'),
        ('calendar = "business"', 'calendar = "bank"', '"bank" is not a calendar'),
        ('"America/Los_Angeles"\nholidays', '"Mars/Base"\nholidays', '"Mars/Base" is not a time'),
        ('holidays = "US"', 'holidays = "XX"', '"XX" has no known holidays'),
        ("Hey {name}", "Hey {nome}", "{nome} is not a variable. Known: {discussions}"),
        ('name = "support"', 'name = "github"', 'sources.5.name: "github" is taken'),
        ('channel = "twitter"', 'channel = "fax"', "sources.2"),
        ("small_sample = 30", "small_sample = 0", "report.small_sample:"),
        ('category = "praise"', 'category = "prais"', "routes.6.category:"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_its_field(old, new, told):
    text = TEXT.replace(old, new, 1)
    line = text[: text.index(new)].count("\n") + 1
    problems = refused(text)
    assert any(told in problem for problem in problems), problems
    if "role" not in told and "route" not in told and "taken" not in told:
        assert any(f"line {line}," in p or f"line {line - 1}," in p for p in problems), problems


@pytest.mark.parametrize("text", ["a = [1\nb = 2", "\x00", "a = 1\na = 2", "=", "[" * 5_000])
def test_what_is_not_toml_is_one_line(text):
    problems = refused(text)
    assert len(problems) == 1
    assert "this is not TOML" in problems[0]


def test_all_mistakes_are_told_at_once():
    text = TEXT.replace('fix = "4h"', 'fix = "soon"').replace('fix = "1h"', 'fix = "later"')
    assert len(refused(text)) == 2


@pytest.mark.parametrize(
    ("text", "seconds"), [("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("30s", 30)]
)
def test_spans_read_as_people_write_them(text, seconds):
    assert duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "5 m", "0s", "9999d", "5x", 5, None, "1" * 99 + "d"]
)
def test_what_is_no_span_is_refused(text):
    with pytest.raises(ValueError):
        duration(text)


@given(
    st.lists(st.sampled_from(["a = 1", "# c", "", "s = '''\nx\n'''", "l = [1,\n 2]"]), max_size=6)
)
def test_every_key_is_found_on_its_line(blocks):
    text = "\n".join(f"[t{n}]\n{block}" for n, block in enumerate(blocks))
    lines = line_index(text)
    for n in range(len(blocks)):
        header = f"[t{n}]"
        assert lines[f"t{n}",] == text[: text.index(header)].count("\n") + 1


@pytest.mark.django_db
def test_an_edit_is_a_new_version_and_the_same_text_is_none():
    store.load_first()
    store.load_first()
    assert PlaybookVersion.objects.count() == 1
    made = store.load(TEXT + SOURCE)
    assert store.load(TEXT + SOURCE) == made
    assert current().version_id == made.pk


@pytest.mark.django_db
def test_a_broken_text_leaves_everything_as_it_was():
    store.load(TEXT + SOURCE)
    with pytest.raises(PlaybookError):
        store.load(TEXT + SOURCE + SOURCE)
    assert PlaybookVersion.objects.count() == 1
    assert Source.objects.get(name="hn").enabled


@pytest.mark.django_db
def test_sources_follow_the_text_with_our_handles_and_a_gone_one_is_disabled():
    store.load(TEXT + SOURCE + 'team = ["ann"]\nevery = "2m"\n')
    source = Source.objects.get(name="hn")
    assert source.config["team"] == ["ann", "genericcorp"]
    assert source.every == timedelta(minutes=2)
    Source.objects.update(cursor={"at": 1}, is_stopped=True)
    store.load(TEXT + SOURCE.replace('"x"', '"y"'))
    source.refresh_from_db()
    assert (source.config["queries"], source.cursor, source.is_stopped) == (["y"], {"at": 1}, False)
    store.load(TEXT)
    source.refresh_from_db()
    assert not source.enabled


@pytest.mark.django_db
def test_a_source_is_written_into_the_text_and_its_comments_stay():
    store.load_first()
    table = {"name": "hn-x", "channel": "hackernews", "queries": ["x"], "every": "2m"}
    assert store.add_source(table).config["queries"] == ["x"]
    text = PlaybookVersion.objects.latest("pk").text
    assert "# The playbook: the rules of one launch" in text
    assert parse(text).sources[-1].name == "hn-x"


def command(*words: str) -> str:
    out = io.StringIO()
    call_command("playbook", *words, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_the_commands_check_load_dump_and_compare(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(TEXT + SOURCE)
    assert "mine.toml is sound" in command("check", str(file))
    assert "is in force" in command("load", str(file))
    assert command("dump") == TEXT + SOURCE
    assert command("diff", str(file)) == ""
    file.write_text(TEXT)
    with pytest.raises(SystemExit) as differs:
        command("diff", str(file))
    assert differs.value.code == 1
    file.write_text("x = 1")
    for action in ("check", "load", "diff"):
        with pytest.raises(CommandError) as raised:
            command(action, str(file))
        assert raised.value.returncode == 2
    for bad in (tmp_path / "nothing.toml", tmp_path):
        with pytest.raises(CommandError, match="cannot be read"):
            command("check", str(bad))
