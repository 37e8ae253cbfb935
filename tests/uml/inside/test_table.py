"""The kernel's IPVS table, changed by us and read by ipvsadm, and the other way round."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import msgspec
import pytest
from tests.uml.inside import modules
from tests.uml.inside.conftest import MODULES, altered, change, put, run, saved
from tests.waiting import until

from lbminion.errors import NoIpvs, NotPermitted
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.transport import WINDOW
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Service
from lbstates.plan import Change

WEB = Service("tcp", "172.28.128.200", 80, "rr")
FIRST = Destination("tcp 172.28.128.200:80", "172.28.128.10", 80, "direct", 1)
SECOND = Destination("tcp 172.28.128.200:80", "172.28.128.20", 80, "direct", 3)


def add(ipvs: Ipvs, *things: Service | Destination) -> None:
    """Add services and destinations, all without complaint."""
    put(ipvs, "add", *things)


def test_a_kernel_without_ip_vs_is_named_with_the_way_out() -> None:
    modules.unload("ip_vs")
    try:
        assert not Path("/proc/net/ip_vs").exists()
        with pytest.raises(NoIpvs, match="modprobe ip_vs"):
            Ipvs()
    finally:
        modules.load(*MODULES)


def test_without_the_capability_opening_says_what_is_needed(loaded: None) -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(NotPermitted, match="CAP_NET_ADMIN"):
            Ipvs()
    finally:
        os.seteuid(0)


def test_the_rights_may_be_given_away_after_opening_and_a_change_says_so(ipvs: Ipvs) -> None:
    os.seteuid(65534)
    try:
        (error,) = ipvs.apply([change("add", WEB)])
    finally:
        os.seteuid(0)
    assert error.errno == errno.EPERM
    assert "service tcp 172.28.128.200:80" in str(error)
    assert "CAP_NET_ADMIN" in str(error)


def test_ipvsadm_sees_what_was_added_set_and_removed(ipvs: Ipvs) -> None:
    add(ipvs, WEB, FIRST, SECOND)
    assert saved() == [
        "-A -t 172.28.128.200:80 -s rr",
        "-a -t 172.28.128.200:80 -r 172.28.128.10:80 -g -w 1",
        "-a -t 172.28.128.200:80 -r 172.28.128.20:80 -g -w 3",
    ]
    assert not ipvs.apply(
        [
            change("set", altered(WEB, scheduler="wlc")),
            change("set", altered(FIRST, weight=0)),
            change("remove", SECOND),
        ]
    )
    assert saved() == [
        "-A -t 172.28.128.200:80 -s wlc",
        "-a -t 172.28.128.200:80 -r 172.28.128.10:80 -g -w 0",
    ]
    assert not ipvs.apply([change("remove", FIRST), change("remove", WEB)])
    assert saved() == []


def test_what_was_written_is_read_back_equal(ipvs: Ipvs) -> None:
    things: list[Service | Destination] = [
        WEB,
        FIRST,
        Service("udp", "172.28.128.200", 53, "wrr"),
        Destination("udp 172.28.128.200:53", "172.28.128.10", 5353, "masquerade", 100),
        Destination("udp 172.28.128.200:53", "172.28.129.10", 53, "tunnel", 65535, tunnel=Tunnel()),
        Service("tcp", "2001:db8::200", 443, "sh"),
        Destination("tcp [2001:db8::200]:443", "2001:db8::10", 443, "direct", 5),
        Service("udp", "2001:db8::200", 65535, "wlc"),
        Destination("udp [2001:db8::200]:65535", "2001:db8::10", 1, "masquerade", 0),
    ]
    add(ipvs, *things)
    table = ipvs.read()
    assert {**table.services, **table.destinations} == {thing.identity: thing for thing in things}
    assert table.foreign == {}


def test_what_ipvsadm_wrote_is_read_right(ipvs: Ipvs) -> None:
    run("ipvsadm", "-A", "-t", "172.28.128.200:80", "-s", "rr")
    run("ipvsadm", "-a", "-t", "172.28.128.200:80", "-r", "172.28.128.10", "-g", "-w", "1")
    run("ipvsadm", "-A", "-t", "[2001:db8::200]:443", "-s", "wrr")
    run("ipvsadm", "-a", "-t", "[2001:db8::200]:443", "-r", "[2001:db8::10]:8443", "-m", "-w", "7")
    table = ipvs.read()
    six = Service("tcp", "2001:db8::200", 443, "wrr")
    assert table.services == {WEB.identity: WEB, six.identity: six}
    behind = Destination("tcp [2001:db8::200]:443", "2001:db8::10", 8443, "masquerade", 7)
    assert table.destinations == {FIRST.identity: FIRST, behind.identity: behind}


def test_an_ipv6_service_of_ours_is_the_same_to_the_kernel_as_one_of_ipvsadm(ipvs: Ipvs) -> None:
    six = Service("tcp", "2001:db8::200", 443, "rr")
    add(ipvs, six)
    assert saved() == ["-A -t [2001:db8::200]:443 -s rr"]


def test_setting_says_everything_so_that_nothing_is_reset(ipvs: Ipvs) -> None:
    """A `set` that does not name scheduler and method would make them wlc and direct."""
    add(ipvs, WEB, altered(FIRST, forwarding="tunnel", tunnel=Tunnel()))
    assert not ipvs.apply(
        [change("set", WEB), change("set", altered(FIRST, forwarding="tunnel", tunnel=Tunnel(), weight=9))]
    )
    assert saved() == [
        "-A -t 172.28.128.200:80 -s rr",
        "-a -t 172.28.128.200:80 -r 172.28.128.10:80 -i -w 9 --tun-type ipip",
    ]


def test_adding_what_is_there_sets_it(ipvs: Ipvs) -> None:
    add(ipvs, WEB, FIRST)
    add(ipvs, altered(WEB, scheduler="wrr"), altered(FIRST, weight=8))
    assert saved() == [
        "-A -t 172.28.128.200:80 -s wrr",
        "-a -t 172.28.128.200:80 -r 172.28.128.10:80 -g -w 8",
    ]


def test_setting_what_vanished_adds_it(ipvs: Ipvs) -> None:
    assert not ipvs.apply([change("set", WEB), change("set", FIRST)])
    assert list(ipvs.read().destinations) == [FIRST.identity]
    run("ipvsadm", "-d", "-t", "172.28.128.200:80", "-r", "172.28.128.10:80")
    assert not ipvs.apply([change("set", FIRST)])
    assert list(ipvs.read().destinations) == [FIRST.identity]


def test_removing_what_is_not_there_is_fine(ipvs: Ipvs) -> None:
    assert not ipvs.apply([change("remove", FIRST), change("remove", WEB)])
    add(ipvs, WEB)
    assert not ipvs.apply([change("remove", FIRST)])


def test_an_unknown_scheduler_is_named_with_its_module(ipvs: Ipvs) -> None:
    for verb in ("add", "set"):
        if verb == "set":
            add(ipvs, WEB)
        (error,) = ipvs.apply([change(verb, altered(WEB, scheduler="nosuch"))])
        assert str(error) == (
            "service tcp 172.28.128.200:80: this kernel has no scheduler 'nosuch': try `modprobe ip_vs_nosuch` (ENOENT)"
        )
        assert error.errno == errno.ENOENT


def test_a_destination_without_its_service_says_so(ipvs: Ipvs) -> None:
    (error,) = ipvs.apply([change("add", FIRST)])
    assert str(error) == (
        "destination tcp 172.28.128.200:80 -> 172.28.128.10:80: its virtual service is not in the table (ESRCH)"
    )


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (altered(FIRST, weight=-1), "weight -1 is out of range"),
        (altered(FIRST, weight=2**31), r"ERANGE"),
        (altered(FIRST, port=65536), "port 65536 is out of range"),
        (altered(FIRST, address="nowhere"), "'nowhere' is no IP address"),
        (altered(FIRST, address="2001:db8::10"), "EINVAL"),
        (altered(WEB, protocol="esp"), "is none of tcp, udp, sctp"),
        (altered(WEB, scheduler="a" * 17), "is no name of a scheduler"),
    ],
)
def test_one_bad_change_is_named_and_does_not_stop_the_others(
    ipvs: Ipvs, bad: Service | Destination, reason: str
) -> None:
    add(ipvs, WEB)
    (error,) = ipvs.apply([change("add", bad), change("add", SECOND)])
    assert error.identity == bad.identity
    with pytest.raises(type(error), match=reason):
        raise error
    assert list(ipvs.read().destinations) == [SECOND.identity]


def test_a_refusal_is_matched_to_its_object_in_every_window(ipvs: Ipvs) -> None:
    """Three windows: the refused ones are the first, some in between, and the last of a window and of all."""
    add(ipvs, WEB)
    good = [
        Destination("tcp 172.28.128.200:80", f"10.1.{number // 250}.{number % 250 + 1}", 80, "direct", 1)
        for number in range(2 * WINDOW + 40)
    ]
    orphans = {0, 5, WINDOW - 1, WINDOW, 2 * WINDOW + 1, len(good) - 1}
    things = [altered(one, service="tcp 172.28.128.200:81") if at in orphans else one for at, one in enumerate(good)]
    errors = ipvs.apply([change("add", thing) for thing in things])
    assert {error.identity for error in errors} == {things[at].identity for at in orphans}
    assert {error.errno for error in errors} == {errno.ESRCH}
    assert len(ipvs.read().destinations) == len(good) - len(orphans)


def test_statistics_are_those_that_ipvsadm_shows(ipvs: Ipvs) -> None:
    """Real connections through a masquerading service on the loopback of the guest."""
    for address in ("10.9.0.100/32", "10.9.0.2/32"):
        run("ip", "address", "replace", address, "dev", "lo")
    web = Service("tcp", "10.9.0.100", 80, "rr")
    behind = Destination("tcp 10.9.0.100:80", "10.9.0.2", 8080, "masquerade", 1)
    add(ipvs, web, behind)
    assert set(msgspec.structs.astuple(ipvs.snapshot().statistics.destinations[behind.identity])) == {0}
    with socket.create_server(("10.9.0.2", 8080)) as server:
        server.settimeout(10)
        for _ in range(3):
            with socket.create_connection(("10.9.0.100", 80), timeout=10) as client:
                accepted, _ = server.accept()
                with accepted:
                    client.sendall(b"x" * 1000)
                    assert accepted.recv(2000)
        with socket.create_connection(("10.9.0.100", 80), timeout=10):
            accepted, _ = server.accept()
            with accepted:
                _settle(ipvs, behind.identity, connections=4)
                statistics = ipvs.snapshot().statistics
                shown = run("ipvsadm", "-Ln", "--stats", "--exact").splitlines()[-1].split()
                rates = run("ipvsadm", "-Ln", "--rate", "--exact").splitlines()[-1].split()
                listed = run("ipvsadm", "-Ln").splitlines()[-1].split()
    found = statistics.destinations[behind.identity]
    assert [str(number) for number in msgspec.structs.astuple(found)[:5]] == shown[2:7]
    assert [str(found.active), str(found.inactive)] == listed[4:6]
    assert (found.active, found.inactive) == (1, 3)
    assert found.bytes_in > 3000
    assert found.bps_in > found.pps_in > 0
    assert [str(number) for number in msgspec.structs.astuple(found)[5:10]] == rates[2:7]
    assert statistics.services[web.identity].connections == 4


def _settle(ipvs: Ipvs, identity: str, connections: int) -> None:
    """Wait until the kernel's counters have caught up: it adds them up every two seconds only."""
    until(
        lambda: ipvs.snapshot().statistics.destinations[identity].connections >= connections,
        "the kernel's counters catch up",
    )


def test_a_change_of_another_kind_is_a_mistake_of_the_caller(ipvs: Ipvs) -> None:
    with pytest.raises(ValueError, match=r"^add address lo 10\.0\.0\.1/32 is no change of the IPVS table"):
        ipvs.apply([Change("address", "add", "lo 10.0.0.1/32")])
