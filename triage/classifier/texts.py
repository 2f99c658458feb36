"""What the encoder reads of a post: its context and the author's own words, as token ids."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

CONTEXT_TOKENS = 40
HEAD_TOKENS = 112
TAIL_TOKENS = 32
HEAD_CHARACTERS = 4_000
TAIL_CHARACTERS = 1_000
AT_ONCE = 32  # texts whose tokens are held whole, before most of a long one's are cut

_FENCE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)
_QUOTE = re.compile(r"^[ \t]*>+(?![<>=]).*$", re.MULTILINE)
_FRAME = re.compile(
    r"^\s*(?:at\s+\S+.*[:(]\d+.*|File \".*\", line \d+.*|\S+\.\w+:\d+(?::\d+)?.*)$", re.MULTILINE
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_URL = re.compile(r"https?://\S+|www\.\S+")
_HANDLE = re.compile(r"(?<![\w@])@\w+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_LONG_RUN = re.compile(r"(\S)\1{9,}")
_PARENT = re.compile(r"^parent:", re.MULTILINE)
_EMPTY_FIELD = re.compile(r"^_?No response_?$", re.MULTILINE | re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text to be read; `context` has lines such as `story: …`, or is a bare title."""

    text: str
    title: str = ""
    context: str = ""
    channel: str = ""


def own_words(text: str) -> str:
    """The author's own prose: quotes, code and stack frames cut, unless nothing else is there."""
    text = _CONTROL.sub(" ", bounded(text).encode("utf-8", "replace").decode())
    kept = _QUOTE.sub(" ", _COMMENT.sub(" ", _FENCE.sub(" [code] ", text)))
    kept = _EMPTY_FIELD.sub(" ", _FRAME.sub(" ", kept))
    return kept.strip() if re.search(r"\w", kept.replace("[code]", "")) else text.strip()


def bounded(text: str) -> str:
    """The beginning and the end of a text that is too long to be read whole."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return f"{text[:HEAD_CHARACTERS]}\n{text[-TAIL_CHARACTERS:]}"


def prepared(text: Text) -> tuple[str, str]:
    """Context and body as the encoder was trained on them: links and handles made alike."""
    body = own_words(text.text)
    title = own_words(text.title[:500])
    if title and not body.casefold().startswith(title.casefold()):
        body = f"{title}\n{body}"
    # Most of what the encoder learnt from calls a parent so.
    context = _PARENT.sub("reply to:", text.context[:1_000])
    return _alike(own_words(context)), _alike(body)


def _alike(text: str) -> str:
    text = _HANDLE.sub("@user", _URL.sub("http", text))
    return " ".join(_LONG_RUN.sub(r"\1\1\1", text).split())


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the encoder reads of a text: `ids`, and which part of `body` each stands for.

    `spans` are empty (0, 0) for the context and for marks.
    """

    ids: list[int]
    body: str
    spans: list[tuple[int, int]]


def encode(tokenizer: Any, texts: Sequence[Text]) -> list[Tokens]:
    """[CLS] context [SEP] body [SEP] of each text, its middle cut if it is too long."""
    encoded: list[Tokens] = []
    for start in range(0, len(texts), AT_ONCE):
        encoded += _encoded(tokenizer, [prepared(text) for text in texts[start : start + AT_ONCE]])
    return encoded


def _encoded(tokenizer: Any, pairs: Sequence[tuple[str, str]]) -> list[Tokens]:
    options = {"add_special_tokens": False, "return_attention_mask": False, "verbose": False}
    contexts = tokenizer([context for context, _ in pairs], **options)["input_ids"]
    found = tokenizer([body for _, body in pairs], return_offsets_mapping=True, **options)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    encoded = []
    for (_, body), context, ids, spans in zip(
        pairs, contexts, found["input_ids"], found["offset_mapping"], strict=True
    ):
        before = [cls, *context[:CONTEXT_TOKENS], sep]
        nothing = [(0, 0)]
        encoded.append(
            Tokens([*before, *_cut(ids), sep], body, nothing * len(before) + _cut(spans) + nothing)
        )
    return encoded


def _cut(parts: list[Any]) -> list[Any]:
    if len(parts) <= HEAD_TOKENS + TAIL_TOKENS:
        return parts
    return parts[:HEAD_TOKENS] + parts[-TAIL_TOKENS:]
