"""What is different between two generations: in the file, in what operators decided, and in the desired states. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import unified_diff
from typing import Any

import msgspec

from lbstates.clusterfile import ClusterFileError, parse
from lbstates.desired import RoleState, encode_state
from lbstates.interventions import Interventions

_WORDS = {"drains": "drain", "maintenance": "maintenance", "switchovers": "switchover", "evacuations": "evacuation"}
_SECRET = "auth_pass"  # noqa: S105 - the name of a field


def file_lines(old: str, new: str, names: tuple[str, str]) -> tuple[str, ...]:
    """Compare two cluster files as `diff -u` does; nothing where they are equal. Passwords are left out."""
    secrets = _secrets(old) | _secrets(new)
    lines = unified_diff(old.splitlines(), new.splitlines(), *names, lineterm="")
    return tuple(_masked(line, secrets) for line in lines)


def intervention_lines(old: Interventions, new: Interventions) -> tuple[str, ...]:
    """Say what was decided and what was ended between them."""
    was, will = set(intervention_words(old)), set(intervention_words(new))
    return (*(f"- {said}" for said in sorted(was - will)), *(f"+ {said}" for said in sorted(will - was)))


def intervention_words(interventions: Interventions) -> tuple[str, ...]:
    """Say each in a line: "drain r1 (by ann: disk)"."""
    return tuple(
        f"{word} {_subject(one)}{_because(one)}"
        for field, word in _WORDS.items()
        for one in getattr(interventions, field)
    )


def state_lines(old: Mapping[str, RoleState], new: Mapping[str, RoleState]) -> tuple[str, ...]:
    """Compare the desired states of every role, one value per line: "director services.0.scheduler: wlc -> rr"."""
    lines: list[str] = []
    for role in sorted({*old, *new}):
        was = dict(_flat(encode_state(old[role]))) if role in old else {}
        will = dict(_flat(encode_state(new[role]))) if role in new else {}
        lines += [
            f"{role} {place}: {_value(was, place)} -> {_value(will, place)}"
            for place in sorted({*was, *will}, key=_place)
            if was.get(place) != will.get(place)
        ]
    return tuple(lines)


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield the plain values of a tree, each with its place; parts of a list go by their name where they have one."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{place}.{_name(inner, number)}")
    else:
        yield place, value


def _name(value: object, number: int) -> str:
    if isinstance(value, dict):
        for keys in (("name",), ("vip", "protocol", "port"), ("vip", "protocol", "forwarding"), ("address", "port")):
            if all(key in value for key in keys):
                return "/".join(str(value[key]) for key in keys)
    return str(number)


def _place(place: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in place.split("."))


def _value(values: Mapping[str, Any], place: str) -> str:
    if place not in values:
        return "nothing"
    if _SECRET in place and values[place] is not None:
        return "(secret)"
    return msgspec.json.encode(values[place]).decode()


def _secrets(text: str) -> set[str]:
    """Read the passwords out of a cluster file: YAML can put one on a line of its own."""
    try:
        cluster = parse(text, "")
    except ClusterFileError:
        return set()  # of an earlier release, say: then only what stands beside the field's name is known
    given = (cluster.vrrp.auth_pass, *(instance.auth_pass for instance in cluster.instances.values()))
    return {secret for secret in given if secret}


def _masked(line: str, secrets: set[str]) -> str:
    head, found, _ = line.partition(_SECRET)
    if found:
        return f"{head}{found}: (secret)"
    for secret in secrets:
        if secret in line.replace('"', " ").replace("'", " ").split():
            line = line.replace(secret, "(secret)")
    return line


def _subject(one: msgspec.Struct) -> str:
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    host, instance, director = fields.get("host"), fields.get("instance"), fields.get("director")
    vip, port = fields.get("vip"), fields.get("port")
    if instance:
        return f"{instance} to {director}"
    return ":".join(str(part) for part in (host or director, vip, port) if part is not None)


def _because(one: msgspec.Struct) -> str:
    by, reason = getattr(one, "by", ""), getattr(one, "reason", "")
    said = ": ".join(part for part in (f"by {by}" if by else "", reason) if part)
    return f" ({said})" if said else ""
