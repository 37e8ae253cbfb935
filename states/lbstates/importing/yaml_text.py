"""Plain values and comments by path -> YAML text that the cluster file's reader and every other one read alike."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
Comments: TypeAlias = Mapping[Path, Sequence[str]]
"""Lines that stand before the entry with this path; those of () stand at the top."""

WIDTH: Final = 110

_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*|[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?")
_SPECIAL: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})


def write(data: Mapping[str, Any], comments: Comments) -> str:
    """Write a document; values are texts, numbers, truth values, None, lists and mappings of such."""
    lines = list(_comment(comments.get((), ()), 0))
    lines += _mapping(data, (), comments, 0)
    return "\n".join(lines) + "\n"


def scalar(value: object) -> str:
    """Write one value: plain where every reader takes it for the same, else between double quotes."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else f"{value:.6f}".rstrip("0")
    text = str(value)
    if _PLAIN.fullmatch(text) and text.lower() not in _SPECIAL:
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if " " <= character <= "~" else f"\\U{ord(character):08x}"


def _comment(lines: Sequence[str], indent: int) -> Iterator[str]:
    prefix = " " * indent + "# "
    for line in lines:
        printable = "".join(character if character.isprintable() else "?" for character in line)
        plain = printable.encode("utf-8", "replace").decode("utf-8")
        folded = textwrap.wrap(plain, WIDTH - indent, subsequent_indent="  ", break_long_words=False) or [""]
        yield from (f"{prefix}{part}".rstrip() for part in folded)


def _mapping(data: Mapping[str, Any], path: Path, comments: Comments, indent: int) -> Iterator[str]:
    for key, value in data.items():
        here = (*path, key)
        if not path and isinstance(value, (dict, list)):
            yield ""
        yield from _comment(comments.get(here, ()), indent)
        yield from _entry(f"{' ' * indent}{scalar(key)}:", value, here, comments, indent)


def _entry(head: str, value: object, path: Path, comments: Comments, indent: int) -> Iterator[str]:
    if not isinstance(value, (Mapping, list)):
        yield f"{head} {scalar(value)}"
        return
    line = f"{head} {_flow(value)}"
    below = any(known[: len(path)] == path and known != path for known in comments)
    fits = len(line) <= WIDTH and not below
    if not value or (fits and len(path) > 1 and not _has_sections(value, path)):
        yield line
    elif isinstance(value, Mapping):
        yield head
        yield from _mapping(value, path, comments, indent + 2)
    else:
        yield head
        yield from _list(value, path, comments, indent + 2)


def _has_sections(value: object, path: Path) -> bool:
    """Tell whether it is one of the entries that read better with a line for every field."""
    return path[0] in ("instances", "services") and len(path) == 2 and isinstance(value, Mapping) and len(value) > 3  # noqa: PLR2004


def _list(items: Sequence[Any], path: Path, comments: Comments, indent: int) -> Iterator[str]:
    for number, item in enumerate(items):
        here = (*path, number)
        yield from _comment(comments.get(here, ()), indent)
        if isinstance(item, Mapping) and item:
            first, *others = list(_mapping(item, here, comments, indent + 2))
            yield f"{' ' * indent}- {first.lstrip()}"
            yield from others
        else:
            yield f"{' ' * indent}- {_flow(item)}"


def _flow(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    return scalar(value)
