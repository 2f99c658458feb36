"""Queries that say which posts are about us: words with operators.

claude dashboard            both words
"generic corp"              these words in this order
crash OR crashes            either
-fishing, NOT fishing       not this
author:ann  -author:bot     who wrote it
site:example.com            links there, or was posted there
lang:en                     in this language
(a OR b) -c                 parts of it
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

LONGEST = 500  # characters of a query
DEEPEST = 10  # brackets in brackets
_TOKEN = re.compile(r'\s*(-?(?:(?P<field>author|site|lang):)?(?:"[^"]*"|[^\s()"]+)|[()])')


@dataclass(frozen=True, slots=True)
class Subject:
    """What a query is asked about; `language` is only called if the query asks for it."""

    text: str
    author: str
    url: str
    language: Callable[[], str]


Test = Callable[[Subject], bool]


def parse(query: str) -> Test:
    """The query as a test of posts. Raises ValueError saying what is wrong with it."""
    if len(query) > LONGEST:
        raise ValueError(f"A query has at most {LONGEST} characters.")
    tokens = list(_tokens(query))
    if not tokens:
        raise ValueError('The query is empty. Write words, like "generic corp".')
    test, rest = _any(tokens, 0)
    if rest:
        raise ValueError(f'"{rest[0]}" stands alone: brackets come in pairs.')
    return test


def _tokens(query: str) -> Iterator[str]:
    position, query = 0, query.strip()
    while position < len(query):
        match = _TOKEN.match(query, position)
        if not match:
            raise ValueError("A quotation mark is not closed.")
        yield match[1]
        position = match.end()


def _any(tokens: list[str], depth: int) -> tuple[Test, list[str]]:
    """Parts joined by OR; and what of the tokens is left."""
    if depth > DEEPEST:
        raise ValueError("Too many brackets in brackets.")
    test, rest = _all(tokens, depth)
    tests = [test]
    while rest and rest[0] == "OR":
        test, rest = _all(rest[1:], depth)
        tests.append(test)
    return (lambda subject: any(test(subject) for test in tests)), rest


def _all(tokens: list[str], depth: int) -> tuple[Test, list[str]]:
    tests: list[Test] = []
    while tokens and tokens[0] not in ("OR", ")"):
        test, tokens = _one(tokens, depth)
        tests.append(test)
    if not tests:
        raise ValueError("OR and brackets need words on both sides.")
    return (lambda subject: all(test(subject) for test in tests)), tokens


def _one(tokens: list[str], depth: int) -> tuple[Test, list[str]]:
    part, rest = tokens[0], tokens[1:]
    if part in ("NOT", "-"):
        if not rest:
            raise ValueError("NOT needs a word after it.")
        test, rest = _one(rest, depth + 1)
        return (lambda subject: not test(subject)), rest
    if part == "(":
        test, rest = _any(rest, depth + 1)
        if not rest or rest[0] != ")":
            raise ValueError("A bracket is not closed.")
        return test, rest[1:]
    if part.startswith("-"):
        test = _term(part[1:])
        return (lambda subject: not test(subject)), rest
    return _term(part), rest


def _term(token: str) -> Test:
    field, colon, value = token.partition(":")
    if colon and field in _FIELDS:
        wanted = value.strip('"').casefold().lstrip("@")
        if not wanted:
            raise ValueError(f"{field}: needs a word after it.")
        return _FIELDS[field](wanted)
    words = token.strip('"').split()
    if not words:
        raise ValueError("A quotation has no words in it.")
    pattern = re.compile(r"(?<!\w)" + r"\W+".join(map(re.escape, words)) + r"(?!\w)", re.IGNORECASE)
    return lambda subject: bool(pattern.search(subject.text))


def _author(wanted: str) -> Test:
    return lambda subject: subject.author.casefold().lstrip("@") == wanted


def _site(wanted: str) -> Test:
    pattern = re.compile(rf"https?://(?:[\w-]+\.)*{re.escape(wanted)}(?![\w.-]*\w)", re.IGNORECASE)
    return lambda subject: bool(pattern.search(subject.url) or pattern.search(subject.text))


def _language(wanted: str) -> Test:
    return lambda subject: subject.language() == wanted


_FIELDS: dict[str, Callable[[str], Test]] = {"author": _author, "site": _site, "lang": _language}
