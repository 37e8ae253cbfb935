"""virtual_routes and virtual_rules of a vrrp_instance in keepalived.conf -> routes and rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from . import values
from .neutral import Route, Rule
from .remarks import Notebook
from .tree import Statement
from .values import Wrong

_T = TypeVar("_T")

_MAX: Final = 2**31 - 1
_ROUTE_WORDS: Final = {
    "via": "via",
    "gw": "via",
    "dev": "interface",
    "table": "table",
    "to": "to",
    "src": "source",
    **dict.fromkeys(("metric", "priority", "preference"), "metric"),
}
_RULE_WORDS: Final = {
    "from": "from",
    "to": "to",
    "table": "table",
    "lookup": "table",
    **dict.fromkeys(("preference", "priority", "order", "pref", "prio"), "priority"),
}


def read_routes(blocks: list[list[Statement]], notes: Notebook, kept: list[str]) -> tuple[Route, ...]:
    """Read the lines of all virtual_routes; those that cannot be expressed are noted, and added to `kept` as text."""
    return _read(blocks, notes, kept, "virtual_routes", "route", _route)


def read_rules(blocks: list[list[Statement]], notes: Notebook, kept: list[str]) -> tuple[Rule, ...]:
    """Read the lines of all virtual_rules, as `read_routes` does."""
    return _read(blocks, notes, kept, "virtual_rules", "rule", _rule)


def _read(
    blocks: list[list[Statement]],
    notes: Notebook,
    kept: list[str],
    keyword: str,
    noun: str,
    read: Callable[[tuple[str, ...]], _T],
) -> tuple[_T, ...]:
    found = []
    for line in (line for block in blocks for line in block):
        try:
            found.append(read(line.words))
        except Wrong as error:
            notes.dropped(line.place, keyword, f"{error.wrong}, so the {noun} is left out", error.right)
            kept.append(f"{keyword} {{ {line.text()} }}")
    return tuple(found)


def _route(line: tuple[str, ...]) -> Route:
    given: dict[str, str] = {}
    rest = list(line)
    while rest:
        word = rest.pop(0)
        if word in _ROUTE_WORDS and rest:
            given[_ROUTE_WORDS[word]] = rest.pop(0)
        elif "to" not in given and (word == "default" or word[:1].isdigit() or ":" in word):
            given["to"] = word
        elif word != "no_track":
            raise Wrong(
                f"{values.shown(word)} cannot be expressed", "a route has to, via, interface, table, source and metric"
            )
    if "to" not in given:
        raise Wrong("it has no destination", "write a network")
    return Route(
        to=values.network(given["to"]),
        via=values.address(given["via"]) if "via" in given else None,
        interface=values.interface(given["interface"]) if "interface" in given else None,
        table=values.integer(given["table"], 1, _MAX) if "table" in given else None,
        source=values.address(given["source"]) if "source" in given else None,
        metric=values.integer(given["metric"], 0, _MAX) if "metric" in given else None,
    )


def _rule(line: tuple[str, ...]) -> Rule:
    given: dict[str, str] = {}
    rest = list(line)
    while rest:
        word = rest.pop(0)
        if word in _RULE_WORDS and rest:
            given[_RULE_WORDS[word]] = rest.pop(0)
        elif word != "no_track":
            raise Wrong(f"{values.shown(word)} cannot be expressed", "a rule has from, to, table and priority")
    if "table" not in given or not given.keys() & {"from", "to"}:
        raise Wrong("it has no table, or neither from nor to", "write both")
    return Rule(
        source=values.network(given["from"]) if "from" in given else None,
        to=values.network(given["to"]) if "to" in given else None,
        table=values.integer(given["table"], 1, _MAX),
        priority=values.integer(given["priority"], 0, _MAX) if "priority" in given else None,
    )
