"""ipvsadm_save: every line here was printed by ipvsadm 1.31 on Linux 6.1, for a table made with the same options."""

from __future__ import annotations

import pytest

from lbstates.ipvsadm_save import save
from lbstates.kinds.destination import Destination, Tunnel
from lbstates.kinds.service import Persistence, Service

WEB = Service("tcp", "10.0.0.1", 80, "rr")
WEB6 = Service("tcp", "fd00::1", 80, "rr")


@pytest.mark.parametrize(
    ("service", "line"),
    [
        (WEB, "-A -t 10.0.0.1:80 -s rr"),
        (Service("tcp", "10.0.0.1", 80, "rr", persistence=Persistence(300, 32)), "-A -t 10.0.0.1:80 -s rr -p 300"),
        (
            Service("tcp", "10.0.0.1", 80, "sh", ("sh-fallback", "sh-port"), Persistence(300, 24)),
            "-A -t 10.0.0.1:80 -s sh -p 300 -M 255.255.255.0 -b sh-fallback,sh-port",
        ),
        (Service("tcp", "10.0.0.1", 80, "sh", ("sh-port",)), "-A -t 10.0.0.1:80 -s sh -b sh-port"),
        (
            Service("tcp", "10.0.0.1", 80, "mh", ("mh-fallback", "mh-port")),
            "-A -t 10.0.0.1:80 -s mh -b mh-fallback,mh-port",
        ),
        (Service("tcp", "10.0.0.1", 80, "wlc", ("flag-3",)), "-A -t 10.0.0.1:80 -s wlc -b flag-3"),
        (
            Service("tcp", "10.0.0.1", 80, "wlc", ("flag-1", "flag-2", "flag-3")),
            "-A -t 10.0.0.1:80 -s wlc -b flag-1,flag-2,flag-3",
        ),
        (Service("udp", "10.0.0.1", 53, "rr", one_packet=True), "-A -u 10.0.0.1:53 -s rr -o"),
        (
            Service("udp", "10.0.0.1", 5060, "rr", persistence=Persistence(60, 32, "sip")),
            "-A -u 10.0.0.1:5060 -s rr -p 60 --pe sip",
        ),
        (
            Service("udp", "10.0.0.1", 5060, "sh", ("sh-port",), Persistence(60, 16, "sip"), one_packet=True),
            "-A -u 10.0.0.1:5060 -s sh -p 60 -M 255.255.0.0 --pe sip -o -b sh-port",
        ),
        (Service("tcp", "10.0.0.1", 0, "rr", persistence=Persistence(60, 32)), "-A -t 10.0.0.1:0 -s rr -p 60"),
        (Service("sctp", "10.0.0.1", 80, "rr"), "-A --sctp-service 10.0.0.1:80 -s rr"),
        (Service(None, "", 0, "rr", mark=7), "-A -f 7 -s rr"),
        (
            Service(None, "", 0, "rr", persistence=Persistence(60, 64), mark=7, mark_family="ipv6"),
            "-A -f 7 -6 -s rr -p 60 -M 64",
        ),
        (
            Service(None, "", 0, "rr", persistence=Persistence(60, 128), mark=7, mark_family="ipv6"),
            "-A -f 7 -6 -s rr -p 60",
        ),
        (Service("tcp", "fd00::1", 80, "rr", persistence=Persistence(60, 64)), "-A -t [fd00::1]:80 -s rr -p 60 -M 64"),
        (WEB6, "-A -t [fd00::1]:80 -s rr"),
    ],
)
def test_a_service_reads_as_ipvsadm_prints_it(service: Service, line: str) -> None:
    """Defaults are left out, options have its order."""
    assert save([service]) == [line]


MARK = Service(None, "", 0, "rr", mark=7)
MARK6 = Service(None, "", 0, "rr", mark=7, mark_family="ipv6")
SCTP = Service("sctp", "10.0.0.1", 80, "rr")


@pytest.mark.parametrize(
    ("service", "destination", "line"),
    [
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 80, "direct", 0, upper=100, lower=50),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -g -w 0",
        ),
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 8080, "masquerade", 2),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:8080 -m -w 2",
        ),
        (WEB, Destination(WEB.identity, "10.0.0.2", 80, "local", 1), "-a -t 10.0.0.1:80 -r 10.0.0.2:80 -g -w 1"),
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 80, "tunnel", 1, tunnel=Tunnel()),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -i -w 1 --tun-type ipip",
        ),
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 80, "tunnel", 1, tunnel=Tunnel("gue", 6080)),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum",
        ),
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 80, "tunnel", 1, tunnel=Tunnel("gue", 6080, "remote")),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum",
        ),
        (
            WEB,
            Destination(WEB.identity, "10.0.0.10", 80, "tunnel", 1, tunnel=Tunnel("gre", checksum="full")),
            "-a -t 10.0.0.1:80 -r 10.0.0.10:80 -i -w 1 --tun-type gre --tun-csum",
        ),
        (MARK, Destination(MARK.identity, "10.0.0.10", 0, "direct", 1), "-a -f 7 -r 10.0.0.10:0 -g -w 1"),
        (MARK6, Destination(MARK6.identity, "fd00::10", 0, "direct", 1), "-a -f 7 -6 -r [fd00::10]:0 -g -w 1"),
        (
            WEB6,
            Destination(WEB6.identity, "10.0.0.10", 80, "tunnel", 1, tunnel=Tunnel()),
            "-a -t [fd00::1]:80 -r 10.0.0.10:80 -i -w 1 --tun-type ipip",
        ),
        (
            SCTP,
            Destination(SCTP.identity, "10.0.0.10", 80, "masquerade", 1),
            "-a --sctp-service 10.0.0.1:80 -r 10.0.0.10:80 -m -w 1",
        ),
    ],
)
def test_a_destination_reads_as_ipvsadm_prints_it(service: Service, destination: Destination, line: str) -> None:
    """Behind its service."""
    assert save([destination, service])[1:] == [line]


def test_thresholds_are_written_when_they_are_asked_for() -> None:
    """ipvsadm -S loses them, -R reads them."""
    destination = Destination(WEB.identity, "10.0.0.10", 80, "direct", 1, upper=100, lower=50)
    assert save([WEB, destination], thresholds=True)[1:] == ["-a -t 10.0.0.1:80 -r 10.0.0.10:80 -g -w 1 -x 100 -y 50"]


def test_the_order_is_ipvsadms() -> None:
    """Addresses by number, IPv6 after IPv4, marks last; destinations by number."""
    services = [
        Service(None, "", 0, "rr", mark=9, mark_family="ipv6"),
        Service(None, "", 0, "rr", mark=9),
        WEB6,
        Service("udp", "10.0.0.1", 53, "rr"),
        Service("tcp", "10.0.0.2", 80, "rr"),
        Service("tcp", "10.0.0.1", 443, "rr"),
        SCTP,
        WEB,
    ]
    destinations = [Destination(WEB.identity, f"10.0.0.{host}", 80, "direct", 1) for host in (20, 3, 4)]
    assert save([*services, *destinations]) == [
        "-A -t 10.0.0.1:80 -s rr",
        "-a -t 10.0.0.1:80 -r 10.0.0.3:80 -g -w 1",
        "-a -t 10.0.0.1:80 -r 10.0.0.4:80 -g -w 1",
        "-a -t 10.0.0.1:80 -r 10.0.0.20:80 -g -w 1",
        "-A -t 10.0.0.1:443 -s rr",
        "-A -t 10.0.0.2:80 -s rr",
        "-A -u 10.0.0.1:53 -s rr",
        "-A --sctp-service 10.0.0.1:80 -s rr",
        "-A -t [fd00::1]:80 -s rr",
        "-A -f 9 -s rr",
        "-A -f 9 -6 -s rr",
    ]


def test_what_is_not_of_ipvs_is_left_out() -> None:
    """And a destination without its service, which ipvsadm could not have."""
    assert save([Destination("tcp 10.0.0.9:80", "10.0.0.10", 80, "direct", 1)]) == []
