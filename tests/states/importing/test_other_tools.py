"""What `ipvsadm -Sn` prints, and ldirectord.cf."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from tests.states.importing.conftest import Shelf, said

from lbstates.clusterfile import check
from lbstates.importing import CannotImport, Imported, Order, import_cluster
from lbstates.importing.importer import Given

TABLE = """\
-A -t 10.0.0.100:80 -s wlc -p 300 -M 255.255.255.0 --pe sip
-a -t 10.0.0.100:80 -r 10.0.0.10:80 -g -w 1
-a -t 10.0.0.100:80 -r 10.0.0.11:80 -g -w 0 -x 100 -y 50
-A -u 10.0.0.100:53 -s rr -o
-a -u 10.0.0.100:53 -r 10.0.0.10:5353 -m -w 2
-A --sctp-service 10.0.0.100:99 -s sh -b sh-fallback,sh-port
-a --sctp-service 10.0.0.100:99 -r 10.0.0.10:99 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum
-A -t [fd00::100]:443 -s mh
-a -t [fd00::100]:443 -r [fd00::10]:443 -g -w 1
-A -f 7 -6 -s rr -p 60 -M 64
-a -f 7 -6 -r [fd00::10]:0 -g -w 1
"""

LDIRECTORD = """\
# Global Directives
checktimeout=3
fallback=127.0.0.1:80
autoreload=yes
emailalert="admin@example.com"
quiescent=no

virtual=10.0.0.100:80
\treal=10.0.0.10:80 gate 5
\treal=10.0.0.11:8080 gate
\treal=10.0.0.12:8080 masq 2 "/x", "OK"
        real = 10.0.0.20->10.0.0.22:80 gate
\tservice=http
\trequest="index.html"
\tscheduler=rr
\tpersistent=600
\tnetmask=255.255.255.0
\tprotocol=tcp
virtual=10.0.0.100:domain
\treal=10.0.0.10 ipip
\tops=yes
virtual=1
\treal=10.0.0.10 gate
\tpasswd=secret
virtual6=[fd00::100]:443
\treal6=[fd00::10]:443 gate
"""


def table(text: str) -> Imported:
    order = Order(ipvsadm=[Given("d1", "d1.ipvs", text)], addresses={"d1": ["10.0.0.2/24", "fd00::2/64"]})
    return import_cluster(order, Shelf())


def ldirectord(text: str) -> Imported:
    order = Order(ldirectord=[Given(None, "l.cf", text)], addresses={"d1": ["10.0.0.2/24", "fd00::2/64"]})
    return import_cluster(order, Shelf())


def services(imported: Imported) -> list[dict[str, Any]]:
    return list(yaml.safe_load(imported.text)["services"])


def test_a_table_of_everything_that_ipvsadm_can_say() -> None:
    """Addresses become VIPs; weights, thresholds, tunnels, flags and masks are taken."""
    assert services(table(TABLE)) == [
        {
            "vip": "vip-10-0-0-100",
            "port": 80,
            "protocol": "tcp",
            "scheduler": "wlc",
            "forwarding": "direct",
            "persistence": {"timeout": 300, "netmask": 24, "engine": "sip"},
            "real_servers": {
                "r-10-0-0-10": 1,
                "r-10-0-0-11": {"weight": 0, "upper_threshold": 100, "lower_threshold": 50},
            },
        },
        {
            "vip": "vip-10-0-0-100",
            "port": 53,
            "protocol": "udp",
            "scheduler": "rr",
            "one_packet": True,
            "forwarding": "masquerade",
            "real_servers": {"r-10-0-0-10": {"weight": 2, "port": 5353}},
        },
        {
            "vip": "vip-10-0-0-100",
            "port": 99,
            "protocol": "sctp",
            "scheduler": "sh",
            "scheduler_flags": ["sh-fallback", "sh-port"],
            "forwarding": "tunnel",
            "tunnel": {"type": "gue", "port": 6080, "checksum": "full"},
            "real_servers": {"r-10-0-0-10": 1},
        },
        {
            "vip": "vip-fd00--100",
            "port": 443,
            "protocol": "tcp",
            "scheduler": "mh",
            "forwarding": "direct",
            "real_servers": {"r-fd00--10": 1},
        },
        {
            "firewall_mark": 7,
            "family": "ipv6",
            "scheduler": "rr",
            "forwarding": "direct",
            "persistence": {"timeout": 60, "netmask": 64},
            "real_servers": {"r-fd00--10": 1},
        },
    ]
    assert said(table(TABLE), "wrong") == []


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("-A -t web:80 -s rr", "'web' is no IP address"),
        ("-A -t 10.0.0.1:http -s rr", "is no address and port"),
        ("-A -t 10.0.0.1:80 -s nosuch", "'nosuch' is no scheduler"),
        ("-A -s rr", "there is no virtual service"),
        ("-A -f x -s rr", "'x' is no whole number"),
        ("-A -t 10.0.0.100:80 -s rr", "is in line 1 already"),
        ("-a -t 10.0.0.100:81 -r 10.0.0.10:81 -g -w 1", "its virtual service is not in the file"),
        ("-a -t 10.0.0.100:80 -r 10.0.0.12:80 -g -w 70000", "70000 is out of range"),
        ("-a -t 10.0.0.100:80 -r 10.0.0.12:80 -i --tun-type vxlan", "'vxlan' is no type of tunnel"),
        ("-a -t 10.0.0.100:80 -g", "'' is no address and port"),
        ("-A -t 10.0.0.1:80 -s rr --nosuch", "'--nosuch' is no option"),
        ("IP Virtual Server version 1.2.1", "'IP' is no line of ipvsadm -Sn"),
        ("-A -t", "'' is no address and port"),
    ],
)
def test_bad_lines_of_a_table_are_errors_with_their_line(line: str, wrong: str) -> None:
    imported = table(f"{TABLE}{line}\n")

    (remark,) = said(imported, "wrong")
    assert remark.startswith("d1.ipvs:12: ")
    assert wrong in remark
    assert len(services(imported)) == 5


def test_ldirectord_with_its_own_defaults() -> None:
    """wrr; UDP for port 53; the port of the service unless masquerading; ranges of real servers."""
    imported = ldirectord(LDIRECTORD)

    assert services(imported) == [
        {
            "vip": "vip-10-0-0-100",
            "port": 80,
            "protocol": "tcp",
            "scheduler": "rr",
            "forwarding": "direct",
            "persistence": {"timeout": 600, "netmask": 24},
            "real_servers": {
                "r-10-0-0-10": 5,
                "r-10-0-0-11": 1,
                "r-10-0-0-12": {"weight": 2, "port": 8080, "forwarding": "masquerade"},
                **{f"r-10-0-0-{n}": 1 for n in (20, 21, 22)},
            },
            "check": {"http": {"path": "/index.html", "status": "200-299"}, "interval": 10, "timeout": 10},
        },
        {
            "vip": "vip-10-0-0-100",
            "port": 53,
            "protocol": "udp",
            "scheduler": "wrr",
            "one_packet": True,
            "forwarding": "tunnel",
            "real_servers": {"r-10-0-0-10": 1},
        },
        {"firewall_mark": 1, "scheduler": "wrr", "forwarding": "direct", "real_servers": {"r-10-0-0-10": 1}},
        {
            "vip": "vip-fd00--100",
            "port": 443,
            "protocol": "tcp",
            "scheduler": "wrr",
            "forwarding": "direct",
            "real_servers": {"r-fd00--10": 1},
            "check": {"https": {"status": "200-299"}, "interval": 10, "timeout": 10},
        },
    ]
    assert said(imported, "wrong") == []
    assert sorted({int(remark.split(":")[1]) for remark in said(imported, "dropped")}) == [3, 4, 5, 6, 19, 23, 24]
    assert "secret" not in imported.text
    assert '# not imported, of r-10-0-0-12: "/x" "OK"' in imported.text


@pytest.mark.parametrize(
    ("line", "fate", "what"),
    [
        ("\tnosuch=1", "unknown", "nosuch"),
        ("no equals sign", "unknown", "no"),
        ("\treal=web1:80 gate", "wrong", "'web1' is no IP address"),
        ("\treal=10.0.0.13:nosuch gate", "wrong", "'nosuch' is no port"),
        ("\treal=10.0.0.13:80 gate 99999", "wrong", "99999 is out of range"),
        ("\treal=10.0.0.13->10.0.0.9:80 gate", "wrong", "is no range"),
        ('\treal=10.0.0.13:80 gate 1 "', "wrong", "the line cannot be read"),
        ("\treal=", "wrong", "the line cannot be read"),
        ("virtual=web:80", "wrong", "'web' is no IP address"),
        ("execute=other.cf", "wrong", "another configuration is not read"),
        ("scheduler=rr", "dropped", "it stands outside of a virtual service"),
        ("\tnetmask=255.0.255.0\n\tpersistent=5", "dropped", "is no mask of a network"),
        ("\tscheduler=best", "guessed", "'best' is none, and wrr was taken"),
        ("\tprotocol=fwm", "wrong", "is no protocol of an address"),
    ],
)
def test_bad_lines_of_ldirectord_are_named_with_their_line(line: str, fate: str, what: str) -> None:
    """An unknown word is a warning; what would lose a real server or a service is an error."""
    text = "virtual=10.0.0.100:80\n\treal=10.0.0.10:80 gate\nvirtual=10.0.0.100:81\n\treal=10.0.0.10 gate\n"

    assert [remark for remark in said(ldirectord(text + line + "\n"), fate) if what in remark]


CHECKED = "virtual=10.0.0.100:PORT\n\treal=10.0.0.10:PORT gate\n\treal=10.0.0.11:PORT gate\n"


@pytest.mark.parametrize(
    ("port", "lines", "written"),
    [
        (80, "checktype=connect", {"tcp": {}, "interval": 10, "timeout": 5}),
        (
            80,
            "checktype=connect\ncheckinterval=2\ncheckport=8080",
            {"tcp": {}, "interval": 2, "timeout": 2, "port": 8080},
        ),
        (25, "", {"tcp": {}, "interval": 10, "timeout": 10}),
        (25, "service=smtp\nfailurecount=4", {"tcp": {}, "interval": 10, "timeout": 10, "fall": 4}),
        (
            8080,
            'service=http\nrequest="/a/b"\nreceive="all is well"\nvirtualhost=a.example\nhttpmethod=HEAD',
            {
                "http": {
                    "path": "/a/b",
                    "host": "a.example",
                    "method": "HEAD",
                    "status": "200-299",
                    "body": "all is well",
                },
                "interval": 10,
                "timeout": 10,
            },
        ),
        (53, "request=example.org", {"dns": {"name": "example.org", "type": "A"}, "interval": 10, "timeout": 10}),
        (80, "checktype=off", None),
        (80, "checktype=ping", None),
        (80, "checktype=external\ncheckcommand=/bin/x", None),
        (53, "", None),
        (80, "request=a b", None),
        (80, "checkinterval=often", None),
    ],
)
def test_the_checks_of_ldirectord(port: int, lines: str, written: object) -> None:
    """Of a service, and of the whole file; what has no counterpart is left out."""
    text = CHECKED.replace("PORT", str(port))
    own = ldirectord(text + "".join(f"\t{line}\n" for line in lines.splitlines()))
    common = ldirectord(f"{lines}\n{text}")
    for imported in (own, common):
        (service,) = services(imported)
        assert service.get("check") == written
        assert [one for one in check(imported.text).findings if one.severity == "error"] == []
        if written is None and lines != "checktype=off":
            assert said(imported, "dropped")


def test_a_pattern_that_is_more_than_a_text_is_said() -> None:
    """The status alone is looked at."""
    imported = ldirectord(CHECKED.replace("PORT", "80") + '\treceive="ok|fine"\n')
    assert "body" not in services(imported)[0]["check"]["http"]
    assert any("not for a regular expression" in remark for remark in said(imported, "dropped"))


def test_the_fallback_of_ldirectord() -> None:
    """A service's own, or that of the file; one on every director itself has no counterpart."""
    text = CHECKED.replace("PORT", "80")
    (service,) = services(ldirectord(f"fallback=10.0.0.98:80 gate\n{text}\tfallback=10.0.0.99:8080 masq\n"))
    assert service["pool"] == {"sorry_server": {"address": "10.0.0.99", "port": 8080, "forwarding": "masquerade"}}
    (service,) = services(ldirectord(f"fallback=10.0.0.98:80\n{text}"))
    assert service["pool"] == {"sorry_server": "10.0.0.98"}
    (service,) = services(imported := ldirectord(f"fallback=127.0.0.1:80\n{text}"))
    assert "pool" not in service
    assert any("every director would answer for itself" in remark for remark in said(imported, "dropped"))
    assert any("is no IP address" in remark for remark in said(ldirectord(f"fallback=sorry:80\n{text}"), "wrong"))


@pytest.mark.parametrize("text", ["", "nothing", "# only\n"])
def test_files_with_nothing_in_them_are_refused(text: str) -> None:
    for read in (table, ldirectord):
        with pytest.raises(CannotImport, match="no VRRP instance and no virtual service"):
            read(text)


def test_far_too_long_files_are_refused() -> None:
    for read in (table, ldirectord):
        with pytest.raises(CannotImport, match="there are more than"):
            read("\n" * 200_002)


def test_without_any_director_a_placeholder_says_so() -> None:
    """ldirectord.cf names no director."""
    imported = import_cluster(Order(ldirectord=[Given(None, "l.cf", LDIRECTORD)]), Shelf())

    assert "PLACEHOLDER: write name and address of every director" in imported.text
    assert any("nobody says which hosts are directors" in remark for remark in said(imported, "wrong"))
