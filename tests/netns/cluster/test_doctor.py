"""`lbminion doctor` and `lbmaster doctor` on real hosts: healthy ones, and ones on which a pitfall was provoked."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from .place import CLUSTER, VIP, Host, Place, inside, until

Symptoms = dict[str, list[dict[str, str]]]


def doctor(host: Host) -> Symptoms:
    """What `lbminion doctor` says on a host: id -> symptoms."""
    done = host.lbminion("doctor", "--json")
    assert done.stdout, done.stderr
    found: Symptoms = {}
    for symptom in json.loads(done.stdout):
        found.setdefault(symptom["id"], []).append(symptom)
    assert done.returncode == any(it["severity"] == "error" for of_id in found.values() for it in of_id)
    return found


@contextmanager
def listening(host: Host, address: str = "0.0.0.0", port: int = 80) -> Iterator[None]:
    """A service on a host."""

    def listen() -> socket.socket:
        opened = socket.socket()
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((address, port))
        opened.listen()
        return opened

    with inside(host.namespace, listen):
        yield


@pytest.fixture
def director(place: Place, server: Host) -> Host:
    """The director of the pushed cluster, once it holds the VIP."""
    host = place.hosts["d1"]
    host.until(lambda: VIP in host.ip("-4", "address", "show", "dev", "eth0"), "it holds the VIP")
    return host


def test_a_healthy_real_server_has_no_symptom(director: Host, server: Host) -> None:
    """With its VIP, its settings, and a service that listens on it."""
    with listening(server):
        # A machine whose time is stolen is told of, as long as that is so.
        until(lambda: doctor(server) == {}, "it is healthy", 60)
        healthy = "Nothing is wrong on this host.\n"
        until(lambda: server.lbminion("doctor").stdout == healthy, "that is said", 60)


@pytest.mark.pitfall("R2")
def test_a_real_server_that_answers_arp_is_found_by_itself_and_by_the_director(director: Host, server: Host) -> None:
    """By the settings there, and by the answer that comes over the wire; its minion is stopped, or it would heal it."""
    server.stop()
    for interface in ("all", "eth0"):
        server.sysctl(f"{interface}/arp_ignore", "0")
    subjects = {it["subject"] for it in doctor(server)["R2"]}
    assert subjects == {f"net/ipv4/conf/{of}/arp_ignore" for of in ("all", "eth0")}
    mac = json.loads(server.ip("-j", "link", "show", "eth0"))[0]["address"]
    (seen,) = doctor(director)["R2"]
    assert seen["subject"] == VIP
    assert mac in seen["seen"]
    assert server.address in seen["seen"]
    # Its namespace stays as long as the others of this folder, and so would its answers.
    server.ip("link", "set", "eth0", "down")


@pytest.mark.pitfall("S1")
@pytest.mark.pitfall("R1")
def test_a_missing_vip_and_one_with_a_wrong_mask_are_found(director: Host, server: Host) -> None:
    """While the minion does not run."""
    server.stop()
    server.ip("address", "del", f"{VIP}/32", "dev", "lo")
    assert [it["subject"] for it in doctor(server)["S1"]] == [f"lo {VIP}/32"]
    server.ip("address", "add", f"{VIP}/24", "dev", "lo")
    found = doctor(server)
    assert [it["subject"] for it in found["R1"]] == [f"lo {VIP}/24"]
    assert "S1" not in found


@pytest.mark.pitfall("R11")
def test_a_service_on_the_rip_only_is_found(director: Host, server: Host) -> None:
    """By what the kernel says of its sockets."""
    with listening(server, server.address):
        (found,) = doctor(server)["R11"]
    assert f"{server.address}:80" in found["seen"]


@pytest.mark.pitfall("V3")
def test_a_foreign_keepalived_with_our_vrid_is_found(place: Place, director: Host, stranger: Host) -> None:
    """A real one, that does not hear our director and so advertises beside it."""
    vrid = director_vrid(director)
    with foreign_keepalived(stranger, vrid):
        found: dict[str, Any] = until(lambda: doctor(director).get("V3"), "it is found", 30)[0]
    assert stranger.address in found["seen"]
    assert str(vrid) in found["repair"]


def director_vrid(director: Host) -> int:
    text = (director.folder / "keepalived.conf").read_text()
    return int(text.split("virtual_router_id ")[1].split()[0])


@contextmanager
def foreign_keepalived(host: Host, vrid: int) -> Iterator[None]:
    """A keepalived of somebody else, on a host that drops the advertisements of others."""
    rules = "table inet t { chain i { type filter hook input priority 0; meta l4proto 112 drop; }; }"
    subprocess.run(["ip", "netns", "exec", host.namespace, "nft", rules], check=True)
    config = host.folder / "foreign.conf"
    config.write_text(
        "global_defs {\n    vrrp_version 3\n}\n"
        f"vrrp_instance other {{\n    interface eth0\n    virtual_router_id {vrid}\n    priority 10\n    advert_int 0.3\n"
        "    virtual_ipaddress {\n        10.99.249.1/16 dev eth0\n    }\n}\n"
    )
    command = [
        "keepalived",
        "-n",
        "-l",
        "--vrrp",
        "-f",
        config,
        "-p",
        host.folder / "k.pid",
        "-r",
        host.folder / "v.pid",
    ]
    process = host.place.processes.start("foreign", host.place.network.within(host.namespace, *map(str, command)))
    try:
        until(lambda: "10.99.249.1" in host.ip("-4", "address", "show", "dev", "eth0"), "it advertises", 30)
        yield
    finally:
        host.place.processes.end([process])


def test_the_master_collects_what_every_host_finds(place: Place, director: Host, server: Host) -> None:
    """Each running minion looks at its own host; what it finds comes back by its uplink, and the host goes on serving."""
    with listening(server, server.address):
        done = place.lbmaster("doctor", "--json", CLUSTER)
    hosts = json.loads(done.stdout)["clusters"][CLUSTER]["hosts"]
    assert done.returncode == 1
    assert [it["id"] for it in hosts[server.name]["symptoms"] if it["subject"] != "CPU"] == ["R11"]
    assert not any(host.get("silent") or host.get("error") for host in hosts.values())
    assert place.ask("reconcile", cluster=CLUSTER, timeout=10)["hosts"][server.name] == {"healed": [], "remaining": 0}


def test_a_doctor_without_the_right_to_listen_says_what_it_could_not_see(director: Host, server: Host) -> None:
    """Everything else is looked at all the same."""
    command = server.command("doctor", "--json")
    command[4:4] = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"]
    with listening(server):
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    (blind,) = (it for it in json.loads(done.stdout) if it["subject"] != "CPU")
    assert (blind["id"], blind["severity"], blind["subject"]) == ("R2", "info", "eth0")
    assert "could not look at ARP" in blind["seen"]
    assert done.returncode == 0


def test_a_host_that_never_joined_has_no_doctor_but_a_way_out(stranger: Host) -> None:
    """One line, and the exit code of a missing configuration."""
    done = stranger.lbminion("doctor")
    assert done.returncode == 2
    assert "lbminion join" in done.stderr


def test_a_host_without_a_cluster_has_nothing_to_examine(joined: Host) -> None:
    """It has joined, and nothing was pushed to it."""
    done = joined.lbminion("doctor")
    assert (done.returncode, done.stdout) == (0, "Nothing is wrong on this host.\n")
