"""Checks and pools as a minion receives them: whoever signed it, nothing harmful or senseless is taken."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lbstates.balancing import Pool, ServiceDestination, VirtualService
from lbstates.checks import Check, DnsCheck, ExecCheck, HttpCheck, HttpsCheck, TcpCheck, UdpCheck
from lbstates.desired import DirectorState, Host, decode_state, encode_state
from lbstates.errors import BadState

KINDS: tuple[Check, ...] = (
    TcpCheck(),
    HttpCheck(path="/a?b=c", host="shop.example:8080", status=((200, 204), (301, 301)), body="läuft\n"),
    HttpsCheck(sni="shop.example", verify=True, expiry_days=0),
    DnsCheck(name="example.org", type="AAAA"),
    UdpCheck(send="\0ping", expect="pong"),
    ExecCheck(program="check_shop-2"),
)


def _state(**service: Any) -> dict[str, Any]:
    destination = ServiceDestination("10.0.0.11", 80, 1)
    made = VirtualService("tcp", "10.0.0.200", 80, "wlc", (destination,))
    encoded = encode_state(DirectorState("c", {"d1": Host("10.0.0.1")}, (), (made,)))
    return encoded | {"services": [encoded["services"][0] | service]}


@pytest.mark.parametrize("check", KINDS, ids=lambda check: check.kind)
def test_every_kind_of_check_arrives_as_it_was_sent(check: Check) -> None:
    """With its kind by name."""
    state = decode_state(_state(check=msgspec.to_builtins(check)))
    assert isinstance(state, DirectorState)
    assert state.services[0].check == check
    assert msgspec.to_builtins(check)["kind"] == check.kind


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "shell", "command": "id"},
        {"kind": "tcp", "command": "id"},
        {"kind": "tcp", "interval": 0.01},
        {"kind": "tcp", "interval": 1.0, "timeout": 2.0},
        {"kind": "tcp", "fall": 0},
        {"kind": "tcp", "port": 70000},
        {"kind": "http", "path": "/a\r\nX: y"},
        {"kind": "http", "path": "health"},
        {"kind": "http", "host": "a\nb"},
        {"kind": "http", "method": "DELETE"},
        {"kind": "http", "status": [[99, 200]]},
        {"kind": "http", "body": "x" * 1025},
        {"kind": "https", "sni": "a b"},
        {"kind": "dns", "name": "a b"},
        {"kind": "dns", "type": "AXFR"},
        {"kind": "exec", "program": "../../bin/sh"},
        {"kind": "exec", "program": "/bin/sh"},
        {"kind": "exec", "program": "-c"},
        {"kind": "exec", "program": "a b"},
        {"kind": "exec", "program": "a\n"},
    ],
    ids=str,
)
def test_a_check_that_could_do_harm_is_refused(check: dict[str, Any]) -> None:
    """No path, no line break, no unknown field, no time that floods."""
    with pytest.raises(BadState):
        decode_state(_state(check=check))


@pytest.mark.parametrize(
    "pool",
    [
        {"most_out": 101},
        {"most_out": -1},
        {"slow_start": -1},
        {"sorry": {"address": "127.0.0.1", "port": 80, "weight": 1}},
        {"sorry": {"address": "10.0.0.11", "port": 80, "weight": 1}},
        {"all_out": True},
    ],
    ids=str,
)
def test_a_pool_that_makes_no_sense_is_refused(pool: dict[str, Any]) -> None:
    """Nor a sorry server that is one of the real servers: the table has one entry for both."""
    with pytest.raises(BadState):
        decode_state(_state(pool=pool))


def test_a_check_without_any_port_is_refused() -> None:
    """Of a service by firewall mark; a program needs none."""
    destination = ServiceDestination("10.0.0.11", 0, 1)
    for check in KINDS:
        if isinstance(check, ExecCheck):
            VirtualService(None, "", 0, "wlc", (destination,), mark=7, check=check)
            continue
        with pytest.raises(ValueError, match="asks no port"):
            VirtualService(None, "", 0, "wlc", (destination,), mark=7, check=check)
        VirtualService(None, "", 0, "wlc", (destination,), mark=7, check=msgspec.structs.replace(check, port=80))


def test_a_service_names_itself_and_its_destinations_as_hosts_do() -> None:
    """Also its sorry server."""
    sorry = ServiceDestination("10.0.0.99", 80, 1)
    service = VirtualService("tcp", "10.0.0.200", 80, "wlc", (), pool=Pool(sorry=sorry))
    assert service.identity == "tcp 10.0.0.200:80"
    assert service.identity_of(sorry) == "tcp 10.0.0.200:80 -> 10.0.0.99:80"
    marked = VirtualService(None, "", 0, "wlc", (), mark=7, mark_family="ipv6")
    assert marked.identity == "fwmark 7 IPv6"
