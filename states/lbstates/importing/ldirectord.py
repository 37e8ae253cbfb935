"""ldirectord.cf -> virtual services, with ldirectord's own defaults."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from lbstates import words

from . import values
from .ldirectord_checks import FALLBACKS, METHODS, TAKEN, check_of, fallback_of
from .neutral import Destination, Family, Forwarding, Persistence, Service, Sorry, Source
from .remarks import CannotImport, Notebook, Place, count
from .values import Wrong

MAX_LINES: Final = 100_000

_LINE: Final = re.compile(r"(?P<indent>[ \t]*)(?P<key>[A-Za-z0-9-]+)[ \t]*=[ \t]*(?P<value>.*)")
_ENDPOINT: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:\[\]]+))(?::(?P<port>[A-Za-z0-9-]+))?")
_DNS: Final = 53
_FULL_MASK: Final = 32

_SERVICES: Final = {
    "ftp": 21,
    "ssh": 22,
    "telnet": 23,
    "smtp": 25,
    "domain": 53,
    "http": 80,
    "www": 80,
    "pop3": 110,
    "nntp": 119,
    "ntp": 123,
    "imap": 143,
    "imap2": 143,
    "ldap": 389,
    "https": 443,
    "submission": 587,
    "ldaps": 636,
    "imaps": 993,
    "pop3s": 995,
    "mysql": 3306,
    "postgresql": 5432,
    "sip": 5060,
}
"""Names of ports that stand in such files; nothing is looked up."""

_CHECKS: Final = frozenset(
    {"checkcommand", "login", "passwd", "database", "secret", "load", "checkcount", "quiescent", "readdquiescent"}
    | {"monitorfile", "maintenancedir", "cleanstop"}
)
_SECRETS: Final = frozenset({"passwd", "secret"})
_MAIL: Final = frozenset({"emailalert", "emailalertfrom", "emailalertfreq", "emailalertstatus", "smtp", "callback"})
_PROCESS: Final = frozenset({"autoreload", "logfile", "supervised", "fork"})
_SETTINGS: Final = frozenset({"scheduler", "persistent", "netmask", "protocol", "ops", "real", "real6"})


@dataclass(slots=True)
class _Virtual:
    """A virtual entry while its lines are read; a value is a text and its place."""

    place: Place
    written: str
    settings: dict[str, tuple[Place, str]]
    reals: list[tuple[Place, str]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def read_ldirectord(name: str, text: str, notes: Notebook) -> Source:
    """Read an ldirectord.cf; raises `CannotImport` for a text that is far too long."""
    source = Source(None, Place(name, 0), "ldirectord.cf")
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise CannotImport(source.place, f"there are more than {MAX_LINES} lines", "is this an ldirectord.cf?")
    for virtual in _virtuals(name, lines, source, notes):
        try:
            service = _service(virtual, notes)
        except Wrong as error:
            notes.wrong(virtual.place, "virtual", f"{error.wrong}, so it is left out", error.right)
            continue
        source.services.append(service)
        notes.taken(service.place, "virtual", f"{service.name} with {count(len(service.destinations), 'real server')}")
    return source


def _virtuals(name: str, lines: list[str], source: Source, notes: Notebook) -> Iterator[_Virtual]:
    current: _Virtual | None = None
    common: dict[str, tuple[Place, str]] = {}
    for number, raw in enumerate(lines, 1):
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        place = Place(name, number)
        match = _LINE.fullmatch(raw.rstrip())
        if match is None:
            notes.unknown(place, raw.split()[0][:30], "in ldirectord.cf: a line is `name = value`")
            continue
        key, value = match["key"].lower(), match["value"].strip()
        if key in ("virtual", "virtual6"):
            if current is not None:
                yield current
            # What stands at the top holds where a service does not say otherwise.
            current = _Virtual(place, value, dict(common))
        elif match["indent"] and current is not None:
            _setting(place, key, value, current, notes)
        else:
            if current is not None:
                yield current
            current = None
            if key in TAKEN | FALLBACKS:
                common[key] = (place, value)
            else:
                _left_out(place, key, value, source.kept, notes)
    if current is not None:
        yield current


def _setting(place: Place, key: str, value: str, virtual: _Virtual, notes: Notebook) -> None:
    if key in ("real", "real6"):
        virtual.reals.append((place, value))
    elif key in _SETTINGS | TAKEN | FALLBACKS:
        virtual.settings[key] = (place, value.strip("\"'"))
    else:
        _left_out(place, key, value, virtual.kept, notes)


def _left_out(place: Place, key: str, value: str, kept: list[str], notes: Notebook) -> None:
    said = f"{key} = {'(not shown)' if key in _SECRETS else value}"
    if key in _CHECKS:
        notes.dropped(place, key, "the checks here have no such setting", "it is kept as a comment")
        kept.append(said)
    elif key == "fallbackcommand":
        notes.dropped(place, key, "no command is run when a sorry server comes in", "subscribe to `pool.sorry`")
    elif key in _MAIL:
        notes.dropped(
            place, key, "no mail is sent and no script is run", "subscribe to the events instead (docs/alerting.md)"
        )
    elif key in _PROCESS:
        notes.dropped(place, key, "lbmaster has no such process", "no action is needed")
    elif key == "execute":
        notes.wrong(place, key, "another configuration is not read", f"import {values.shown(value)} too")
    elif key in _SETTINGS:
        notes.dropped(place, key, "it stands outside of a virtual service", "indent it below `virtual`")
    else:
        notes.unknown(place, key, "in ldirectord.cf")


def _service(virtual: _Virtual, notes: Notebook) -> Service:
    mark = 0
    address, port = "", 0
    if re.fullmatch(r"[0-9]+", virtual.written):
        mark = values.integer(virtual.written, 1, 2**31 - 1)
    else:
        address, port = _endpoint(virtual.written)
    reals = [
        destination for place, text in virtual.reals for destination in _destinations(place, text, port, mark, notes)
    ]
    check = check_of(virtual.place, port, virtual.settings, notes)
    family: Family = "ipv6" if ":" in address or (mark and reals and ":" in reals[0].address) else "ipv4"
    protocol = _value(virtual, "protocol", "udp" if port == _DNS else "tcp")
    if not mark and protocol not in ("tcp", "udp"):
        raise Wrong(f"{values.shown(protocol)} is no protocol of an address and port", "write tcp or udp")
    scheduler = _value(virtual, "scheduler", "wrr")
    if scheduler not in words.SCHEDULERS:
        notes.guessed(virtual.place, "scheduler", f"{values.shown(scheduler)} is none, and wrr was taken", "choose one")
        scheduler = "wrr"
    return Service(
        place=virtual.place,
        address=address,
        port=port,
        protocol=None if mark else protocol,
        scheduler=scheduler,
        mark=mark,
        family=family,
        persistence=_persistence(virtual, family, notes),
        one_packet=_value(virtual, "ops", "no") == "yes",
        destinations=tuple(replace(one, check=check) for one in _once(reals, notes)),
        kept=tuple(virtual.kept),
        sorry=_sorry(virtual, family, port, notes),
    )


def _sorry(virtual: _Virtual, family: Family, port: int, notes: Notebook) -> Sorry | None:
    found = fallback_of(family, virtual.settings)
    if found is None:
        return None
    place, written, forwarding = found
    try:
        address, own = _endpoint(written)
    except Wrong as error:
        notes.wrong(place, "fallback", f"{error.wrong}, so it is left out", error.right)
        return None
    return Sorry(address, 0 if own == port else own, place, forwarding)


def _value(virtual: _Virtual, key: str, default: str) -> str:
    return virtual.settings[key][1] if key in virtual.settings else default


def _persistence(virtual: _Virtual, family: Family, notes: Notebook) -> Persistence | None:
    if "persistent" not in virtual.settings:
        return None
    timeout = values.integer(virtual.settings["persistent"][1], 1, values.MAX_TIMEOUT)
    if "netmask" not in virtual.settings:
        return Persistence(timeout)
    place, text = virtual.settings["netmask"]
    try:
        mask = values.netmask(text, family)
    except Wrong as error:
        notes.dropped(place, "netmask", error.wrong, error.right)
        return Persistence(timeout)
    return Persistence(timeout, None if mask == (128 if family == "ipv6" else _FULL_MASK) else mask)


def _destinations(place: Place, text: str, port: int, mark: int, notes: Notebook) -> Iterator[Destination]:
    try:
        yield from _real(place, text, port, mark)
    except Wrong as error:
        notes.wrong(place, "real", f"{error.wrong}, so it is left out", error.right)


def _real(place: Place, text: str, port: int, mark: int) -> list[Destination]:
    try:
        written, *rest = shlex.split(text.replace(",", " "))
    except ValueError as error:
        raise Wrong(f"the line cannot be read ({error})", "check its quotes") from None
    forwarding: Forwarding = "direct"
    if rest and rest[0] in METHODS:
        forwarding = METHODS[rest.pop(0)]
    weight = values.integer(rest.pop(0), 0, words.MAX_WEIGHT) if rest and rest[0].isdigit() else 1
    checks = (" ".join(f'"{word}"' for word in rest),) if rest else ()
    begin, arrow, end = written.partition("->")
    address, own = _endpoint(f"{begin}:0" if arrow and ":" not in begin else begin)
    last, last_port = _endpoint(end) if arrow else (address, own)
    real_port = last_port if arrow else own
    if forwarding != "masquerade" or (not real_port and not mark):
        real_port = port
    return [
        Destination(one, real_port, place, forwarding, weight, checks=checks, written_port=last_port if arrow else own)
        for one in (values.addresses(f"{address}-{last}") if arrow else [address])
    ]


def _once(reals: list[Destination], notes: Notebook) -> tuple[Destination, ...]:
    found: dict[tuple[str, int], Destination] = {}
    for real in reals:
        key = (real.address, real.port)
        if key in found:
            notes.dropped(real.place, "real", "the real server stands here again", "strike one of the two")
        found.setdefault(key, real)
    return tuple(found.values())


def _endpoint(text: str) -> tuple[str, int]:
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise Wrong(f"{values.shown(text)} is no address and port", "write 10.0.0.1:80 or [fd00::1]:80")
    address = values.address(match["six"] if match["six"] is not None else match["four"])
    port = match["port"] or "0"
    if not port.isdigit() and port not in _SERVICES:
        raise Wrong(f"{values.shown(port)} is no port that is known", "write its number")
    return address, _SERVICES[port] if port in _SERVICES else values.integer(port, 0, 65_535)
