"""Everything that a service or a destination can be: written by us and read by ipvsadm, and the other way round."""

from __future__ import annotations

import pytest
from tests.uml.inside.conftest import altered, change, put, run, saved

from lbminion.netlink.ipvs import Ipvs
from lbstates.ipvsadm_save import save
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Persistence, Service

WEB = Service("tcp", "172.28.128.200", 80, "rr")
SIX = Service("tcp", "2001:db8::200", 443, "rr")
NEAR = Destination(WEB.identity, "172.28.128.10", 80, "direct", 1)
FAR = altered(NEAR, forwarding="tunnel", tunnel=Tunnel())


def mark(scheduler: str = "rr", **fields: object) -> Service:
    """A service by firewall mark."""
    return altered(Service(None, "", 0, scheduler, mark=7), **fields)


SERVICES = {
    "-A -u 172.28.128.200:53 -s wlc": altered(WEB, protocol="udp", port=53, scheduler="wlc"),
    "-A --sctp-service 172.28.128.200:80 -s rr": altered(WEB, protocol="sctp"),
    "-A -t [2001:db8::200]:443 -s wrr": altered(SIX, scheduler="wrr"),
    "-A -t 172.28.128.200:0 -s rr -p 50": altered(WEB, port=0, persistence=Persistence(50, 32)),
    "-A -t 172.28.128.200:80 -s rr -p 300 -M 255.255.254.0": altered(WEB, persistence=Persistence(300, 23)),
    "-A -t [2001:db8::200]:443 -s rr -p 300 -M 64": altered(SIX, persistence=Persistence(300, 64)),
    "-A -u 172.28.128.200:80 -s rr -p 60 --pe sip": altered(
        WEB, protocol="udp", persistence=Persistence(60, 32, "sip")
    ),
    "-A -u 172.28.128.200:80 -s rr -p 60 -M 0.0.0.0 --pe sip -o": altered(
        WEB, protocol="udp", one_packet=True, persistence=Persistence(60, 0, "sip")
    ),
    "-A -u 172.28.128.200:80 -s rr -o": altered(WEB, protocol="udp", one_packet=True),
    "-A -t 172.28.128.200:80 -s sh -b sh-fallback,sh-port": altered(
        WEB, scheduler="sh", flags=("sh-fallback", "sh-port")
    ),
    "-A -t 172.28.128.200:80 -s mh -b mh-port": altered(WEB, scheduler="mh", flags=("mh-port",)),
    "-A -t 172.28.128.200:80 -s rr -b flag-1,flag-2,flag-3": altered(WEB, flags=("flag-1", "flag-2", "flag-3")),
    "-A -f 7 -s rr": mark(),
    "-A -f 7 -6 -s rr": mark(mark_family="ipv6"),
    "-A -f 7 -s rr -p 300": mark(persistence=Persistence(300, 32)),
    "-A -f 7 -6 -s sh -p 300 -M 56 -b sh-port": mark(
        "sh", mark_family="ipv6", persistence=Persistence(300, 56), flags=("sh-port",)
    ),
    "-A -f 2147483647 -s rr": mark(mark=2**31 - 1),
}
DESTINATIONS = {
    "-r 172.28.128.10:80 -g -w 0": altered(NEAR, weight=0),
    "-r 172.28.128.10:8080 -m -w 65535": altered(NEAR, port=8080, forwarding="masquerade", weight=65535),
    "-r 172.28.128.10:80 -g -w 1 -x 100 -y 50": altered(NEAR, upper=100, lower=50),
    "-r 172.28.128.10:80 -i -w 1 --tun-type ipip": FAR,
    "-r [2001:db8::10]:80 -i -w 1 --tun-type ipip": altered(FAR, address="2001:db8::10"),
    "-r 172.28.128.10:80 -i -w 1 --tun-type gre --tun-nocsum": altered(FAR, tunnel=Tunnel("gre")),
    "-r 172.28.128.10:80 -i -w 1 --tun-type gre --tun-csum": altered(FAR, tunnel=Tunnel("gre", checksum="full")),
    "-r 172.28.128.10:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum": altered(FAR, tunnel=Tunnel("gue", 6080)),
    "-r 172.28.128.10:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum": altered(
        FAR, tunnel=Tunnel("gue", 6080, "full")
    ),
    "-r 172.28.128.10:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum": altered(
        FAR, tunnel=Tunnel("gue", 6080, "remote")
    ),
}


def shown(line: str) -> str:
    """A line of ours as `ipvsadm -Sn` writes it: thresholds it leaves out, since it never saves them."""
    return line.partition(" -x ")[0]


@pytest.mark.parametrize(("line", "service"), SERVICES.items())
def test_a_service_is_the_same_to_us_and_to_ipvsadm(ipvs: Ipvs, line: str, service: Service) -> None:
    put(ipvs, "add", service)
    assert saved() == [line]
    run("ipvsadm", "-C")
    run("ipvsadm", *line.split())
    assert ipvs.read() == ({service.identity: service}, {}, {})
    put(ipvs, "set", service)
    assert saved() == [line]
    put(ipvs, "remove", service)
    assert saved() == []


@pytest.mark.parametrize(("line", "destination"), DESTINATIONS.items())
def test_a_destination_is_the_same_to_us_and_to_ipvsadm(ipvs: Ipvs, line: str, destination: Destination) -> None:
    put(ipvs, "add", WEB, destination)
    assert saved() == ["-A -t 172.28.128.200:80 -s rr", shown(f"-a -t 172.28.128.200:80 {line}")]
    run("ipvsadm", "-d", "-t", "172.28.128.200:80", *line.split()[:2])
    run("ipvsadm", "-a", "-t", "172.28.128.200:80", *line.split())
    assert ipvs.read() == ({WEB.identity: WEB}, {destination.identity: destination}, {})
    put(ipvs, "remove", destination)
    assert saved() == ["-A -t 172.28.128.200:80 -s rr"]


@pytest.mark.parametrize("service", [mark(), mark(mark_family="ipv6"), SIX])
def test_destinations_of_marks_and_of_ipv6_are_read_back(ipvs: Ipvs, service: Service) -> None:
    address = "2001:db8::10" if service.family == "ipv6" else "172.28.128.10"
    destination = Destination(service.identity, address, 0 if service.mark else 443, "direct", 4)
    put(ipvs, "add", service, destination)
    assert ipvs.read() == ({service.identity: service}, {destination.identity: destination}, {})
    assert len(saved()) == 2


def test_what_show_prints_is_what_ipvsadm_prints(ipvs: Ipvs) -> None:
    """Of a table of all of them at once, in ipvsadm's own order."""
    services = {service.identity: service for service in [WEB, *SERVICES.values()]}
    destinations = {one.identity: one for one in DESTINATIONS.values()}
    put(ipvs, "add", *services.values(), *destinations.values())
    assert sorted(save([*services.values(), *destinations.values()])) == saved()


def test_every_change_from_one_service_to_another_takes_everything_with_it(ipvs: Ipvs) -> None:
    """Whatever a `set` does not name would be reset, or stay: so each is set after each."""
    same = [
        WEB,
        altered(WEB, persistence=Persistence(300, 24)),
        altered(WEB, scheduler="sh", flags=("sh-port",)),
        altered(WEB, scheduler="wlc", persistence=Persistence(60, 32)),
    ]
    put(ipvs, "add", WEB)
    for first in same:
        for second in same:
            put(ipvs, "set", first, second)
            assert ipvs.read().services[WEB.identity] == second


def test_a_persistence_engine_is_set_and_taken_away(ipvs: Ipvs) -> None:
    plain = altered(WEB, protocol="udp", persistence=Persistence(60, 32))
    sip = altered(plain, persistence=Persistence(60, 32, "sip"))
    put(ipvs, "add", plain)
    for service in (sip, plain, sip):
        put(ipvs, "set", service)
        assert ipvs.read().services[service.identity] == service


def test_every_change_from_one_destination_to_another_takes_everything_with_it(ipvs: Ipvs) -> None:
    same = [one for one in DESTINATIONS.values() if one.identity == NEAR.identity]
    put(ipvs, "add", WEB, NEAR)
    for first in same:
        for second in same:
            put(ipvs, "set", first, second)
            assert ipvs.read().destinations[NEAR.identity] == second


def test_the_directors_own_address_keeps_the_method_that_it_was_given(ipvs: Ipvs) -> None:
    """The kernel looks for local addresses when it forwards; the table says what was written (`ipvsadm -Sn`: -g)."""
    own = altered(NEAR, address="127.0.0.1")
    for forwarding in ("direct", "local"):
        put(ipvs, "add", WEB, altered(own, forwarding=forwarding))
        assert ipvs.read().destinations[own.identity].forwarding == forwarding
    assert saved()[1] == "-a -t 172.28.128.200:80 -r 127.0.0.1:80 -g -w 1"
    assert "Local" in run("ipvsadm", "-Ln")


def test_what_only_we_cannot_say_is_foreign_and_left_alone(ipvs: Ipvs) -> None:
    run("ipvsadm", "-A", "-t", "172.28.128.200:80", "-s", "rr", "-p", "300", "-M", "255.0.255.0")
    run("ipvsadm", "-a", "-t", "172.28.128.200:80", "-r", "172.28.128.10:80", "-g", "-w", "1")
    before = saved()
    table = ipvs.read()
    assert {identity: one.reason for identity, one in table.foreign.items()} == {
        WEB.identity: "a netmask with holes, 0xff00ff00"
    }
    assert table.destinations == {NEAR.identity: NEAR}
    put(ipvs, "add", SIX)
    put(ipvs, "remove", SIX)
    assert saved() == before
    put(ipvs, "add", WEB)
    assert ipvs.read().foreign == {}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (altered(WEB, persistence=Persistence(60, 32, "nosuch")), "try `modprobe ip_vs_pe_nosuch`"),
        (altered(WEB, persistence=Persistence(60, 33)), "netmask 33 is out of range"),
        (altered(WEB, persistence=Persistence(60, 32, "a b")), "is no name of a persistence engine"),
        (altered(WEB, flags=("sh-port",)), "'sh-port' is no flag of the scheduler rr"),
        (altered(WEB, protocol="icmp"), "protocol 'icmp' is none of tcp, udp, sctp"),
        (mark(mark=2**32), "mark 4294967296 is out of range"),
        (altered(NEAR, upper=1, lower=2), "the lower threshold is above the upper one"),
        (altered(NEAR, upper=-1), "is out of range"),
        (altered(NEAR, address="2001:db8::10"), "needs forwarding by tunnel"),
        (altered(FAR, tunnel=Tunnel("gue", 0)), "EINVAL"),
        (altered(FAR, tunnel=Tunnel("gue", 65536)), "tunnel port 65536 is out of range"),
        (altered(NEAR, service="tcp nowhere:80"), "'nowhere' is no IP address"),
        (altered(NEAR, service="tcp 172.28.128.200:http"), "names no port"),
        (altered(NEAR, service="fwmark seven"), "is no firewall mark"),
    ],
)
def test_what_cannot_be_is_named_with_its_reason(ipvs: Ipvs, bad: Service | Destination, reason: str) -> None:
    put(ipvs, "add", SIX)
    if isinstance(bad, Destination):
        put(ipvs, "add", WEB)
    (error,) = ipvs.apply([change("add", bad)])
    assert reason in str(error)
    assert error.identity == bad.identity
