"""What a query matches, and what it says when it is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.query import Subject, parse


def matches(query: str, text: str = "", author: str = "ann", url: str = "") -> bool:
    return parse(query)(Subject(text, author, url, lambda: "en"))


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("claude dashboard", "The dashboard by Claude", True),
        ("claude dashboard", "The dashboard", False),
        ('"generic corp"', "Generic-Corp is down", True),
        ('"generic corp"', "corp generic", False),
        ("corp", "incorporated", False),
        ("crash OR crashes", "It crashes", True),
        ("crash -car", "a car crash", False),
        ("crash NOT car", "a crash", True),
        ("(a OR b) -c", "b and c", False),
        ("(a OR b) -c", "b", True),
        ("-(a OR b)", "a", False),
        ("NOT (a b)", "a", True),
        ("C++ OR c#", "I use C++", True),
        ("lang:en hello", "hello", True),
        ("lang:de hello", "hello", False),
    ],
)
def test_words(query: str, text: str, found: bool) -> None:
    assert matches(query, text) is found


def test_authors_and_sites() -> None:
    assert matches("author:@Ann", author="ann")
    assert not matches("-author:ann", author="ann")
    assert matches("site:example.com", "see https://docs.example.com/x")
    assert matches("site:example.com", url="https://example.com")
    assert not matches("site:example.com", "https://example.com.evil.net https://notexample.com")


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("a OR", "both sides"),
        ("OR a", "both sides"),
        ("(a", "not closed"),
        ("a)", "stands alone"),
        ('"a', "quotation mark"),
        ('""', "no words"),
        ("author:", "needs a word"),
        ("NOT", "needs a word"),
        ("(" * 50 + "a" + ")" * 50, "Too many"),
        ("a " * 300, "at most"),
    ],
)
def test_a_wrong_query_says_what_is_wrong(query: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(query)


@given(st.text(alphabet='ab"()- OR:authorsite\\*[', max_size=60), st.text(max_size=40))
def test_any_query_is_a_test_or_a_clear_refusal(query: str, text: str) -> None:
    try:
        test = parse(query)
    except ValueError as error:
        assert str(error)
    else:
        assert test(Subject(text, "", "", lambda: "en")) in (True, False)
