"""What is heard of VRRP against what is declared."""

from __future__ import annotations

import socket
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbminion.doctor.adverts import Advert, Election, judge, parse

VIP, PEER, STRANGER = "10.0.0.100", "10.0.0.2", "10.0.0.66"
WEB = Election("web", "eth0", 4, 51, 3, 1.0, frozenset({VIP}), {PEER: "d2", "10.0.0.3": "d3"}, held=False)
ADVERT = Advert(PEER, 51, 3, 240, 1.0, (VIP,))
SECONDS = {"eth0": 3.5}


def test_on_another_interface_directors_are_known_by_the_vips_that_they_claim() -> None:
    """Their addresses there stand in no cluster file; whoever claims other VIPs is foreign there, too."""
    inside = replace(WEB, at_home=False)
    adverts = [replace(ADVERT, source="192.168.1.3")] * 3
    assert judge([inside], {"eth0": adverts}, SECONDS) == []
    assert [it.id for it in judge([WEB], {"eth0": adverts}, SECONDS)][:1] == ["V3"]
    foreign = [replace(ADVERT, source="192.168.1.9", vips=("192.168.1.250",))]
    assert "V3" in [it.id for it in judge([inside], {"eth0": [*adverts, *foreign]}, SECONDS)]


def packet(version: int = 3, interval: int = 100, vips: tuple[str, ...] = (VIP,), source: str = PEER) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    vrrp = struct.pack("!BBBBHH", version << 4 | 1, 51, 240, len(vips), interval, 0)
    vrrp += b"".join(socket.inet_pton(family, vip) for vip in vips)
    if family == socket.AF_INET6:
        head = struct.pack("!IHBB", 6 << 28, len(vrrp), 112, 255)
    else:
        head = struct.pack("!BBHHHBBH", 0x45, 0xC0, 20 + len(vrrp), 0, 0, 255, 112, 0)
    return head + 2 * socket.inet_pton(family, source) + vrrp


def ids(*adverts: Advert, election: Election = WEB, seconds: float = 3.5) -> list[str]:
    return [symptom.id for symptom in judge([election], {"eth0": adverts}, {"eth0": seconds})]


def test_an_advertisement_of_each_version_is_read() -> None:
    """Version 3 counts hundredths of a second, 2 seconds; IPv6 has another header."""
    assert parse(packet()) == ADVERT
    assert parse(packet(version=2, interval=0x0101)) == replace(ADVERT, version=2)
    assert parse(packet(source="fe80::2", vips=("fe80::64", "fd00::64"))) == Advert(
        "fe80::2", 51, 3, 240, 1.0, ("fe80::64", "fd00::64")
    )


@given(st.binary(max_size=80) | st.integers(0, 32).map(lambda size: packet()[:size]))
def test_rubbish_is_no_advertisement(raw: bytes) -> None:
    """Whatever it is; a packet that is cut short neither."""
    found = parse(raw)
    assert found is None or isinstance(found, Advert)
    assert parse(packet()[:-1]) is None


def test_the_masters_own_advertisements_are_right() -> None:
    """One peer that says what is declared; and silence, for the MASTER itself."""
    assert ids(ADVERT, ADVERT, ADVERT) == []
    assert ids(election=replace(WEB, held=True)) == []
    assert ids(election=replace(WEB, peers={})) == []


@pytest.mark.pitfall("V3")
def test_a_foreign_advertisement_with_our_vrid_is_found() -> None:
    """From an address that is no director's; over IPv6, where sources are link-local, by its VIPs."""
    assert ids(ADVERT, replace(ADVERT, source=STRANGER, vips=("10.0.0.200",))) == ["V3"]
    six = replace(WEB, family=6, vips=frozenset({"fd00::64"}))
    assert ids(replace(ADVERT, source="fe80::9", vips=("fd00::99",)), election=replace(six, held=True)) == ["V3"]
    assert ids(replace(ADVERT, source="fe80::9", vips=("fd00::64",)), election=six) == []


def test_another_vrid_or_family_is_nobodys_business() -> None:
    """A segment may have many clusters."""
    assert ids(ADVERT, replace(ADVERT, source=STRANGER, vrid=52)) == []
    assert ids(ADVERT, replace(ADVERT, source="fe80::9")) == []


@pytest.mark.pitfall("V1")
def test_two_masters_are_heard() -> None:
    """By the one, by a third, and not when one advertisement came across at a hand-over."""
    held = replace(WEB, held=True)
    assert ids(ADVERT, ADVERT, election=held) == ["V1"]
    assert ids(ADVERT, election=held) == []
    d3 = replace(ADVERT, source="10.0.0.3")
    assert ids(ADVERT, d3, ADVERT, d3) == ["V1"]


@pytest.mark.pitfall("V1")
def test_silence_at_a_backup_is_found() -> None:
    """Protocol 112 does not come through, or nobody is MASTER; three intervals have to have passed."""
    assert ids() == ["V1"]
    assert ids(seconds=2.0) == []
    assert "112" in judge([WEB], {"eth0": []}, SECONDS)[0].repair


@pytest.mark.pitfall("V5")
def test_another_interval_or_version_is_found() -> None:
    """Such advertisements are dropped."""
    assert ids(replace(ADVERT, interval=2.0)) == ["V5"]
    assert ids(replace(ADVERT, version=2)) == ["V5"]
    assert ids(replace(ADVERT, interval=1.005)) == []


@pytest.mark.pitfall("V4")
def test_another_list_of_vips_is_found() -> None:
    """And the difference is named; VIPs of the other family are advertised elsewhere."""
    more = replace(ADVERT, vips=(VIP, "10.0.0.101"))
    (found,) = judge([WEB], {"eth0": [more]}, SECONDS)
    assert found.id == "V4"
    assert "10.0.0.101" in found.seen
    assert ids(ADVERT, election=replace(WEB, vips=frozenset({VIP, "fd00::1"}))) == []
