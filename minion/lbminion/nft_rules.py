"""Our rules <-> the JSON of the nft program. Pure.

All of them lie in one table, `inet lbmaster`, which is ours by its name: it holds a chain for marks and one for clamps,
and nothing else. It is always written as a whole, in one transaction, so that no packet ever meets half of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, cast, get_args

from lbstates.kinds.clamp import Clamp
from lbstates.kinds.mark import Mark
from lbstates.kinds.service import Family, Protocol, family_of

FAMILY: Final = "inet"
TABLE: Final = "lbmaster"

Rule: TypeAlias = Mark | Clamp

_IN, _OUT = "prerouting", "output"
_PRIORITY: Final = -150  # "mangle": before routing decides, and before IPVS looks
_HOOKS: Final = {name: {"type": "filter", "hook": name, "prio": _PRIORITY, "policy": "accept"} for name in (_IN, _OUT)}
_LAYER: Final[Mapping[Family, str]] = {"ipv4": "ip", "ipv6": "ip6"}
_PORTS: Final = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_MAX_PORT, _MAX_MARK = (1 << 16) - 1, (1 << 32) - 1
_MSS: Final = range(88, 65496)  # less than 88 bytes, and Linux cannot fit its options


class BadRule(ValueError):
    """A rule that must not be written: it is not what a rule of ours can be."""


class Reading(NamedTuple):
    """What the table holds: our rules as they stand there, and in words whatever else is in it."""

    rules: tuple[Rule, ...]
    oddities: tuple[str, ...]


def spelled(ports: Iterable[str]) -> tuple[str, ...]:
    """Spell ports in the one way in which they can be compared: sorted, neighbours joined. Raises `BadRule`."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(_range(port) for port in ports):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    return tuple(str(low) if low == high else f"{low}-{high}" for low, high in joined)


def bare(text: str) -> str:
    """Spell an address in the one way in which it can be compared. Raises `BadRule`."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise BadRule(f"{text!r} is no IP address") from None


def transaction(rules: Sequence[Rule]) -> dict[str, Any]:
    """Write the commands that make the table hold exactly these; the table of none is no table. Raises `BadRule`."""
    table = {"table": {"family": FAMILY, "name": TABLE}}
    commands: list[dict[str, Any]] = [{"add": table}, {"delete": table}]  # adding first: deleting nothing fails
    written = [(_IN if isinstance(rule, Mark) else _OUT, _expressions(rule)) for rule in rules]
    if written:
        commands.append({"add": table})
    place = {"family": FAMILY, "table": TABLE}
    chains = sorted({chain for chain, _ in written})
    commands += [{"add": {"chain": {**place, "name": chain, **_HOOKS[chain]}}} for chain in chains]
    commands += [
        {"add": {"rule": {**place, "chain": chain, "comment": "lbmaster", "expr": expressions}}}
        for chain, expressions in written
    ]
    return {"nftables": commands}


def decode(document: object) -> Reading:
    """Read what `nft --json list table inet lbmaster` printed; what is not understood is an oddity."""
    rules: list[Rule] = []
    oddities: list[str] = []
    for item in _items(document):
        match item:
            case {"metainfo": _}:
                continue
            case {"table": {"family": "inet", "name": "lbmaster", **more}} if more.keys() <= {"handle", "comment"}:
                continue
            case {"chain": {"name": str(name), **chain}} if _is_ours(name, chain):
                continue
            case {"rule": {"chain": str(chain), "expr": expressions}} if rule := _rule(chain, expressions):
                rules.append(rule)
            case {"rule": {"chain": chain, **more}}:
                oddities.append(f"rule {more.get('handle', '')} in chain {chain}")
            case dict():
                oddities.append(" ".join(f"{kind} {_name(value)}" for kind, value in item.items()))
            case _:
                oddities.append("something that is not understood")
    return Reading(tuple(rules), tuple(oddities))


def _items(document: object) -> Sequence[object]:
    match document:
        case {"nftables": [*items]}:
            return items
    return (document,)


def _name(value: object) -> object:
    return value.get("name", "") if isinstance(value, dict) else ""


def _is_ours(name: str, chain: Mapping[object, object]) -> bool:
    hook = _HOOKS.get(name)
    return hook is not None and all(chain.get(key) == value for key, value in hook.items())


def _rule(chain: str, expressions: object) -> Rule | None:
    try:
        match chain, expressions:
            case "prerouting", [{"match": whose}, {"match": ports}, {"mangle": mangle}]:
                return _mark(_address(whose, "daddr"), ports, mangle)
            case "output", [{"match": whose}, {"match": flags}, {"mangle": mangle}]:
                return _clamp(_address(whose, "saddr"), flags, mangle)
    except BadRule:
        pass
    return None


def _mark(address: str, ports: object, mangle: object) -> Mark | None:
    match ports, mangle:
        case (
            {"op": "==", "left": {"payload": {"protocol": str(protocol), "field": "dport"}}, "right": right},
            {"key": {"meta": {"key": "mark"}}, "value": int(mark)},
        ) if protocol in get_args(Protocol):
            return Mark(cast("Protocol", protocol), address, spelled(_listed(right)), mark, family_of(address))
    return None


def _clamp(address: str, flags: object, mangle: object) -> Clamp | None:
    """Versions of nft differ in how they print one bit of a mask."""
    match flags:
        case {
            "op": "==",
            "left": {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, 2 | "syn"]},
            "right": 2 | "syn",
        }:
            pass
        case {"op": "in", "left": {"payload": {"protocol": "tcp", "field": "flags"}}, "right": 2 | "syn"}:
            pass
        case _:
            return None
    match mangle:
        case {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": int(mss)}:
            return Clamp(address, mss)
    return None


def _address(match: object, field: str) -> str:
    match match:
        case {"op": "==", "left": {"payload": {"protocol": str(layer), "field": found}}, "right": str(text)} if (
            found == field
        ):
            address = bare(text)
            if layer == _LAYER[family_of(address)]:
                return address
    raise BadRule


def _listed(right: object) -> Iterable[str]:
    match right:
        case {"set": [*elements]}:
            return [_element(element) for element in elements]
    return [_element(right)]


def _element(element: object) -> str:
    match element:
        case int(port):
            return str(port)
        case {"range": [int(low), int(high)]}:
            return f"{low}-{high}"
    raise BadRule


def _range(text: str) -> tuple[int, int]:
    found = _PORTS.fullmatch(text)
    if found is None:
        raise BadRule(f"{text!r} is no port and no range of ports")
    low, high = int(found[1]), int(found[2] or found[1])
    if not low <= high <= _MAX_PORT:
        raise BadRule(f"{text!r} is no range of ports between 0 and {_MAX_PORT}")
    return low, high


def _expressions(rule: Rule) -> list[dict[str, Any]]:
    address = bare(rule.address)
    layer = _LAYER[family_of(address)]
    if isinstance(rule, Clamp):
        if rule.mss not in _MSS:
            raise BadRule(f"{rule.mss} is no maximum segment size between {_MSS.start} and {_MSS.stop - 1}")
        flags = {"&": [{"payload": {"protocol": "tcp", "field": "flags"}}, "syn"]}
        size = {"key": {"tcp option": {"name": "maxseg", "field": "size"}}, "value": rule.mss}
        return [_equal(_field(layer, "saddr"), address), _equal(flags, "syn"), {"mangle": size}]
    if rule.protocol not in get_args(Protocol) or rule.family != family_of(address):
        raise BadRule(f"{rule.protocol!r} to {address} ({rule.family}) cannot be marked")
    if not rule.ports or not 0 < rule.mark <= _MAX_MARK:
        raise BadRule(f"a mark between 1 and {_MAX_MARK} is needed, and a port")
    ports: list[int | dict[str, list[int]]] = [
        low if low == high else {"range": [low, high]} for low, high in map(_range, spelled(rule.ports))
    ]
    right = {"set": ports} if len(ports) > 1 else ports[0]
    mark = {"key": {"meta": {"key": "mark"}}, "value": rule.mark}
    return [_equal(_field(layer, "daddr"), address), _equal(_field(rule.protocol, "dport"), right), {"mangle": mark}]


def _field(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def _equal(left: object, right: object) -> dict[str, Any]:
    return {"match": {"op": "==", "left": left, "right": right}}
