"""Which code asks for which kind of check: a new kind is one file and one line here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from lbstates.checks import Check, DnsCheck, ExecCheck, HttpCheck, HttpsCheck, TcpCheck, UdpCheck

from . import dns, http, program, tcp, udp
from .outcome import Outcome, Target

Ask: TypeAlias = Callable[[Target, Check], Awaitable[Outcome]]


def asker(checks_directory: Path) -> Ask:
    """Give what asks a target; it waits as long as it takes, and raises `ProbeFailed` or `CannotProbe`."""

    def ask(target: Target, check: Check) -> Awaitable[Outcome]:
        match check:
            case TcpCheck():
                return tcp.probe(target, check)
            case HttpsCheck():
                return http.probe_by_tls(target, check)
            case HttpCheck():
                return http.probe(target, check)
            case DnsCheck():
                return dns.probe(target, check)
            case UdpCheck():
                return udp.probe(target, check)
            case ExecCheck():
                return program.probe(target, check, checks_directory)

    return ask
