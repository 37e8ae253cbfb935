"""The text of a cluster file -> plain values, each with its line. Knows YAML, and nothing of clusters.

Only the part of YAML that people expect: mappings, lists and scalars. Anchors, aliases, tags and second documents are
refused (an alias can make a short file a huge one). `on`, `yes`, `0o17`, `010` and `12:30` are texts, not surprises.
The event stream is read rather than PyYAML's node tree: that one is built by recursion without a limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from .findings import Finding, Path, dotted

MAX_CHARACTERS: Final = 1_000_000
MAX_DEPTH: Final = 8
MAX_VALUES: Final = 200_000
"""Texts, numbers, lists and mappings: ten thousand services with two real servers each have half as many."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRANGE: Final = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
_WORDS: Final[dict[str, bool | None]] = {"": None, "~": None, "null": None, "true": True, "false": False}
_TEXT_TAGS: Final = (None, "!")


@dataclass(slots=True)
class Document:
    """The values (`None` when the text could not be read), the line of every path, and what was found on the way."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=lambda: {(): 1})
    findings: list[Finding] = field(default_factory=list)

    def line(self, path: Path) -> int:
        """The line of what the path names, or of the nearest thing around it that exists."""
        while path not in self.lines:
            path = path[:-1]
        return self.lines[path]


class _Stop(Exception):
    """The text cannot be read further; carries the finding."""

    def __init__(self, line: int, path: Path, wrong: str, right: str) -> None:
        super().__init__(wrong)
        self.finding = Finding(line, dotted(path), wrong, right)


def read(text: str) -> Document:
    """Read the text; never raises for what a user wrote."""
    document = Document()
    if len(text) > MAX_CHARACTERS:
        wrong = f"the file has {len(text)} characters"
        document.findings.append(Finding(1, "", wrong, f"a cluster file has at most {MAX_CHARACTERS}"))
        return document
    if strange := _STRANGE.search(text):
        line = len(f"{text[: strange.start()]}x".splitlines())
        wrong = f"the character U+{ord(strange.group()):04X} cannot be in a YAML file"
        document.findings.append(Finding(line, "", wrong, "save the file as UTF-8 text without control characters"))
        return document
    try:
        _Builder(document, _last_line(text)).build(_events(text))
    except _Stop as stop:
        document.data = None
        document.findings.append(stop.finding)
    return document


def _events(text: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        wrong = f"broken YAML: {error.problem or error.context}"
        if error.problem and error.context and error.context_mark:
            wrong = f"{wrong}, {error.context} that begins in line {error.context_mark.line + 1}"
        line = min(mark.line + 1, _last_line(text)) if mark else 1
        raise _Stop(line, (), wrong, _yaml_advice(text, mark)) from error
    except yaml.YAMLError as error:
        raise _Stop(1, (), f"broken YAML: {error}", "save the file as UTF-8 text") from error


def _last_line(text: str) -> int:
    """The parser counts the end of a text as a line of its own; no editor shows that one."""
    return len(text.splitlines()) or 1


def _yaml_advice(text: str, mark: yaml.Mark | None) -> str:
    lines = text.splitlines()
    if mark and mark.line < len(lines) and "\t" in lines[mark.line]:
        return "indent with spaces: YAML allows no tabs there"
    return "check indentation, colons, brackets and quotes here and in the line before"


class _Builder:
    """Builds the values of one document from its events."""

    def __init__(self, document: Document, last_line: int) -> None:
        self._document, self._last_line = document, last_line
        self._events: Iterator[yaml.Event] = iter(())
        self._left = MAX_VALUES

    def build(self, events: Iterator[yaml.Event]) -> None:
        self._events = events
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if self._document.data is not None:
                    raise _Stop(self._line(event), (), "a second YAML document begins here", "one file, one cluster")
                self._document.data = self._value(next(events), ())

    def _value(self, event: yaml.Event, path: Path) -> object:
        line = self._line(event)
        self._document.lines.setdefault(path, line)
        if not isinstance(event, (yaml.ScalarEvent, yaml.CollectionStartEvent)) or event.anchor is not None:
            raise _Stop(line, path, "YAML anchors and aliases (& and *) are not supported", "write the value out")
        if len(path) > MAX_DEPTH:
            raise _Stop(line, path, "nested too deeply", "nothing in a cluster file is as deep as this")
        self._left -= 1
        if self._left < 0:
            raise _Stop(line, path, f"the file has more than {MAX_VALUES} values", "make several clusters of it")
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if event.tag not in _TEXT_TAGS:
            raise _tagged(line, path)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(path)
        return self._sequence(path)

    def _scalar(self, event: yaml.ScalarEvent, path: Path) -> str | int | float | bool | None:
        if event.tag not in _TEXT_TAGS:
            raise _tagged(self._line(event), path)
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _FLOAT.fullmatch(text) else text

    def _mapping(self, path: Path) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._key(event, path)
            here = (*path, key)
            if key in found:
                wrong = f"{key} stands here again (first in line {self._document.lines[here]})"
                self._document.findings.append(Finding(self._line(event), dotted(here), wrong, "keep one of the two"))
                self._value(next(self._events), here)
                continue
            self._document.lines[here] = self._line(event)
            found[key] = self._value(next(self._events), here)
        return found

    def _key(self, event: yaml.Event, path: Path) -> str:
        if not isinstance(event, yaml.ScalarEvent) or event.anchor is not None or event.tag not in _TEXT_TAGS:
            raise _Stop(self._line(event), path, "a key is needed here, a plain word", "write `name: value`")
        key: str = event.value
        return key

    def _sequence(self, path: Path) -> list[Any]:
        return [self._value(event, (*path, i)) for i, event in enumerate(self._until(yaml.SequenceEndEvent))]

    def _until(self, end: type) -> Iterator[yaml.Event]:
        while not isinstance(event := next(self._events), end):
            yield event

    def _line(self, event: yaml.Event) -> int:
        return min(event.start_mark.line + 1, self._last_line) if event.start_mark else 1


def _tagged(line: int, path: Path) -> _Stop:
    # The tag is not shown: it may be a password that begins with an exclamation mark.
    wrong = "YAML tags (words that begin with !) are not supported"
    return _Stop(line, path, wrong, "leave the tag out, or put a text that begins with ! between quotes")
