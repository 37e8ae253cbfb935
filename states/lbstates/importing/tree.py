"""The lines of keepalived.conf -> a tree of statements: keyword, arguments, block. Knows no keyword."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from .lines import Line
from .remarks import CannotImport, Notebook, Place

MAX_DEPTH: Final = 32

_ESCAPES: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "E": "\x1b"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A keyword with its arguments; `block` is what stands between braces, None where there are none."""

    keyword: str
    arguments: tuple[str, ...]
    block: tuple[Statement, ...] | None
    place: Place

    @property
    def words(self) -> tuple[str, ...]:
        return (self.keyword, *self.arguments)

    def text(self) -> str:
        """Write it in one line, for a comment: `TCP_CHECK { connect_port 80; retry 3 }`."""
        said = " ".join(f'"{word}"' if not word or " " in word else word for word in self.words)
        if self.block is None:
            return said
        inside = "; ".join(statement.text() for statement in self.block)
        return f"{said} {{ {inside} }}" if inside else f"{said} {{ }}"


@dataclass(slots=True)
class _Open:
    """A statement whose block may still come, or has begun."""

    words: tuple[str, ...]
    place: Place
    block: list[_Open] | None = None

    def closed(self) -> Statement:
        block = None if self.block is None else _closed(self.block)
        return Statement(self.words[0], self.words[1:], block, self.place)


@dataclass(slots=True)
class _Builder:
    notes: Notebook
    top: list[_Open] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)

    def statement(self, words: tuple[str, ...], place: Place) -> None:
        self._current().append(_Open(words, place))

    def begin(self, place: Place) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise CannotImport(place, f"blocks are nested more than {MAX_DEPTH} deep", "is this a keepalived.conf?")
        here = self._current()
        if here and here[-1].block is None:
            here[-1].block = []
        else:
            self.notes.dropped(place, "{", "a block begins here without a keyword; it is left out", "name it")
            here.append(_Open(("{",), place, []))
        self.stack.append(here[-1])

    def end(self, place: Place) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.notes.dropped(place, "}", "there is no block to end here", "count the braces before this line")

    def _current(self) -> list[_Open]:
        if not self.stack:
            return self.top
        block = self.stack[-1].block
        return block if block is not None else self.top


def build(lines: Iterable[Line], notes: Notebook) -> tuple[Statement, ...]:
    """Build the tree; raises `CannotImport` for one that is too deep."""
    builder = _Builder(notes)
    for line in lines:
        for piece in _pieces(line.text):
            match piece:
                case "{":
                    builder.begin(line.place)
                case "}":
                    builder.end(line.place)
                case _:
                    if words := tuple(split(piece)):
                        builder.statement(words, line.place)
    for unfinished in builder.stack:
        notes.dropped(unfinished.place, unfinished.words[0], "the block that begins here never ends", "add a }")
    return _closed(builder.top)


def _closed(statements: Iterable[_Open]) -> tuple[Statement, ...]:
    return tuple(statement.closed() for statement in statements if statement.words != ("{",))


def _pieces(text: str) -> Iterator[str]:
    """Split at the braces that are not quoted; the braces are pieces of their own."""
    start = 0
    quoted = False
    skip = False
    for position, character in enumerate(text):
        if skip:
            skip = False
        elif character == "\\":
            skip = True
        elif character == '"':
            quoted = not quoted
        elif character in "{}" and not quoted:
            yield text[start:position].strip()
            yield character
            start = position + 1
    yield text[start:].strip()


def split(text: str) -> Iterator[str]:
    """Split into words; quotes hold words together and vanish, inside them a backslash escapes."""
    word: list[str] = []
    quote = ""
    begun = False
    characters = iter(text)
    for character in characters:
        if character == "\\" and quote:
            following = next(characters, "\\")
            word.append(_ESCAPES.get(following, following))
        elif quote:
            if character == quote:
                quote = ""
            else:
                word.append(character)
        elif character in "\"'":
            quote, begun = character, True
        elif character in " \t":
            if begun or word:
                yield "".join(word)
            word, begun = [], False
        else:
            word.append(character)
    if begun or word:
        yield "".join(word)
