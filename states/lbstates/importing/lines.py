"""The text of keepalived.conf -> its lines as keepalived sees them.

Comments, conditional lines (`@high`), parameters (`$NAME=value`, of several lines too), `~SEQ`, `~LST` and includes are
resolved here. What the words mean is in the modules that read `tree`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from .remarks import CannotImport, Files, Notebook, Place, Unreadable
from .repeats import Repeat, read_repeat

MAX_STEPS: Final = 200_000
"""Lines that are looked at, after repeating: a short file can make very many."""
MAX_CHARACTERS: Final = 20_000_000
MAX_LINE: Final = 16_384
MAX_DEPTH: Final = 40
"""Of includes, and of parameters in parameters."""
MAX_REPLACEMENTS: Final = 1_000

_BLANK: Final = " \t"
_DEFINITION: Final = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(?P<value>.*)", re.DOTALL)
_PARAMETER: Final = re.compile(
    r"\$(?:\{(?P<braced>[A-Za-z_][A-Za-z0-9_]*)(?P<range>(?: +[0-9]+){0,2}) *\}"
    r"|(?P<bare>[A-Za-z_][A-Za-z0-9_]*)(?=[ \t,)]|$))"
)
_INCLUDE: Final = re.compile(r"include[rmwba]?[ \t]+(?P<pattern>\S+)")


class Line(NamedTuple):
    """A line without comments and blanks at its ends, and where it was written."""

    text: str
    place: Place


@dataclass(slots=True)
class _Definition:
    """A parameter: its lines (one, unless it was written over several)."""

    lines: list[str]
    multiline: bool


@dataclass(slots=True)
class Reader:
    """Reads one keepalived.conf and what it includes; `config_id` is what `@` compares with."""

    files: Files
    notes: Notebook
    config_id: str
    conditional: bool = False
    _definitions: dict[str, _Definition] = field(default_factory=dict)
    _open_files: list[str] = field(default_factory=list)
    _pending: _Definition | None = None
    _steps: int = 0
    _characters: int = 0

    def read(self, name: str, text: str) -> Iterator[Line]:
        """Yield the lines; raises `CannotImport` for what never ends."""
        if name in self._open_files:
            cycle = " -> ".join([*self._open_files[self._open_files.index(name) :], name])
            raise CannotImport(Place(name, 0), f"files include each other: {cycle}", "break the circle")
        if len(self._open_files) >= MAX_DEPTH:
            raise CannotImport(Place(name, 0), f"includes are nested {MAX_DEPTH} deep", "flatten them")
        self._open_files.append(name)
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            wrong = f"all files together have more than {MAX_CHARACTERS} characters"
            raise CannotImport(Place(name, 0), wrong, "that is no configuration; check what is included")
        for number, raw in enumerate(re.split(r"\r\n|\n|\r", text), 1):
            place = Place(name, number)
            line = _decomment(raw.strip("\r"), place, self.notes)
            if self._pending is not None:
                self._continue_definition(self._pending, line)
            elif line:
                yield from self._process(line, place, 0)
        self._pending = None
        self._open_files.pop()

    def _continue_definition(self, definition: _Definition, line: str) -> None:
        body, more = _continued(line)
        if body:
            definition.lines.append(body)
        if not more:
            self._pending = None

    def _process(self, line: str, place: Place, depth: int) -> Iterator[Line]:
        if depth > MAX_DEPTH:
            wrong = f"parameters are nested more than {MAX_DEPTH} deep"
            raise CannotImport(place, wrong, "does one contain itself?")
        for _ in range(MAX_REPLACEMENTS):
            self._count(line, place)
            if line.startswith("@"):
                line = self._condition(line)
            if not line or self._define(line):
                return
            if line.startswith("~"):
                yield from self._repeat(line, place, depth)
                return
            replaced = self._replace(line, place)
            if len(replaced) > 1:
                for part in replaced:
                    yield from self._process(part, place, depth + 1)
                return
            if not replaced or replaced[0] == line:
                yield from self._finish(line, place)
                return
            line = replaced[0].strip(_BLANK)
        raise CannotImport(place, "replacing parameters in this line never ends", "does one contain itself?")

    def _count(self, line: str, place: Place) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            wrong = f"there are more than {MAX_STEPS} lines after repeating"
            raise CannotImport(place, wrong, "import a part of the configuration")
        if len(line) > MAX_LINE:
            raise CannotImport(place, f"the line has more than {MAX_LINE} characters", "is this a keepalived.conf?")

    def _condition(self, line: str) -> str:
        """Return what stands behind `@id` if the line is for us, else nothing."""
        self.conditional = True
        word, _, rest = line[1:].replace("\t", " ").partition(" ")
        matches = word[1:] != self.config_id if word.startswith("^") else word == self.config_id
        return rest.strip(_BLANK) if matches else ""

    def _define(self, line: str) -> bool:
        match = _DEFINITION.fullmatch(line)
        if match is None:
            return False
        value, more = _continued(match["value"])
        definition = _Definition([value] if value or not more else [], more)
        self._definitions[match["name"]] = definition
        self._pending = definition if more else None
        return True

    def _repeat(self, line: str, place: Place, depth: int) -> Iterator[Line]:
        repeat = read_repeat(line)
        if repeat is None:
            self.notes.wrong(place, line.partition("(")[0], "this is no ~SEQ or ~LST that can be read", "write it out")
            return
        yield from self._repeated(repeat, place, depth)

    def _repeated(self, repeat: Repeat, place: Place, depth: int) -> Iterator[Line]:
        for values in repeat.values:
            for name, value in zip(repeat.names, values, strict=False):
                self._definitions[name] = _Definition([value], multiline=False)
            yield from self._process(repeat.rest, place, depth + 1)

    def _replace(self, line: str, place: Place) -> list[str]:
        """Replace the first parameter that is defined; several lines come back where it had several."""
        for match in _PARAMETER.finditer(line):
            name = match["braced"] or match["bare"]
            definition = self._definitions.get(name) or self._predefined(name, match["range"], place)
            if definition is None or (definition.multiline and match.end() != len(line)):
                continue
            before, after = line[: match.start()], line[match.end() :]
            first, *others = definition.lines or [""]
            return [f"{before}{first}{after}", *others]
        return [line]

    def _predefined(self, name: str, limits: str | None, place: Place) -> _Definition | None:
        match name:
            case "_PWD":
                value = self.files.directory(place.file)
            case "_INSTANCE":
                value = self.config_id
            case "_HASH":
                value = "#"
            case "_BANG":
                value = "!"
            case "_RANDOM":
                value = (limits or "").split()[0] if limits else "0"
                self.notes.guessed(place, "_RANDOM", f"a random number became {value}", "choose one")
            case _:
                return None
        return _Definition([value], multiline=False)

    def _finish(self, line: str, place: Place) -> Iterator[Line]:
        include = _INCLUDE.fullmatch(line)
        if include is None:
            yield Line(line, place)
            return
        pattern = include["pattern"].strip("\"'")
        found = self.files.find(pattern, self.files.directory(place.file))
        if not found:
            self.notes.dropped(place, "include", f"no file matches {pattern}", "check the path, seen from this file")
        for name in found:
            try:
                text = self.files.read(name)
            except Unreadable as error:
                wrong = f"{name} cannot be included: {error.reason}"
                self.notes.wrong(place, "include", wrong, "give it, or strike the line")
            else:
                yield from self.read(name, text)


def _continued(text: str) -> tuple[str, bool]:
    """Tell whether a definition goes on in the next line; return it without the mark."""
    if text.endswith("\\"):
        return text[:-1].rstrip(_BLANK), True
    return text, False


def _decomment(text: str, place: Place, notes: Notebook) -> str:
    """Strike a comment and the blanks around the rest; a backslash before `#` or `!` makes it an ordinary character."""
    kept: list[str] = []
    quoted = False
    position = 0
    while position < len(text):
        character = text[position]
        following = text[position + 1 : position + 2]
        if character == "\\" and following:
            plain = not quoted and following in "#!"
            kept.append(following if plain else character + following)
            position += 2
            continue
        if character == '"':
            quoted = not quoted
        elif character in "#!" and not quoted:
            break
        kept.append(character)
        position += 1
    if quoted:
        notes.dropped(place, '"', "a quotation is not ended", "end it in the same line")
    return "".join(kept).strip(_BLANK)
