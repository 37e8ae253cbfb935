"""The checks and fallbacks of ldirectord.cf -> the check and the sorry server of a virtual service, with its defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from lbstates import checks

from . import values
from .neutral import Check, Family, Forwarding
from .remarks import Notebook, Place
from .values import Wrong

Settings: TypeAlias = Mapping[str, tuple[Place, str]]
"""Value and place of each setting by its name; those of the virtual entry before those of the file."""

TAKEN: Final = frozenset(
    {"checktype", "service", "checkport", "request", "receive", "httpmethod", "virtualhost"}
    | {"checktimeout", "negotiatetimeout", "checkinterval", "failurecount"}
)
FALLBACKS: Final = frozenset({"fallback", "fallback6"})
METHODS: Final[dict[str, Forwarding]] = {"gate": "direct", "masq": "masquerade", "ipip": "tunnel"}

_BY_PORT: Final = {80: "http", 443: "https", 53: "dns"}
_INTERVAL, _CONNECT, _NEGOTIATE = "10", "5", "30"
"""Seconds: ldirectord's defaults."""
_UNCHECKED: Final = ("off", "on")
_FOREIGN: Final = ("ping", "external", "external-perl")
_PLAIN: Final = re.compile(r"[A-Za-z0-9 _<>/=:;,-]*")
"""A regular expression that means nothing but itself."""


def check_of(place: Place, port: int, settings: Settings, notes: Notebook) -> Check | None:
    """Make the check of a virtual service at `port` (0: it is by firewall mark); None: nobody checks, or none like it."""
    kind = _value(settings, "checktype", "negotiate")
    if kind in _UNCHECKED:
        return None
    where = settings["checktype"][0] if "checktype" in settings else place
    if kind in _FOREIGN:
        notes.dropped(
            where, "checktype", f"{kind} has no counterpart", "an `exec` check may do the same (docs/health.md)"
        )
        return None
    service = "none" if kind == "connect" else _value(settings, "service", _BY_PORT.get(port, "none"))
    try:
        return _check(where, kind, service, settings, notes)
    except Wrong as error:
        notes.dropped(where, "checktype", f"{error.wrong}, so there is no check", error.right)
        return None


def _check(place: Place, kind: str, service: str, settings: Settings, notes: Notebook) -> Check:
    details: tuple[tuple[str, Any], ...] = ()
    asked = "tcp"
    if service in ("http", "https"):
        asked, details = service, _http(settings, notes)
    elif service == "dns":
        if "request" not in settings:
            raise Wrong("no name is given to ask the DNS for", "add a `dns` check with one")
        asked, details = "dns", (("name", _fitting(_value(settings, "request", ""), checks.DNS_NAME)), ("type", "A"))
    elif service not in ("none", "simpletcp"):
        said = f"a {service} check became a connection, in which nothing is said"
        notes.guessed(place, "service", said, "no action is needed, or use an `exec` check")
    interval = float(values.integer(_value(settings, "checkinterval", _INTERVAL), 1, int(checks.MOST_INTERVAL)))
    waiting = ("checktimeout", _CONNECT) if kind == "connect" else ("negotiatetimeout", _NEGOTIATE)
    timeout = float(values.integer(_value(settings, *waiting), 1, int(checks.MOST_INTERVAL)))
    port = values.integer(_value(settings, "checkport", "0"), 0, 65_535)
    fall = values.integer(settings["failurecount"][1], 1, 100) if "failurecount" in settings else None
    return Check(asked, details, port, interval, min(timeout, interval), fall)


def _http(settings: Settings, notes: Notebook) -> tuple[tuple[str, Any], ...]:
    fields: dict[str, Any] = {}
    if request := _value(settings, "request", ""):
        path = re.sub(r"\Ahttps?://[^/]*", "", request)
        fields["path"] = _fitting(f"/{path.lstrip('/')}", checks.PATH)
    if host := _value(settings, "virtualhost", ""):
        fields["host"] = _fitting(host, checks.HOST)
    if (method := _value(settings, "httpmethod", "GET").upper()) != "GET":
        fields["method"] = _fitting(method, "HEAD|OPTIONS|POST")
    fields["status"] = "200-299"
    receive = _value(settings, "receive", "")
    if receive and _PLAIN.fullmatch(receive):
        fields["body"] = receive
    elif receive:
        said = "a body is searched for a text, not for a regular expression"
        notes.dropped(settings["receive"][0], "receive", said, "add a `body` to the check")
    return tuple(fields.items())


def fallback_of(family: Family, settings: Settings) -> tuple[Place, str, Forwarding | None] | None:
    """Return place, address and port as written, and method of the fallback server of a service, if there is one."""
    name = "fallback6" if family == "ipv6" and "fallback6" in settings else "fallback"
    if name not in settings:
        return None
    place, text = settings[name]
    written, _, method = text.partition(" ")
    return place, written, METHODS.get(method.strip())


def _value(settings: Settings, key: str, default: str) -> str:
    return settings[key][1].strip("\"'") if key in settings else default


def _fitting(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern, text):
        raise Wrong(f"{values.shown(text)} cannot be in a request", "write the check by hand")
    return text
