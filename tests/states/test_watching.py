"""`check` and `pool` of a cluster file: what is refused, what is doubted, and what travels."""

from __future__ import annotations

import pytest

from lbstates.balancing import Pool, ServiceDestination, VirtualService
from lbstates.checks import DnsCheck, ExecCheck, HttpCheck, HttpsCheck, TcpCheck, UdpCheck
from lbstates.clusterfile import Finding, check, parse
from lbstates.compile import compile_cluster
from lbstates.desired import DirectorState, RealServerState, decode_state, encode_state
from lbstates.interventions import Drain, Interventions, Maintenance
from lbstates.kinds.destination import Tunnel

FILE = """\
cluster: c
directors: {d1: 10.0.0.1, d2: 10.0.0.2}
real_servers: {r1: 10.0.0.11, r2: 10.0.0.12, r3: 10.0.0.13}
vips: {web: 10.0.0.200/24}
services:
  - {vip: web, port: 8888, real_servers: {r3: 100}, check: none, pool: {}}
  - vip: web
    port: 80
    real_servers: {r1: 100, r2: 100}
"""


def _findings(text: str) -> list[Finding]:
    return [finding for finding in check(text).findings if finding.severity != "info"]


def _services(text: str, interventions: Interventions | None = None) -> tuple[VirtualService, ...]:
    states = compile_cluster(parse(text, "x"), None, interventions or Interventions())
    director = decode_state(encode_state(states["director"]))
    assert isinstance(director, DirectorState)
    return director.services


def _service(added: str) -> VirtualService:
    return _services(FILE + added)[1]


@pytest.mark.parametrize(
    ("written", "travels"),
    [
        ("tcp", TcpCheck()),
        ("{tcp: {}, interval: 0.5}", TcpCheck(interval=0.5, timeout=0.5)),
        ("{tcp: {}, interval: 5, timeout: 3, rise: 1, fall: 4, port: 8080}", TcpCheck(5, 3, 1, 4, 8080)),
        ("{tcp: {}, by_vip: false}", TcpCheck(by_vip=False)),
        ("http", HttpCheck()),
        ("{http: /health}", HttpCheck(path="/health")),
        (
            '{http: {path: /h, host: shop.example, status: [200, "300-302"], body: ok, method: HEAD}}',
            HttpCheck(path="/h", host="shop.example", status=((200, 200), (300, 302)), body="ok", method="HEAD"),
        ),
        (
            "{https: {status: 204, sni: a.example, verify: true, expiry_days: 30}}",
            HttpsCheck(status=((204, 204),), sni="a.example", verify=True, expiry_days=30),
        ),
        ("{dns: example.org}", DnsCheck(name="example.org")),
        ("{udp: {send: ping, expect: pong}, port: 99}", UdpCheck(port=99, send="ping", expect="pong")),
        ("{exec: check-shop}", ExecCheck(program="check-shop")),
        ("none", None),
    ],
)
def test_every_kind_travels_as_it_is_written(written: str, travels: object) -> None:
    """At a service, and at the top of the file for all that say nothing."""
    assert _service(f"    check: {written}\n").check == travels
    assert _service(f"check: {written}\n").check == travels
    assert _findings(f"{FILE}    check: {written}\n") == []


def test_a_service_has_its_own_check_or_that_of_the_file() -> None:
    """Its own replaces the other as a whole; none switches it off."""
    assert _service("    check: {tcp: {}, fall: 5}\ncheck: {http: /, interval: 9}\n").check == TcpCheck(fall=5)
    assert _service("    check: none\ncheck: tcp\n").check is None
    assert _service("    pool: {most_out: 20}\npool: {most_out: 30, slow_start: 5}\n").pool == Pool(20)
    assert _service("pool: {most_out: 30, slow_start: 5}\n").pool == Pool(30, 5)


def test_where_nobody_watches_that_is_said_once() -> None:
    """As a reminder, unless it is written that it is meant so."""
    (reminder,) = check(FILE).findings
    assert (reminder.severity, reminder.line, reminder.field) == ("info", 5, "services")
    assert "nobody watches the real servers of services[1]" in reminder.wrong
    for known in ("    check: none\n", "check: none\n", "check: tcp\n"):
        assert check(FILE + known).findings == ()
    many = FILE + "".join(f"  - {{vip: web, port: {port}}}\n" for port in range(1000, 1010))
    assert "services[5] and 6 more" in check(many).findings[0].wrong


MISTAKES = {
    "no kind": ("check: {interval: 3}", "check", "no kind of check", "add one of tcp, http"),
    "nothing but a number": ("check: 5", "check", "5 is no kind of check", "tcp"),
    "unknown kind": ("check: htpp", "check", "'htpp' is no kind", "http?"),
    "two kinds": ("check: {tcp: {}, http: {}}", "check", "tcp and http are several", "keep one"),
    "a kind that needs more": ("check: dns", "check.dns", "this field is missing", "name to ask for"),
    "unknown field": ("check: {http: {pth: /x}}", "check.http.pth", "no such field", "path?"),
    "a path that is none": ("check: {http: health}", "check.http", "'health' is no path", "begin with /"),
    "a path with a line break": ('check: {http: "/a\\r\\nX: y"}', "check.http", "is no path", "blanks"),
    "a host with a blank": ("check: {http: {host: a b}}", "check.http.host", "is no name of a host", "shop.example"),
    "no status": ("check: {http: {status: 99}}", "check.http.status", "'99' is no HTTP status", "200-299"),
    "a range backwards": ("check: {http: {status: 299-200}}", "check.http.status", "no HTTP status", "range"),
    "unknown method": ("check: {http: {method: get}}", "check.http.method", "'get' is not known", "GET"),
    "a program by its path": ("check: {exec: /bin/sh}", "check.exec", "no name of a program", "bare name"),
    "a program above": ("check: {exec: ../x}", "check.exec", "no name of a program", "directory of checks"),
    "a program with arguments": ('check: {exec: "x -y"}', "check.exec", "no name of a program", "bare name"),
    "interval": ("check: {tcp: {}, interval: 0.01}", "check.interval", "0.01 is less than possible", "0.1"),
    "rise": ("check: {tcp: {}, rise: 0}", "check.rise", "0 is less", "1"),
    "timeout above the interval": ("check: {tcp: {}, timeout: 3}", "check.timeout", "before the next one", "interval"),
    "no name to verify": ("check: {https: {verify: true}}", "check.https.verify", "for a name", "host"),
    "most_out": ("pool: {most_out: 101}", "pool.most_out", "101 is more", "100"),
    "pool": ("pool: 3", "pool", "a mapping", "mapping"),
    "sorry of two": (
        "pool: {sorry_server: {real_server: r3, address: 10.0.0.9}}",
        "pool.sorry_server",
        "both given",
        "one of the two",
    ),
    "sorry of nobody": ("pool: {sorry_server: {port: 80}}", "pool.sorry_server", "neither", "one of the two"),
    "sorry by a wrong name": ("pool: {sorry_server: r33}", "pool.sorry_server", "no real server r33", "r3?"),
    "sorry in the pool": ("pool: {sorry_server: r1}", "pool.sorry_server", "is one of the real servers", "another"),
    "sorry in the pool by port": (
        "pool: {sorry_server: {address: 10.0.0.11, port: 80}}",
        "pool.sorry_server",
        "is one of the real servers",
        "another",
    ),
    "sorry on another port": (
        "pool: {sorry_server: {real_server: r3, port: 81}}",
        "pool.sorry_server.port",
        "on the port of the service",
        "masquerade",
    ),
    "sorry of the other family": ("pool: {sorry_server: fd00::9}", "pool.sorry_server", "is no IPv4 address", "IPv4"),
}


@pytest.mark.parametrize(("added", "field", "wrong", "right"), MISTAKES.values(), ids=list(MISTAKES))
def test_a_mistake_is_found_in_its_place(added: str, field: str, wrong: str, right: str) -> None:
    """With its line, and what would be right; of a service, and of all."""
    for text, place in ((f"{FILE}    {added}\n", f"services[1].{field}"), (f"{FILE}{added}\n", field)):
        watched = text if "check:" in text else f"{text}check: tcp\n"
        found = _findings(watched)
        assert len(found) == 1, found
        assert (found[0].severity, found[0].line) == ("error", 10)
        assert found[0].field.startswith(place)
        assert wrong in found[0].wrong
        assert right in found[0].right


@pytest.mark.parametrize(
    ("service", "written", "wrong"),
    [
        ("{vip: web, port: 53, protocol: udp}", "tcp", "a tcp check cannot ask a port of a udp service"),
        ("{vip: web, port: 53, protocol: udp}", "http", "a http check cannot ask a port of a udp service"),
        ("{vip: web, port: 53}", "udp", "a udp check cannot ask a port of a tcp service"),
        ("{vip: web, port: 9, protocol: sctp}", "tcp", "of a sctp service"),
        ("{vip: web, port: 0, persistence: 300}", "tcp", "of a service with all ports has no port to ask"),
        ("{vip: web, firewall_mark: 7}", "tcp", "by firewall mark without ports has no port to ask"),
        ("{firewall_mark: 7, family: ipv4}", "tcp", "by firewall mark without ports has no port to ask"),
    ],
)
def test_a_check_has_a_port_that_it_can_ask(service: str, written: str, wrong: str) -> None:
    """Or it names one, of whatever service that is; a program needs none."""
    base = f"{FILE}check: none\n".replace("services:\n", f"services:\n  - {service}\n")
    own = base.replace(service, f"{service[:-1]}, check: {written}}}")
    (finding,) = [it for it in _findings(own) if it.severity == "error"]
    assert (finding.line, finding.field) == (6, "services[0].check")
    assert wrong in finding.wrong
    inherited = base.replace("check: none", f"check: {written}")
    assert any(wrong in it.wrong and "a check of its own" in it.right for it in _findings(inherited))
    for right in (f"{{{written}: {{}}, port: 81}}", "{exec: x}"):
        text = base.replace(service, f"{service[:-1]}, check: {right}}}")
        assert [it for it in _findings(text) if it.severity == "error"] == []
        _services(text)


@pytest.mark.parametrize(
    ("added", "field", "wrong"),
    [
        pytest.param(
            "    check: {tcp: {}, interval: 30}\n",
            "services[1].check",
            "after 91 s",
            id="slow",
            marks=pytest.mark.pitfall("H5"),
        ),
        pytest.param(
            "    check: {tcp: {}, fall: 1}\n",
            "services[1].check.fall",
            "a single lost probe",
            id="hasty",
            marks=pytest.mark.pitfall("H4"),
        ),
        ("    check: {udp: {}, port: 9}\n", "services[1].check.udp", "without `expect`"),
        ("ipvs: {backup_only: true, sync: {}}\ncheck: {tcp: {}, by_vip: true}\n", "check.by_vip", "backup director"),
        (
            "    scheduler: rr\n    check: tcp\n    pool: {slow_start: 9}\n",
            "services[1].pool.slow_start",
            "scheduler rr",
        ),
        ("    pool: {slow_start: 9}\n", "services[1].pool.slow_start", "without a check"),
        ("    pool: {sorry_server: r3}\n", "services[1].pool.sorry_server", "without a check"),
    ],
)
def test_a_doubt_is_a_warning(added: str, field: str, wrong: str) -> None:
    """The file is used as it is."""
    (finding,) = _findings(FILE + added)
    assert (finding.severity, finding.field) == ("warning", field)
    assert wrong in finding.wrong
    _services(FILE + added)


@pytest.mark.pitfall("I13")
def test_i13_a_slow_start_with_small_weights_is_doubted() -> None:
    """Weights are whole numbers: from 1 there is nowhere to rise."""
    text = FILE.replace("r1: 100, r2: 100", "r1: 1, r2: 5") + "    check: tcp\n    pool: {slow_start: 30}\n"
    (finding,) = _findings(text)
    assert finding.severity == "warning"
    assert "r1, r2 have weights below 10" in finding.wrong


@pytest.mark.pitfall("H5")
def test_h5_with_the_defaults_a_dead_real_server_is_out_in_seconds() -> None:
    """Interval x fall + timeout."""
    found = _service("    check: tcp\n").check
    assert found is not None
    assert found.interval * found.fall + found.timeout == 7


def test_a_service_by_firewall_mark_is_asked_at_its_first_port() -> None:
    """A destination has none there; of a service over single ports each is asked at its own."""
    services = """  - {vip: web, ports: [443, 8080], firewall_mark: auto, check: tcp}
  - {vip: web, ports: [21, 22], check: tcp}
"""
    found = {(it.port, it.check.port) for it in _services(FILE + services) if it.check is not None}
    assert found == {(0, 443), (21, 0), (22, 0)}


def test_a_backup_that_balances_nothing_probes_at_real_servers_own_addresses() -> None:
    """With `backup_only` nothing of a backup director goes through its table, probes included."""
    assert _service("check: tcp\nipvs: {backup_only: true, sync: {}}\n").check == TcpCheck(by_vip=False)


def test_the_sorry_server_is_a_real_server_or_an_address() -> None:
    """With the service's method and port, if nothing else is said; tunnelled as the service is."""
    assert _service("    check: tcp\n    pool: {sorry_server: 10.0.0.99}\n").pool.sorry == ServiceDestination(
        "10.0.0.99", 80, 1
    )
    assert _service("    check: tcp\n    pool: {sorry_server: r3}\n").pool.sorry == ServiceDestination(
        "10.0.0.13", 80, 1, host="r3"
    )
    other = "    check: tcp\n    pool: {sorry_server: {real_server: r1, port: 81, forwarding: masquerade}}\n"
    assert _service(other).pool.sorry == ServiceDestination("10.0.0.11", 81, 1, "masquerade", host="r1")
    tunnelled = "    forwarding: tunnel\n    check: tcp\n    pool: {sorry_server: r3}\n"
    assert _service(tunnelled).pool.sorry == ServiceDestination(
        "10.0.0.13", 80, 1, "tunnel", tunnel=Tunnel(), host="r3"
    )


def test_a_sorry_server_that_is_ours_answers_the_vip() -> None:
    """An address of somebody else gets none: nobody of ours is there."""
    for sorry, hosts in (("r3", {"r1", "r2", "r3"}), ("10.0.0.99", {"r1", "r2"})):
        text = f"{FILE}    check: tcp\n    pool: {{sorry_server: {sorry}}}\n"
        state = compile_cluster(parse(text, "x"))["realserver"]
        assert isinstance(state, RealServerState)
        assert set(state.answers[1].hosts) == hosts


@pytest.mark.parametrize(
    "interventions", [Interventions((Drain(host="r3"),)), Interventions((), (Maintenance(host="r3"),))]
)
def test_a_sorry_server_can_be_drained_too(interventions: Interventions) -> None:
    """It is a real server like others, for its operator."""
    _, service = _services(f"{FILE}    check: tcp\n    pool: {{sorry_server: r3}}\n", interventions)
    assert service.pool.sorry is not None
    assert service.pool.sorry.drained
