"""What is read again and again: the same as a fresh reading after whatever happened, and the same objects if nothing did."""

from __future__ import annotations

import random
import subprocess
from typing import Any

import pytest
from tests.uml.inside import modules
from tests.uml.inside.conftest import MODULES, altered, put, run

from lbminion.errors import NoAnswer, NoIpvs
from lbminion.handlers.ipvs import IpvsTable
from lbminion.netlink import message
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.transport import Question
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Service
from lbstates.plan import diff, index

WEB = Service("tcp", "172.28.128.200", 80, "rr")
MANY = [Destination(WEB.identity, f"10.1.{n // 250}.{n % 250 + 1}", 80, "direct", 1) for n in range(300)]


class Sent:
    """Counts what goes to the kernel."""

    def __init__(self, ipvs: Ipvs, monkeypatch: pytest.MonkeyPatch) -> None:
        self.messages: list[message.Message] = []
        self.sends = 0
        transport = ipvs._transport
        send = transport._send

        def counted(data: bytes) -> None:
            self.sends += 1
            self.messages += message.split(data)
            send(data)

        monkeypatch.setattr(transport, "_send", counted)


def test_one_weight_is_one_message(ipvs: Ipvs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ipvs, "add", WEB, *MANY)
    table = ipvs.read()
    wanted = index([WEB, altered(MANY[0], weight=7), *MANY[1:]])
    plan = diff(wanted, {"service": table.services, "destination": table.destinations}, {})
    sent = Sent(ipvs, monkeypatch)
    assert ipvs.apply(plan) == []
    assert (sent.sends, len(sent.messages)) == (1, 1)
    assert ipvs.read().destinations[MANY[0].identity].weight == 7


def test_nothing_to_do_is_no_message(ipvs: Ipvs, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ipvs, "add", WEB, *MANY)
    table = ipvs.read()
    plan = diff(index([WEB, *MANY]), {"service": table.services, "destination": table.destinations}, {})
    sent = Sent(ipvs, monkeypatch)
    assert (plan, ipvs.apply(plan), sent.sends) == ((), [], 0)


def test_301_changes_are_two_sends(ipvs: Ipvs, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(ipvs, monkeypatch)
    put(ipvs, "add", WEB, *MANY)
    assert (sent.sends, len(sent.messages)) == (2, 301)


def test_a_table_that_has_not_changed_is_the_same_object(ipvs: Ipvs) -> None:
    put(ipvs, "add", WEB, *MANY)
    assert ipvs.snapshot() is ipvs.snapshot()


def test_only_what_has_changed_is_another_object(ipvs: Ipvs) -> None:
    put(ipvs, "add", WEB, *MANY)
    before = ipvs.snapshot()
    run("ipvsadm", "-e", "-t", "172.28.128.200:80", "-r", MANY[7].address, "-g", "-w", "5")
    after = ipvs.snapshot()
    other = {
        identity
        for identity, destination in after.table.destinations.items()
        if before.table.destinations[identity] is not destination
    }
    assert other == {MANY[7].identity}
    assert after.table.services[WEB.identity] is before.table.services[WEB.identity]
    assert after.statistics.destinations[MANY[8].identity] is before.statistics.destinations[MANY[8].identity]


def test_after_whatever_others_did_a_reading_is_what_a_fresh_one_is(ipvs: Ipvs) -> None:
    chance = random.Random(3)
    services = [altered(WEB, port=port) for port in range(1, 5)]
    services += [Service(None, "", 0, "rr", mark=mark) for mark in (1, 2)]
    for _ in range(60):
        with Ipvs() as other:
            _change_something(other, services, chance)
        mine = ipvs.snapshot()
        with Ipvs() as fresh:
            assert mine == fresh.snapshot()


@pytest.mark.parametrize("failing", [1, 2, 3, 4])
def test_after_a_reading_that_was_broken_off_the_next_one_is_whole(
    ipvs: Ipvs, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Whatever was read before it broke off must not pass for known."""
    services = [altered(WEB, port=port) for port in (80, 81, 82)]
    there = [altered(MANY[0], service=service.identity) for service in services]
    put(ipvs, "add", *services, *there)
    ipvs.snapshot()
    put(ipvs, "set", *[altered(service, scheduler="wrr") for service in services])
    put(ipvs, "set", *[altered(destination, weight=9) for destination in there])
    asked = []
    ask = ipvs._transport.ask

    def break_off(question: Question) -> bool:
        asked.append(question)
        if len(asked) == failing:
            raise NoAnswer("lost")
        return ask(question)

    with monkeypatch.context() as patch:
        patch.setattr(ipvs._transport, "ask", break_off)
        with pytest.raises(NoAnswer):
            ipvs.snapshot()
    with Ipvs() as fresh:
        assert ipvs.snapshot() == fresh.snapshot()


def _change_something(ipvs: Ipvs, services: list[Service], chance: random.Random) -> None:
    table = ipvs.read()
    service = chance.choice(services)
    there = [one for one in table.destinations.values() if one.service == service.identity]
    things: dict[Any, list[Any]] = {"add": [service], "remove": [service], "set": [altered(service, scheduler="wrr")]}
    more = [
        Destination(service.identity, f"10.1.0.{chance.randrange(1, 250)}", service.port, "direct", 1) for _ in range(9)
    ]
    tunnel = {"forwarding": "tunnel", "tunnel": Tunnel("gre")}
    if service.identity in table.services:
        things["add"] = more
        things["set"] += [altered(one, weight=chance.randrange(9), **chance.choice([{}, tunnel])) for one in there]
        things["remove"] = chance.choice([[service], there[:3], there])
    verb = chance.choice(["add", "set", "remove"])
    put(ipvs, verb, *things[verb])


def test_a_module_that_was_taken_out_is_said_and_when_it_is_back_it_is_read(loaded: None) -> None:
    table = IpvsTable()
    put(table.table(), "add", WEB)
    assert table.snapshot() is not None
    run("ipvsadm", "-C")
    try:
        modules.unload("ip_vs")
        with pytest.raises(NoIpvs, match="modprobe ip_vs"):
            table.snapshot()
    finally:
        modules.load(*MODULES)
    put(table.table(), "add", WEB)
    snapshot = table.snapshot()
    assert snapshot is not None
    assert list(snapshot.table.services) == [WEB.identity]
    table.close()
    assert subprocess.run(["ipvsadm", "-C"], check=False, timeout=30).returncode == 0
