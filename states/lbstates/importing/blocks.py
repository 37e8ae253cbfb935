"""Reads the statements of one block by a table: which keyword sets which field, and which are known and left out.

A block's table is data beside the code that uses it; what is in neither part of it is an unknown keyword.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from .remarks import Notebook
from .tree import Statement
from .values import Wrong

Reading = Callable[[Statement], Any]
"""Makes a statement's value; raises `Wrong`."""


class Field(NamedTuple):
    """`many` collects the values of all such statements; else the last one counts, as in keepalived."""

    name: str
    read: Reading
    many: bool = False


class Drop(NamedTuple):
    """Why a keyword has no equivalent, and the way out; `keep` writes it into the cluster file as a comment."""

    said: str
    way_out: str
    keep: bool = False


KEPT: Final = "kept"
"""The field that collects the text of what becomes a comment."""


@dataclass(frozen=True, slots=True)
class Table:
    """The keywords of a block; `where` names it in remarks: "in a vrrp_instance".

    `ignored` keywords need no equivalent, `dropped` ones have none.
    """

    where: str
    fields: Mapping[str, Field]
    dropped: Mapping[str, Drop]
    ignored: frozenset[str] = frozenset()


def read_block(statements: Iterable[Statement], table: Table, notes: Notebook) -> dict[str, Any]:
    """Return the fields that the statements set, by name."""
    found: dict[str, Any] = {}
    for statement in statements:
        keyword = statement.keyword
        field = table.fields.get(keyword)
        if field is not None:
            _read_field(statement, field, found, notes)
        elif keyword in table.dropped:
            drop = table.dropped[keyword]
            notes.dropped(statement.place, keyword, drop.said, drop.way_out)
            if drop.keep:
                found.setdefault(KEPT, []).append(statement.text())
        elif keyword not in table.ignored:
            notes.unknown(statement.place, keyword, table.where)
    return found


def _read_field(statement: Statement, field: Field, found: dict[str, Any], notes: Notebook) -> None:
    try:
        value = field.read(statement)
    except Wrong as error:
        notes.dropped(statement.place, statement.keyword, f"{error.wrong}, so it is left out", error.right)
        return
    if field.many:
        found.setdefault(field.name, []).append(value)
    else:
        found[field.name] = value


def drops(drop: Drop, *keywords: str) -> dict[str, Drop]:
    """Make a table's part of keywords with the same fate."""
    return dict.fromkeys(keywords, drop)


def first(statement: Statement) -> str:
    """Return the first argument; raises `Wrong`."""
    if not statement.arguments:
        raise Wrong("a value is missing", f"write it behind {statement.keyword}")
    return statement.arguments[0]
