"""One service over several ports, from the cluster file to the answers that a client gets."""

from __future__ import annotations

import pytest
from tests.stock.inside.lan import VIP, VIP6, Lan

HOSTS = """\
cluster: shop
directors: {d1: {address: 10.77.0.30, address6: "fd77::30"}}
real_servers:
  r1: {address: 10.77.0.10, address6: "fd77::10"}
  r2: {address: 10.77.0.20, address6: "fd77::20"}
vips: {web: 10.77.0.200/24, web6: "fd77::200/64"}
services:
"""
ROTATING = f"""{HOSTS}\
  - {{vip: web, ports: [80, 443], firewall_mark: auto, scheduler: rr}}
  - {{vip: web6, ports: [80, 443], firewall_mark: auto, scheduler: rr}}
"""
PERSISTENT = ROTATING.replace("scheduler: rr", "scheduler: rr, persistence: 300")

both_families = pytest.mark.parametrize("vip", [VIP, VIP6], ids=["ipv4", "ipv6"])


def asked(lan: Lan, vip: str, times: int = 2) -> list[tuple[str, str]]:
    """Ask at both ports in turn, and tell who answered, and from which port."""
    answers = (lan.client.ask(vip, port) for _ in range(times) for port in (80, 443))
    return [(name, port) for name, port, _ in (answer.split() for answer in answers)]


@both_families
def test_a_client_gets_the_same_real_server_at_both_ports(lan: Lan, vip: str) -> None:
    """Persistence is common to all ports of the service; a client without it goes round."""
    lan.become(ROTATING)
    assert {name for name, _ in asked(lan, vip)} == {"r1", "r2"}
    lan.become(PERSISTENT)
    answers = asked(lan, vip)
    assert len({name for name, _ in answers}) == 1
    assert [port for _, port in answers] == ["80", "443", "80", "443"]


@both_families
def test_other_ports_of_the_vip_are_not_balanced(lan: Lan, vip: str) -> None:
    """The director itself answers there, whatever the real servers serve."""
    lan.become(ROTATING)
    with pytest.raises(ConnectionRefusedError):
        lan.client.ask(vip, 8080)


@pytest.mark.pitfall("S7")
@pytest.mark.parametrize(
    "command",
    [
        "nft flush chain inet lbmaster prerouting",
        "nft delete table inet lbmaster",
        "nft insert rule inet lbmaster prerouting tcp dport 80 accept",
    ],
)
def test_marking_that_somebody_broke_is_healed(lan: Lan, command: str) -> None:
    lan.become(ROTATING)
    lan.director.command(*command.split())
    with pytest.raises(ConnectionRefusedError):
        lan.client.ask(VIP, 80)
    assert {step.split()[1] for step in lan.director.become(ROTATING)} == {"mark"}
    assert lan.director.become(ROTATING) == []
    assert {name for name, _ in asked(lan, VIP)} == {"r1", "r2"}


def test_nothing_is_left_of_a_service_that_is_removed(lan: Lan) -> None:
    lan.become(ROTATING)
    assert "lbmaster" in lan.director.command("nft", "list", "tables")
    assert "FWM" in lan.director.command("ipvsadm", "-Ln")
    lan.director.make([])
    assert lan.director.command("nft", "list", "tables") == ""
    assert "FWM" not in lan.director.command("ipvsadm", "-Ln")
    with pytest.raises(ConnectionRefusedError):
        lan.client.ask(VIP, 443)
