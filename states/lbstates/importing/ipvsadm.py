"""What `ipvsadm -Sn` prints -> virtual services, as the kernel had them at that moment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from lbstates import words

from . import values
from .neutral import Destination, Family, Forwarding, Persistence, Service, Source, Tunnel
from .remarks import CannotImport, Notebook, Place, count
from .values import Wrong

MAX_LINES: Final = 200_000

_ENDPOINT: Final = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<four>[^:\[\]]+))(?::(?P<port>[0-9]+))?")
_SERVICE: Final = {
    "-t": "tcp",
    "--tcp-service": "tcp",
    "-u": "udp",
    "--udp-service": "udp",
    "--sctp-service": "sctp",
    "-f": "fwmark",
    "--fwmark-service": "fwmark",
}
_WITH_VALUE: Final = {
    "-s": "scheduler",
    "--scheduler": "scheduler",
    "-p": "timeout",
    "--persistent": "timeout",
    "-M": "netmask",
    "--netmask": "netmask",
    "--pe": "engine",
    "-b": "flags",
    "--sched-flags": "flags",
    "-r": "server",
    "--real-server": "server",
    "-w": "weight",
    "--weight": "weight",
    "-x": "upper",
    "--u-threshold": "upper",
    "-y": "lower",
    "--l-threshold": "lower",
    "--tun-type": "type",
    "--tun-port": "port",
}
_METHODS: Final[dict[str, Forwarding]] = {
    "-g": "direct",
    "--gatewaying": "direct",
    "-i": "tunnel",
    "--ipip": "tunnel",
    "-m": "masquerade",
    "--masquerading": "masquerade",
}
_CHECKSUMS: Final = {"--tun-nocsum": "none", "--tun-csum": "full", "--tun-remcsum": "remote"}
_ADD: Final = ("-A", "--add-service")
_ADD_SERVER: Final = ("-a", "--add-server")


def read_ipvsadm(director: str, name: str, text: str, notes: Notebook) -> Source:
    """Read one director's table; raises `CannotImport` for a text that is far too long."""
    source = Source(director, Place(name, 0), "ipvsadm -Sn")
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise CannotImport(source.place, f"there are more than {MAX_LINES} lines", "is this what ipvsadm -Sn prints?")
    services: dict[tuple[str, str, int], Service] = {}
    destinations: dict[tuple[str, str, int], list[Destination]] = {}
    for place, tokens in _lines(name, lines):
        try:
            _read(place, tokens, services, destinations)
        except Wrong as error:
            notes.wrong(place, tokens[0], f"{error.wrong}, so the line is left out", error.right)
    for key, service in services.items():
        found = replace(service, destinations=tuple(destinations.pop(key, ())))
        source.services.append(found)
        notes.taken(found.place, "-A", f"{found.name} with {count(len(found.destinations), 'real server')}")
    for left in filter(None, destinations.values()):  # empty where a real server was itself wrong
        notes.wrong(left[0].place, "-a", "its virtual service is not in the file", "add the line with -A before it")
    return source


def _lines(name: str, lines: list[str]) -> Iterator[tuple[Place, list[str]]]:
    for number, line in enumerate(lines, 1):
        tokens = line.split()
        if tokens and not tokens[0].startswith("#"):
            yield Place(name, number), tokens


def _read(
    place: Place,
    tokens: list[str],
    services: dict[tuple[str, str, int], Service],
    destinations: dict[tuple[str, str, int], list[Destination]],
) -> None:
    command, *rest = tokens
    if command not in (*_ADD, *_ADD_SERVER):
        raise Wrong(f"{values.shown(command)} is no line of ipvsadm -Sn", "save the table with `ipvsadm -Sn`")
    options = _options(rest)
    service = _service(place, options)
    if command in _ADD:
        if service.identity in services:
            raise Wrong(f"{service.name} is in line {services[service.identity].place.line} already", "strike one")
        services[service.identity] = service
    else:
        destinations.setdefault(service.identity, []).append(_destination(place, options, service))


def _options(tokens: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rest = iter(tokens)
    for token in rest:
        if token in _SERVICE:
            found["service"] = (_SERVICE[token], next(rest, ""))
        elif token in _WITH_VALUE:
            found[_WITH_VALUE[token]] = next(rest, "")
        elif token in _METHODS:
            found["method"] = _METHODS[token]
        elif token in _CHECKSUMS:
            found["checksum"] = _CHECKSUMS[token]
        elif token in ("-6", "--ipv6"):
            found["six"] = True
        elif token in ("-o", "--ops"):
            found["one_packet"] = True
        else:
            raise Wrong(f"{values.shown(token)} is no option that ipvsadm -Sn prints", "check the line")
    return found


def _service(place: Place, options: dict[str, Any]) -> Service:
    kind, written = options.get("service", ("", ""))
    if not kind:
        raise Wrong("there is no virtual service", "write -t, -u, --sctp-service or -f")
    family: Family = "ipv4"
    if kind == "fwmark":
        address, port, mark = "", 0, values.integer(written, 1, 2**31 - 1)
        family = "ipv6" if options.get("six") else "ipv4"
    else:
        address, port = _endpoint(written)
        mark, family = 0, "ipv6" if ":" in address else "ipv4"
    scheduler = options.get("scheduler", "wlc")
    if scheduler not in words.SCHEDULERS:
        raise Wrong(f"{values.shown(scheduler)} is no scheduler", f"one of {', '.join(words.SCHEDULERS)}")
    return Service(
        place=place,
        address=address,
        port=port,
        protocol=None if mark else kind,
        scheduler=scheduler,
        mark=mark,
        family=family,
        flags=tuple(sorted(filter(None, str(options.get("flags", "")).split(",")))),
        persistence=_persistence(options, family),
        one_packet=bool(options.get("one_packet")),
    )


def _persistence(options: dict[str, Any], family: Family) -> Persistence | None:
    if "timeout" not in options:
        return None
    mask = values.netmask(options["netmask"], family) if "netmask" in options else None
    full = 128 if family == "ipv6" else 32
    timeout = values.integer(options["timeout"], 1, values.MAX_TIMEOUT)
    return Persistence(timeout, None if mask == full else mask, options.get("engine"))


def _destination(place: Place, options: dict[str, Any], service: Service) -> Destination:
    address, port = _endpoint(options.get("server", ""))
    forwarding: Forwarding = options.get("method", "direct")
    kind = options.get("type", "ipip")
    if kind not in ("ipip", "gre", "gue"):
        raise Wrong(f"{values.shown(kind)} is no type of tunnel", "write ipip, gre or gue")
    tunnel = Tunnel(kind, values.integer(options.get("port", "0"), 0, 65_535), options.get("checksum", "none"))
    return Destination(
        address=address,
        port=port if forwarding == "masquerade" else service.port,
        place=place,
        forwarding=forwarding,
        weight=values.integer(options.get("weight", "1"), 0, words.MAX_WEIGHT),
        upper=values.integer(options.get("upper", "0"), 0, 2**31 - 1),
        lower=values.integer(options.get("lower", "0"), 0, 2**31 - 1),
        tunnel=tunnel if forwarding == "tunnel" else None,
    )


def _endpoint(text: str) -> tuple[str, int]:
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise Wrong(f"{values.shown(text)} is no address and port", "save the table with `ipvsadm -Sn`, with the n")
    address = values.address(match["six"] if match["six"] is not None else match["four"])
    return address, values.integer(match["port"] or "0", 0, 65_535)
