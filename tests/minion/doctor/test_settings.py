"""Kernel settings as they take effect."""

from __future__ import annotations

import pytest

from lbminion.doctor import settings
from lbminion.doctor.symptom import Symptom
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Persistence, Service

WEB = Service("tcp", "10.0.0.100", 80, "wlc")
DNS = Service("udp", "10.0.0.100", 53, "rr")
STICKY = Service("tcp", "10.0.0.100", 443, "wlc", persistence=Persistence(300, 32))
NAT = Destination(WEB.identity, "10.1.0.11", 80, "masquerade", 1)
DIRECT = Destination(WEB.identity, "10.0.0.11", 80, "direct", 1)
CONF = "net/ipv4/conf"


def ids(symptoms: object) -> list[str]:
    assert not isinstance(symptoms, Symptom)
    return [symptom.id for symptom in symptoms]  # type: ignore[attr-defined]


def arp(everywhere: tuple[str, str], here: tuple[str, str]) -> dict[str, str]:
    return {
        f"{CONF}/{name}/{key}": value
        for name, values in (("all", everywhere), ("eth0", here))
        for key, value in zip(("arp_ignore", "arp_announce"), values, strict=True)
    }


@pytest.mark.pitfall("R2")
@pytest.mark.parametrize(
    ("everywhere", "here", "wrong"),
    [
        (("1", "2"), ("0", "0"), []),
        (("0", "0"), ("1", "2"), []),
        (("2", "2"), ("0", "1"), []),
        (("0", "2"), ("0", "2"), ["arp_ignore"]),
        (("1", "1"), ("1", "0"), ["arp_announce"]),
        (("0", "0"), ("0", "0"), ["arp_ignore", "arp_announce"]),
        (("5", "2"), ("0", "0"), ["arp_ignore"]),
    ],
)
def test_the_larger_of_all_and_the_interface_counts(
    everywhere: tuple[str, str], here: tuple[str, str], wrong: list[str]
) -> None:
    """An interface may be right by either; reserved values of arp_ignore do nothing."""
    found = list(settings.judge_arp(arp(everywhere, here), ["eth0"]))
    assert [symptom.subject.rpartition("/")[2] for symptom in found] == wrong
    assert ids(found) == ["R2"] * len(wrong)


@pytest.mark.pitfall("R4")
@pytest.mark.parametrize(("everywhere", "here", "wrong"), [("1", "0", 1), ("0", "1", 1), ("1", "2", 0), ("0", "0", 0)])
def test_strict_filtering_on_a_tunnel_is_found(everywhere: str, here: str, wrong: int) -> None:
    """The larger counts, and 2 (loose) is larger than 1 (strict)."""
    values = {f"{CONF}/all/rp_filter": everywhere, f"{CONF}/tunl0/rp_filter": here}
    assert ids(settings.judge_tunnel_filters(values, ["tunl0"], {"tunl0"})) == ["R4"] * wrong


@pytest.mark.pitfall("R4")
@pytest.mark.parametrize(("value", "wrong"), [("2", 1), ("0", 0)])
def test_loose_filtering_on_a_tunnel_without_an_address_is_found(value: str, wrong: int) -> None:
    """The kernel has nothing to be loose with there, and drops all that comes out of the tunnel."""
    values = {f"{CONF}/tunl0/rp_filter": value}
    assert ids(settings.judge_tunnel_filters(values, ["tunl0"], set())) == ["R4"] * wrong


@pytest.mark.pitfall("I7")
def test_masquerading_without_forwarding_is_found() -> None:
    """For the family that needs it; direct routing needs none."""
    off = {"net/ipv4/ip_forward": "0", "net/ipv6/conf/all/forwarding": "0"}
    assert ids(settings.judge_forwarding(off, [NAT])) == ["I7"]
    assert ids(settings.judge_forwarding(off, [DIRECT])) == []
    assert ids(settings.judge_forwarding({"net/ipv4/ip_forward": "1"}, [NAT])) == []


@pytest.mark.pitfall("I6")
@pytest.mark.parametrize(
    ("reuse", "conntrack", "kernel", "wrong"),
    [
        ("1", "1", "5.4.0-42-generic", 1),
        ("1", "1", "5.9.0", 0),
        ("1", "1", "6.1.0-13-amd64", 0),
        ("1", "0", "4.19.0", 0),
        ("0", "1", "4.19.0", 0),
        ("1", "1", "no version", 0),
    ],
)
def test_the_pair_that_costs_a_second_on_old_kernels(reuse: str, conntrack: str, kernel: str, wrong: int) -> None:
    """Both settings, and a kernel before 5.9."""
    values = {"net/ipv4/vs/conn_reuse_mode": reuse, "net/ipv4/vs/conntrack": conntrack}
    assert ids(settings.judge_ipvs(values, [WEB], kernel)) == ["I6"] * wrong


@pytest.mark.pitfall("I4")
def test_persistence_without_expiring_templates_is_found() -> None:
    """Only with persistence, and only if the setting is there and 0."""
    key = "net/ipv4/vs/expire_quiescent_template"
    assert ids(settings.judge_ipvs({key: "0"}, [WEB, STICKY], "6.1")) == ["I4"]
    assert ids(settings.judge_ipvs({key: "1"}, [STICKY], "6.1")) == []
    assert ids(settings.judge_ipvs({key: "0"}, [WEB], "6.1")) == []
    assert ids(settings.judge_ipvs({}, [STICKY], "6.1")) == []


@pytest.mark.pitfall("I5")
def test_udp_with_a_long_timeout_is_told() -> None:
    """As information: for some protocols it is right."""
    (found,) = settings.judge_udp([WEB, DNS], 300)
    assert (found.id, found.severity) == ("I5", "info")
    one_packet = Service("udp", "10.0.0.100", 53, "rr", one_packet=True)
    assert not list(settings.judge_udp([one_packet], 300))
    assert not list(settings.judge_udp([DNS], 30))


@pytest.mark.pitfall("R9")
def test_both_roles_without_backup_only_are_found() -> None:
    """A setting that is not there is 0."""
    assert ids(settings.judge_both_roles({}, ["10.0.0.100/32"])) == ["R9"]
    assert ids(settings.judge_both_roles({"net/ipv4/vs/backup_only": "1"}, ["10.0.0.100/32"])) == []
    assert ids(settings.judge_both_roles({}, [])) == []


@pytest.mark.pitfall("I12")
def test_what_is_not_synchronised_is_said() -> None:
    """The first packets of a connection; nothing where no daemon runs."""
    key = "net/ipv4/vs/sync_threshold"
    (found,) = settings.judge_sync_threshold({key: "3 50"}, synchronised=True)
    assert (found.id, found.severity) == ("I12", "info")
    assert not list(settings.judge_sync_threshold({key: "3 50"}, synchronised=False))
    assert not list(settings.judge_sync_threshold({key: "0 50"}, synchronised=True))
    assert not list(settings.judge_sync_threshold({key: "rubbish"}, synchronised=True))
