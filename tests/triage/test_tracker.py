"""The tracker out and in again."""

import csv
import io
import json
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from feedback.channels import sample
from feedback.intake import add_posts
from feedback.models import Item, Message, Source
from feedback.vocabulary import Category, Severity
from tests.make import make_item, make_post, make_source
from triage import pipeline
from triage.clocks import sweep
from triage.models import Clock, Delivery, OutboxEntry, PlaybookVersion
from triage.tracker import files
from triage.tracker.posts import BadRow, posts_of

pytestmark = pytest.mark.django_db(transaction=True)


def exported(path) -> list[dict]:
    call_command("export", str(path), stdout=io.StringIO())
    return [json.loads(line) for line in path.read_text().splitlines()]


def imported(path) -> dict:
    out = io.StringIO()
    call_command("import", str(path), "--json", stdout=out)
    return json.loads(out.getvalue())


def fill() -> None:
    add_posts(
        make_source(config={"team": ["genericcorp"]}),
        [
            make_post("1", text="The task board never loads.", title="Broken"),
            make_post("2", parent_id="1", author="genericcorp", text="On it."),
            make_post("3", parent_id="2", text="Still the same today."),
            make_post("4", author="bob", text="=cmd()|'x'!A1 I love it, great work!"),
        ],
    )
    while pipeline.triage_waiting():
        pass


def wipe() -> None:
    for model in (Message, Clock, Item, Source):
        model.objects.all().delete()


def test_what_was_exported_comes_back_the_same(tmp_path):
    fill()
    before = exported(tmp_path / "a.jsonl")
    wipe()
    assert imported(tmp_path / "a.jsonl") == {
        "rows": 2, "read": 4, "new": 4, "updated": 0, "bad": 0,
    }  # fmt: skip
    after = exported(tmp_path / "b.jsonl")
    assert after == before
    assert [m["ours"] for m in after[0]["messages"]] == [False, True, False]


def test_importing_twice_adds_nothing(tmp_path):
    fill()
    exported(tmp_path / "a.jsonl")
    again = imported(tmp_path / "a.jsonl")
    assert (again["new"], again["updated"], Item.objects.count()) == (0, 0, 2)


def test_what_was_closed_stays_closed_and_its_clocks_stopped(tmp_path):
    fill()
    Item.objects.update(state="closed")
    exported(tmp_path / "a.jsonl")
    wipe()
    imported(tmp_path / "a.jsonl")
    assert set(Item.objects.values_list("state", flat=True)) == {"closed"}
    assert not Clock.objects.running().exists()


def test_a_spreadsheet_computes_nothing_and_csv_comes_back(tmp_path):
    fill()
    call_command("export", str(tmp_path / "a.csv"), stdout=io.StringIO())
    rows = list(csv.DictReader((tmp_path / "a.csv").open(newline="")))
    assert rows[1]["text"].startswith("'=cmd")
    assert (rows[0]["messages"], rows[0]["last_text"]) == ("3", "Still the same today.")
    wipe()
    assert imported(tmp_path / "a.csv")["new"] == 2
    assert Message.objects.filter(text__startswith="=cmd").exists()


def test_a_bad_row_is_named_and_the_rest_goes_on(tmp_path, capsys):
    good = {"channel": "email", "external_id": "<1@x>", "text": "Hello?",
            "created_at": "2026-01-27T16:00:00Z"}  # fmt: skip
    lines = [good, good | {"channel": "fax"}, good | {"external_id": "<2@x>", "created_at": "soon"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    err = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("import", str(tmp_path / "a.jsonl"), stdout=io.StringIO(), stderr=err)
    assert raised.value.returncode == 1
    assert 'line 2: "fax" is not a channel' in err.getvalue()
    assert 'line 3: created_at "soon"' in err.getvalue()
    assert Item.objects.count() == 1


@pytest.mark.parametrize("name", ["nothing.jsonl", "tracker.pdf"])
def test_a_file_that_cannot_be_used_is_one_line(name, tmp_path):
    with pytest.raises(CommandError) as raised:
        call_command("import", str(tmp_path / name))
    assert raised.value.returncode == 2


def test_the_cost_in_queries_does_not_grow_with_the_items(tmp_path, django_assert_num_queries):
    source = make_source()
    for _ in range(60):
        make_item(source)
    with django_assert_num_queries(4):
        call_command("export", str(tmp_path / "a.jsonl"), stdout=io.StringIO())
    assert PlaybookVersion.objects.count() == 0


ROW = {
    "channel": "email",
    "source": "support",
    "external_id": "<1@x>",
    "text": "Hello?",
    "created_at": "2026-01-27T16:00:00Z",
}


def write(path, *lines) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")


def refused(path) -> tuple[CommandError, str]:
    err = io.StringIO()
    with pytest.raises(CommandError) as raised:
        call_command("import", str(path), stdout=io.StringIO(), stderr=err)
    return raised.value, err.getvalue()


def add_reply(item: Item, state: str, text: str = "We are on it.") -> Message:
    reply = Message.objects.create(
        item=item, channel=item.channel, kind="reply", ours=True, text=text,
        created_at=item.created_at, triaged_at=item.created_at,
    )  # fmt: skip
    OutboxEntry.objects.create(
        key=f"reply:{reply.pk}", item=item, message=reply, state=state, created_at=item.created_at
    )
    return reply


def test_a_row_has_the_names_of_the_design(tmp_path):
    fill()
    row = exported(tmp_path / "a.jsonl")[0]
    assert list(row) == [
        "channel", "source", "external_id", "url", "author", "title", "text", "created_at",
        "category", "also", "sentiment", "severity", "topic", "state", "responder",
        "tracked_issue", "messages", "clocks",
    ]  # fmt: skip
    assert list(row["messages"][0]) == ["external_id", "author", "ours", "text", "created_at"]
    assert list(row["clocks"][0]) == ["kind", "due_at", "met_at", "breached_at"]
    assert row["created_at"].endswith("Z")


def test_standard_output_gets_json_lines():
    fill()
    out = io.StringIO()
    call_command("export", "-", stdout=out)
    assert [json.loads(line)["external_id"] for line in out.getvalue().splitlines()] == ["1", "4"]


def test_what_is_not_out_and_what_is_for_staff_stays_in(tmp_path):
    item = make_item()
    for state in Delivery.values:
        add_reply(item, state, text=state)
    Message.objects.create(item=item, channel="hackernews", kind="note", ours=True,
                           text="They are rude.", created_at=item.created_at)  # fmt: skip
    said = [m["text"] for m in exported(tmp_path / "a.jsonl")[0]["messages"]]
    assert said == ["It is broken.", "posted", "sent"]


def test_a_reply_posted_by_hand_comes_back_as_ours_once(tmp_path):
    fill()
    add_reply(Item.objects.get(messages__external_id="4"), Delivery.POSTED)
    exported(tmp_path / "a.jsonl")
    assert imported(tmp_path / "a.jsonl")["new"] == 0
    wipe()
    assert imported(tmp_path / "a.jsonl")["new"] == 5
    assert imported(tmp_path / "a.jsonl")["new"] == 0
    item = Item.objects.get(messages__external_id="4")
    assert item.state == "waiting"
    assert [(m.ours, m.kind) for m in item.messages.all()] == [(False, "post"), (True, "reply")]
    assert exported(tmp_path / "b.jsonl")[1]["messages"][1]["author"] is None


def test_the_source_of_a_file_is_not_polled(tmp_path):
    write(tmp_path / "a.jsonl", ROW, ROW | {"external_id": "5", "channel": "reddit"})
    imported(tmp_path / "a.jsonl")
    sources = Source.objects.order_by("name").values_list("name", "channel", "enabled")
    assert list(sources) == [("support", "email", False), ("support (reddit)", "reddit", False)]


def test_whom_a_file_calls_ours_is_ours_in_the_file_alone(tmp_path):
    source = make_source("support", channel="email", config={"team": ["help@x"]})
    reply = {"external_id": "<2@x>", "author": "eve@x", "ours": True, "text": "Yes.",
             "created_at": "2026-01-27T16:05:00Z"}  # fmt: skip
    write(tmp_path / "a.jsonl", ROW | {"messages": [reply]})
    imported(tmp_path / "a.jsonl")
    assert Message.objects.get(external_id="<2@x>").kind == "reply"
    source.refresh_from_db()
    assert source.config == {"team": ["help@x"]}


def test_the_sample_launch_comes_back_as_the_sample_launch(tmp_path):
    source = sample.play(86_400)
    add_posts(source, [make_post("sample-hn-1", text="Lovely.")])
    exported(tmp_path / "a.jsonl")
    sample.remove()
    imported(tmp_path / "a.jsonl")
    assert Item.objects.get().is_sample
    sample.remove()
    assert not Item.objects.exists()


def test_spam_stays_spam_and_history_says_so(tmp_path):
    write(tmp_path / "a.jsonl", ROW | {"state": "spam", "text": "I lost all my data!"})
    imported(tmp_path / "a.jsonl")
    item = Item.objects.get()
    assert (item.state, item.clocks.filter(stopped_at=None).count()) == ("spam", 0)
    assert item.history.filter(event="marked_spam").exists()


def test_what_was_reopened_here_since_stays_open(tmp_path):
    write(tmp_path / "a.jsonl", ROW | {"state": "closed"})
    imported(tmp_path / "a.jsonl")
    Item.objects.update(state="open")
    imported(tmp_path / "a.jsonl")
    assert Item.objects.get().state == "open"


def test_a_broken_line_is_named_and_the_rest_goes_on(tmp_path):
    write(tmp_path / "a.jsonl", "", '{"channel": ', "[1]", ROW)
    error, said = refused(tmp_path / "a.jsonl")
    assert error.returncode == 1
    assert "a.jsonl, line 2: this is not JSON" in said
    assert "a.jsonl, line 3: this is no object" in said
    assert Item.objects.count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": ["email"]},
        {"channel": "sample"},
        {"external_id": None},
        {"messages": "none"},
        {"messages": [1]},
        {"messages": [{"external_id": "2", "created_at": None}]},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": 5},
        {"created_at": {}},
    ],
)
def test_a_row_that_is_none_says_why(wrong):
    with pytest.raises(BadRow) as raised:
        posts_of(ROW | wrong)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "odd",
    [
        {"author": 7},
        {"external_id": 7, "messages": [{"external_id": 7}]},
        {"text": "a\0b\ud800"},
        {"title": ["x"], "url": {"a": 1}},
        {"source": "s" * 400},
        {"also": None, "state": ["closed"], "clocks": "none"},
        {"created_at": "2026-01-27"},
    ],
)
def test_odd_values_are_taken_as_text(odd, tmp_path):
    write(tmp_path / "a.jsonl", ROW | odd)
    assert imported(tmp_path / "a.jsonl")["new"] == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", b"\xff\xfe{\x00", "is not UTF-8 text"),
        ("a.csv", b"channel,text\nemail,x\n", "has no column external_id, created_at"),
        ("a.csv", b"", "has no column channel"),
        ("a.jsonl.gz", b"no gzip", "cannot be read"),
        ("a.xlsx", b"PK", "read from .jsonl or .csv"),
    ],
)
def test_a_file_that_is_none_is_one_line(name, content, said, tmp_path):
    (tmp_path / name).write_bytes(content)
    error, _ = refused(tmp_path / name)
    assert error.returncode == 2
    assert said in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("text", ["=1+1", "'=1+1", "''@x", "'tis", "-", "\tx", "＝1", "plain", ""])
def test_a_cell_is_no_formula_and_reads_as_it_was(text):
    cell = files._cell(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝"))
    assert files._plain(cell) == text


def test_a_csv_with_a_mark_of_its_encoding_is_read(tmp_path):
    text = "channel,external_id,created_at,text\nemail,1,2026-01-27,Grüße\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8-sig")
    assert imported(tmp_path / "a.csv")["new"] == 1
    assert Message.objects.get().text == "Grüße"


def test_an_export_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    make_item()
    (tmp_path / "a.csv").mkdir()
    with pytest.raises(CommandError) as raised:
        call_command("export", str(tmp_path / "a.csv"))
    assert raised.value.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


def test_the_cost_of_an_import_does_not_grow_with_its_rows(tmp_path):
    def cost(count: int) -> int:
        wipe()
        rows = [ROW | {"external_id": f"{count}-{n}", "state": "open"} for n in range(count)]
        write(tmp_path / "a.jsonl", *rows)
        with CaptureQueriesContext(connection) as queries:
            imported(tmp_path / "a.jsonl")
        return len(queries)

    cost(1)
    # The pipeline writes each item by itself; all else is by the chunk.
    assert (cost(40) - cost(20)) / 20 <= 1.5


def test_what_was_decided_comes_back_as_it_was(tmp_path):
    clock = {"kind": "respond", "due_at": "2026-01-27T17:00:00Z", "met_at": "2026-01-27T16:30:00Z",
             "breached_at": None}  # fmt: skip
    late = {"kind": "fix", "due_at": "2026-01-27T20:00:00Z", "met_at": None,
            "breached_at": "2026-01-27T20:00:00Z"}  # fmt: skip
    decided = {
        "category": "bug", "also": ["question"], "sentiment": "negative", "severity": "P1",
        "topic": "qa", "state": "open", "responder": "qa-manager-2", "clocks": [clock, late],
    }  # fmt: skip
    write(tmp_path / "a.jsonl", ROW | decided)
    imported(tmp_path / "a.jsonl")
    row = exported(tmp_path / "b.jsonl")[0]
    assert {name: row[name] for name in decided} == decided
    wipe()
    imported(tmp_path / "b.jsonl")
    assert exported(tmp_path / "c.jsonl")[0] == row


def test_a_promise_that_was_not_kept_yet_runs_on_from_its_row(tmp_path):
    due = timezone.now() + timedelta(minutes=30)
    clock = {"kind": "respond", "due_at": due.isoformat(), "met_at": None, "breached_at": None}
    write(tmp_path / "a.jsonl", ROW | {"category": "question", "clocks": [clock]})
    imported(tmp_path / "a.jsonl")
    item = Item.objects.get()
    running = item.clocks.get(kind="respond", met_at=None, stopped_at=None)
    assert running.due_at == due
    assert running.next_event_at > timezone.now()
    assert item.urgency == int(due.timestamp() * 1_000_000)
    item.clocks.update(next_event_at=due)
    sweep(due + timedelta(seconds=1))
    assert item.clocks.get(kind="respond").breached_at == due


def test_words_that_nobody_knows_decide_nothing(tmp_path):
    odd = {"category": "rant", "sentiment": 3, "severity": "P9", "topic": ["qa"], "state": "gone",
           "responder": "nobody", "also": [{}], "clocks": [{"kind": "nap"}, 7]}  # fmt: skip
    write(tmp_path / "a.jsonl", ROW | odd)
    imported(tmp_path / "a.jsonl")
    item = Item.objects.get()
    assert item.category in Category.values
    assert item.severity in ("", *Severity.values)
    assert item.state == "new"
    assert item.responder != "nobody"


def test_a_promise_that_was_taken_back_is_not_exported(tmp_path):
    item = make_item()
    now = timezone.now()
    for kind, stopped in (("respond", None), ("fix", now)):
        Clock.objects.create(item=item, kind=kind, target=timedelta(hours=1), started_at=now,
                             warn_at=now, due_at=now, stopped_at=stopped)  # fmt: skip
    assert [clock["kind"] for clock in exported(tmp_path / "a.jsonl")[0]["clocks"]] == ["respond"]
