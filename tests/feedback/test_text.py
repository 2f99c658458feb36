"""Clean text out of markup, whatever the markup is."""

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.text import CUT, one_line, plain, storable
from tests.replay import recorded_items

LONG = "https:&#x2F;&#x2F;jobs.example&#x2F;role?via=AbC&amp;site=hn"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("One.<p>Two.<p>Three.", "One.\n\nTwo.\n\nThree."),
        ("It&#x27;s &quot;5 &gt; 4&quot; &amp; so on", 'It\'s "5 > 4" & so on'),
        ("&amp;lt;b&amp;gt;", "&lt;b&gt;"),
        ("&lt;script&gt;alert(1)&lt;&#x2F;script&gt;", "<script>alert(1)</script>"),
        ("an <i>emphasis</i> and a Vec<T>", "an emphasis and a Vec<T>"),
        ("&gt; quoted<p>answer", "> quoted\n\nanswer"),
        ("list:\n* one\n* two", "list:\n* one\n* two"),
        ("a  b\t c \n d", "a b c\nd"),
        ("", ""),
    ],
)
def test_text_keeps_what_was_written(markup: str, text: str) -> None:
    assert plain(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f'<a href="{LONG}" rel="nofollow">https:&#x2F;&#x2F;jobs.example&#x2F;ro...</a>',
         "https://jobs.example/role?via=AbC&site=hn"),
        ('see <a href="https://a.example">the docs</a>.', "see the docs (https://a.example)."),
        ('<a href="https://a.example"></a>', "https://a.example"),
        ("<a href='https://a.example'>https://a.example</a>", "https://a.example"),
        ('<a href="javascript:alert(1)">click</a>', "click"),
        ('<a href="item?id=1">here</a>', "here"),
        ('<a href="https://a.example">never closed', "never closed (https://a.example)"),
        ("<a>bare</a>", "bare"),
    ],
)  # fmt: skip
def test_a_link_is_its_whole_address(markup: str, text: str) -> None:
    assert plain(markup) == text


def test_code_keeps_its_lines_and_indents() -> None:
    markup = "Try:<p><pre><code>  if x &lt; 1:\n\n\n\n      go()\n</code></pre>\nDone."
    assert plain(markup) == "Try:\n\n  if x < 1:\n\n\n\n      go()\n\nDone."


def test_code_that_is_never_closed_is_kept() -> None:
    assert plain("<pre><code>  a\n    b") == "  a\n    b"


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x7f", "\u202e", "\ufeff", "\ud800", "&#27;", "&#x202e;"]
)
def test_what_no_page_or_database_can_hold_is_dropped(character: str) -> None:
    assert plain(f"a{character}b") == "ab"


@pytest.mark.parametrize("value", [None, 3, [], {}, True])
def test_what_is_no_text_is_empty(value: object) -> None:
    assert plain(value) == ""


def test_text_is_bounded_and_says_that_it_was_cut() -> None:
    text = plain("word " * 100_000, limit=100)
    assert len(text) <= 100
    assert text.endswith(CUT)


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<pre>", '<a href="', " \n", "&amp;", "&#", "<p", "<a>", "</a>"]
)
def test_hostile_markup_takes_time_in_proportion_to_its_length(piece: str) -> None:
    start = time.process_time()
    plain(piece * 200_000)
    assert time.process_time() - start < 2


@given(st.text())
def test_no_text_raises_or_yields_what_cannot_be_stored(markup: str) -> None:
    text = plain(markup)
    assert "\x00" not in text
    text.encode()


@given(st.lists(st.sampled_from(["<p>", "<pre>", "</pre>", "<a href='https://x.example'>", "</a>",
                                 "<code>", "<br>", "word", "&gt;", "\n", " "])))  # fmt: skip
def test_no_order_of_tags_loses_a_word(pieces: list[str]) -> None:
    assert plain("".join(pieces)).count("word") == pieces.count("word")


def test_one_line_is_cut_between_words() -> None:
    assert one_line("a lot\nof  words here", 12) == "a lot of…"
    assert one_line("x" * 50, 10) == "x" * 9 + "…"


def test_raw_values_are_storable() -> None:
    raw = {"a\x00": ["x\x00y", "\ud800", 1, None], "b": "z" * 100}
    kept = storable(raw, limit=50)
    assert kept["a"] == ["xy", "?", 1, None]
    assert len(kept["b"]) == 50
    json.dumps(kept).encode()


def test_a_value_nested_without_end_is_cut() -> None:
    deep: list[object] = []
    for _ in range(500):
        deep = [deep]
    assert len(json.dumps(storable(deep))) < 100


def test_recorded_texts_have_no_markup_left(shared: Path) -> None:
    items = recorded_items(shared / "recordings/hackernews/firebase")
    texts = [plain(item.get("text")) for item in items]
    assert len(texts) > 280
    for sign in ("&#x", "&quot;", "<p>", "</a>", "rel=", "lever-social=...", "\n\n\n"):
        assert not [text for text in texts if sign in text], sign
