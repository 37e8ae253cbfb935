"""The handler of kernel settings, in a real network namespace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lbminion.handlers.sysctls import Sysctls
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Change, diff

if TYPE_CHECKING:
    from tests.netns.conftest import Namespace

ARP = Sysctl("net/ipv4/conf/lo/arp_ignore", "1")
RA = Sysctl("net/ipv6/conf/lo/accept_ra", "0")
PORTS = Sysctl("net/ipv4/ip_local_port_range", "20000 30000")
ALL = {it.key: it for it in (ARP, RA, PORTS)}
WANTED = {"sysctl": set(ALL)}

pytestmark = pytest.mark.needs_root


def test_settings_of_both_families_are_set_read_back_and_put_back(netns: Namespace) -> None:
    handler = Sysctls()
    before = netns.run(asyncio.run, handler.observe(WANTED))
    owned = {"sysctl": dict(before["sysctl"])}
    plan = diff({"sysctl": ALL}, before, owned)
    assert netns.run(asyncio.run, handler.apply(plan)) == []
    after = netns.run(asyncio.run, handler.observe(WANTED))
    assert after == {"sysctl": ALL}
    assert netns.run(asyncio.run, handler.apply(diff({}, after, owned))) == []
    assert netns.run(asyncio.run, handler.observe(WANTED)) == before


def test_what_somebody_sets_is_noticed(netns: Namespace) -> None:
    handler = Sysctls()
    observed = netns.run(asyncio.run, handler.observe(WANTED))
    assert not netns.run(handler.changed, WANTED, observed)
    netns.run(asyncio.run, handler.apply([Change("sysctl", "set", ARP.key, after=ARP)]))
    assert netns.run(handler.changed, WANTED, observed)


def test_a_setting_whose_module_is_not_there_reads_as_missing_and_writing_it_says_why(netns: Namespace) -> None:
    missing = Sysctl("net/ipv4/vs/no_such_setting", "1")
    handler = Sysctls()
    observed = netns.run(asyncio.run, handler.observe({"sysctl": {missing.key}}))
    assert observed == {"sysctl": {}}
    plan = diff({"sysctl": {missing.key: missing}}, observed, {})
    (error,) = netns.run(asyncio.run, handler.apply(plan))
    assert "the kernel module that brings it is missing" in str(error)


def test_one_bad_value_does_not_keep_the_others_from_being_set(netns: Namespace) -> None:
    bad = Sysctl(ARP.key, "many")
    changes = [Change("sysctl", "add", it.key, after=it) for it in (bad, PORTS)]
    (error,) = netns.run(asyncio.run, Sysctls().apply(changes))
    assert error.identity == ARP.key
    assert netns.run(asyncio.run, Sysctls().observe(WANTED))["sysctl"][PORTS.key] == PORTS


def test_a_setting_that_nobody_remembers_stays_as_it_is(netns: Namespace) -> None:
    """It cannot be taken away."""
    handler = Sysctls()
    netns.run(asyncio.run, handler.apply([Change("sysctl", "add", ARP.key, after=ARP)]))
    assert netns.run(asyncio.run, handler.apply([Change("sysctl", "remove", ARP.key, before=ARP)])) == []
    assert netns.run(asyncio.run, handler.observe(WANTED))["sysctl"][ARP.key] == ARP
