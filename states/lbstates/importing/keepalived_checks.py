"""The checkers of a real_server in keepalived.conf -> the check of a cluster file, where there is one that asks the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from lbstates import checks

from . import values
from .blocks import Drop, Field, Table, drops, first, read_block
from .neutral import Check
from .remarks import Notebook
from .tree import Statement
from .values import Wrong

TRANSLATED: Final = ("TCP_CHECK", "HTTP_GET", "SSL_GET", "DNS_CHECK", "UDP_CHECK", "SMTP_CHECK")
OTHERS: Final = ("MISC_CHECK", "BFD_CHECK", "PING_CHECK", "FILE_CHECK")
NO_SCRIPTS: Final = Drop(
    "it has no counterpart", "it is kept as a comment; an `exec` check may do the same (docs/health.md)", keep=True
)
RETRIES: Final = Drop("a probe is not repeated before its time", "no action is needed")
_STATUS: Final = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?")
_DEFAULT_STATUS: Final = "200-299"
_SMTP: Final = 25
_KINDS: Final = {"TCP_CHECK": "tcp", "HTTP_GET": "http", "SSL_GET": "https", "DNS_CHECK": "dns", "UDP_CHECK": "udp"}


def _seconds(statement: Statement) -> float:
    try:
        found = float(first(statement))
    except ValueError:
        found = -1.0
    if not 0 < found <= checks.MOST_INTERVAL:
        raise Wrong(f"{values.shown(first(statement))} is no time for a check", "write seconds, up to an hour")
    return found


TIMES: Final[Mapping[str, Field]] = {
    "delay_loop": Field("interval", _seconds),
    "connect_timeout": Field("timeout", _seconds),
    "retry": Field("retry", lambda s: values.integer(first(s), 0, 99)),
    "virtualhost": Field("host", first),
}
"""What may stand in a virtual_server, in a real_server, and in a checker; the innermost one counts."""

_CHECKER: Final = Table(
    "in a checker",
    {
        **TIMES,
        "connect_ip": Field("address", first),
        "connect_port": Field("port", lambda s: values.integer(first(s), 1, 65_535)),
        "url": Field("urls", lambda s: s, many=True),
        "type": Field("type", first),
        "name": Field("name", first),
        "payload": Field("payload", first),
        "require_reply": Field("payload", lambda _: "reply"),
    },
    drops(RETRIES, "delay_before_retry", "warmup"),
    frozenset(
        {"alpha", "log_all_failures", "bindto", "bind_port", "bind_if", "fwmark", "http_protocol", "enable_sni"}
        | {"sni", "helo_name", "host", "min_reply_length", "max_reply_length", "fast_recovery", "tls_compliant"}
    ),
)
_URL: Final = Table(
    "in a url",
    {
        "path": Field("path", first),
        "virtualhost": Field("host", first),
        "status_code": Field("status", lambda s: tuple(s.arguments)),
    },
    drops(
        Drop("an answer is judged by its status and by a text in its body", "add a `body` to the check"),
        *("digest", "regex", "regex_no_match", "regex_options", "regex_stack", "regex_min_offset", "regex_max_offset"),
    ),
    frozenset({"tls_compliant"}),
)


def read_check(
    statements: Iterable[Statement], around: Mapping[str, Any], address: str, notes: Notebook
) -> Check | None:
    """Make a check of the checkers of the real server at `address`; `around` has `TIMES` of the blocks around them.

    A service has one check, so the first one that can be translated counts.
    """
    found: Check | None = None
    for statement in statements:
        if found is not None:
            notes.dropped(
                statement.place, statement.keyword, "a service has one check: the first one was taken", "choose"
            )
            continue
        try:
            found = _check(statement, around, address, notes)
        except Wrong as error:
            notes.dropped(statement.place, statement.keyword, f"{error.wrong}, so it is left out", error.right)
    return found


def _check(statement: Statement, around: Mapping[str, Any], address: str, notes: Notebook) -> Check:
    given = {**around, **read_block(statement.block or (), _CHECKER, notes)}
    if given.get("address", address) != address:
        raise Wrong("it asks another host", "check that one in a service of its own")
    kind = _KINDS.get(statement.keyword, "tcp")
    details: tuple[tuple[str, Any], ...] = ()
    port = int(given.get("port", 0))
    if kind in ("http", "https"):
        details = _http(given, notes)
    elif kind == "dns":
        if "name" not in given:
            raise Wrong("it asks for the root of the DNS", "add a `dns` check with a name of your own")
        details = (("name", _fitting(given["name"], checks.DNS_NAME)), ("type", str(given.get("type", "SOA")).upper()))
    elif kind == "udp" and "payload" in given:
        raise Wrong("its payload is hexadecimal", "write a `udp` check with `send` and `expect` as texts")
    elif statement.keyword == "SMTP_CHECK":
        notes.guessed(
            statement.place, "SMTP_CHECK", "the greeting is not read, only the connection made", "no action is needed"
        )
        port = port or _SMTP
    interval = given.get("interval")
    timeout = given.get("timeout")
    if interval is None:
        said = f"without delay_loop keepalived asks every 60 s; every {checks.TcpCheck().interval:g} s was taken"
        notes.guessed(statement.place, statement.keyword, said, "add an `interval` if that is too often")
    if interval is not None and timeout is not None and timeout > interval:
        timeout = interval
    fall = None if "retry" not in given else int(given["retry"]) + 1
    return Check(kind, details, port, interval, timeout if interval is not None or _short(timeout) else None, fall)


def _short(timeout: float | None) -> bool:
    """Whether it fits below the interval that a check has when nobody says one."""
    return timeout is not None and timeout <= checks.TcpCheck().interval


def _http(given: Mapping[str, Any], notes: Notebook) -> tuple[tuple[str, Any], ...]:
    url: dict[str, Any] = {}
    for number, statement in enumerate(given.get("urls", ())):
        if number:
            notes.dropped(statement.place, "url", "a check asks for one path: the first one was taken", "choose one")
            continue
        url = read_block(statement.block or (), _URL, notes)
    fields: dict[str, Any] = {}
    if url.get("path", "/") != "/":
        fields["path"] = _fitting(url["path"], checks.PATH)
    if host := url.get("host", given.get("host", "")):
        fields["host"] = _fitting(host, checks.HOST)
    wanted = url.get("status") or (_DEFAULT_STATUS,)
    if not all(_STATUS.fullmatch(one) for one in wanted):
        raise Wrong(f"{values.shown(' '.join(wanted))} is no HTTP status", "write one like 200, or 200-299")
    fields["status"] = wanted[0] if len(wanted) == 1 else tuple(wanted)
    return tuple(fields.items())


def _fitting(text: str, pattern: str) -> str:
    if not re.fullmatch(pattern, text):
        raise Wrong(f"{values.shown(text)} cannot be in a request", "write the check by hand")
    return text
