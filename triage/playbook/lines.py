"""On which line each key and array element of a TOML document stands.

`tomllib` tells values without places. This scanner follows a document that tomllib has already
accepted, so it only has to find the places, not the mistakes.
"""

import tomllib

Path = tuple[str | int, ...]
_BLANK = " \t\r"
_KEY_END = " \t.=]"
_VALUE_END = ",]}#\n"


def line_index(text: str) -> dict[Path, int]:
    """The line of every path, as keys and array positions, counted from 1."""
    return _Scanner(text).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.lines: dict[Path, int] = {}
        self.tables: dict[Path, int] = {}  # how many tables each array of tables has, less one

    def scan(self) -> dict[Path, int]:
        prefix: Path = ()
        while self._skip(newlines=True):
            if self.text[self.at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
        return self.lines

    def _header(self) -> Path:
        is_array = self.text.startswith("[[", self.at)
        brackets = 2 if is_array else 1
        self.at += brackets
        keys = self._key()
        self.at += brackets
        path: Path = ()
        for depth, key in enumerate(keys, 1):
            path = (*path, key)
            self.lines.setdefault(path, self.line)
            if is_array and depth == len(keys):
                self._next_table(path)
            if path in self.tables:
                path = (*path, self.tables[path])
                self.lines.setdefault(path, self.line)
        return path

    def _next_table(self, path: Path) -> None:
        self.tables[path] = self.tables.get(path, -1) + 1
        below = [p for p in self.tables if p != path and p[: len(path)] == path]
        for inner in below:
            del self.tables[inner]

    def _pair(self, prefix: Path) -> None:
        line, keys = self.line, self._key()
        self.at += 1  # the equals sign
        self._skip()
        for depth in range(1, len(keys) + 1):
            self.lines.setdefault((*prefix, *keys[:depth]), line)
        self._value((*prefix, *keys))

    def _value(self, path: Path) -> None:
        self.lines.setdefault(path, self.line)
        match self.text[self.at]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case _:
                while self.at < len(self.text) and self.text[self.at] not in _VALUE_END:
                    self.at += 1

    def _array(self, path: Path) -> None:
        self.at += 1
        position = 0
        while self._skip(newlines=True) and self.text[self.at] != "]":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._value((*path, position))
            position += 1
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while self._skip(newlines=True) and self.text[self.at] != "}":
            if self.text[self.at] == ",":
                self.at += 1
                continue
            self._pair(path)
        self.at += 1

    def _key(self) -> tuple[str, ...]:
        parts: list[str] = []
        while True:
            self._skip()
            if self.text[self.at] in "\"'":
                parts.append(tomllib.loads(f"key = {self._string()}")["key"])
            else:
                start = self.at
                while self.text[self.at] not in _KEY_END:
                    self.at += 1
                parts.append(self.text[start : self.at])
            self._skip()
            if self.text[self.at] != ".":
                return tuple(parts)
            self.at += 1

    def _string(self) -> str:
        quote, start = self.text[self.at], self.at
        is_long = self.text.startswith(quote * 3, self.at)
        end = quote * 3 if is_long else quote
        self.at += len(end)
        while not self.text.startswith(end, self.at):
            if self.text[self.at] == "\\" and quote == '"':
                self.at += 1
            self.line += self.text[self.at] == "\n"
            self.at += 1
        self.at += len(end)
        while is_long and self.text.startswith(quote, self.at):
            self.at += 1  # quotes that belong to the text stand before the closing three
        return self.text[start : self.at]

    def _skip(self, *, newlines: bool = False) -> bool:
        """Skip blanks, and with `newlines` line ends and comments too; False at the end."""
        while self.at < len(self.text):
            sign = self.text[self.at]
            if sign == "\n" and newlines:
                self.line += 1
            elif sign == "#" and newlines:
                while self.at < len(self.text) and self.text[self.at] != "\n":
                    self.at += 1
                continue
            elif sign not in _BLANK:
                return True
            self.at += 1
        return False
