"""VRRP advertisements heard on the wire against what the cluster declares (V1, V3, V4, V5). Pure.

The layouts are those of RFC 3768 (version 2) and RFC 5798 (version 3).
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from struct import Struct
from typing import Final

from .symptom import Symptom, Symptoms, error, warning

PROTOCOL: Final = 112
_VRRP: Final = Struct("!BBBBHH")
_IPV4_HEADER, _IPV6_HEADER = 20, 40
_ADVERTISEMENT: Final = 1
_SEVERAL: Final = 2
_TOLERANCE: Final = 0.011
"""Seconds: version 3 counts hundredths."""


@dataclass(frozen=True, slots=True)
class Advert:
    """One advertisement: `interval` in seconds, `vips` bare, in the order of the packet."""

    source: str
    vrid: int
    version: int
    priority: int
    interval: float
    vips: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Election:
    """What an instance of ours shall be: `interval` in seconds, `vips` bare, `peers` address -> director (without us).

    `family` 4 or 6; `held`: this host has the instance's VIPs now; `at_home`: it is on the interface with the director's
    address, as it is on the peers. `advertised`: those of its VIPs that advertisements list;
    empty for all.
    """

    instance: str
    interface: str
    family: int
    vrid: int
    version: int
    interval: float
    vips: frozenset[str]
    peers: Mapping[str, str]
    held: bool
    at_home: bool = True
    advertised: frozenset[str] = frozenset()


def parse(packet: bytes) -> Advert | None:
    """Read an IP packet; None for what is no whole VRRP advertisement."""
    version = packet[0] >> 4 if packet else 0
    if version == 4:  # noqa: PLR2004 - the version of IP
        header = (packet[0] & 0xF) * 4
        if header < _IPV4_HEADER or len(packet) < header or packet[9] != PROTOCOL:
            return None
        source, size, family = socket.inet_ntop(socket.AF_INET, packet[12:16]), 4, socket.AF_INET
    elif version == 6:  # noqa: PLR2004 - the version of IP
        header = _IPV6_HEADER
        if len(packet) < header or packet[6] != PROTOCOL:
            return None
        source, size, family = socket.inet_ntop(socket.AF_INET6, packet[8:24]), 16, socket.AF_INET6
    else:
        return None
    return _advertisement(packet[header:], source, size, family)


def _advertisement(data: bytes, source: str, size: int, family: socket.AddressFamily) -> Advert | None:
    if len(data) < _VRRP.size:
        return None
    kind, vrid, priority, count, interval, _ = _VRRP.unpack_from(data)
    addresses = data[_VRRP.size : _VRRP.size + count * size]
    version = kind >> 4
    if kind & 0xF != _ADVERTISEMENT or version not in (2, 3) or len(addresses) < count * size:
        return None
    seconds = float(interval & 0xFF) if version == 2 else (interval & 0xFFF) / 100  # noqa: PLR2004 - the version of VRRP
    vips = tuple(socket.inet_ntop(family, addresses[at : at + size]) for at in range(0, count * size, size))
    return Advert(source, vrid, version, priority, seconds, vips)


def judge(
    elections: Sequence[Election], heard: Mapping[str, Sequence[Advert]], seconds: Mapping[str, float]
) -> Symptoms:
    """Judge what was heard on each interface during so many `seconds`."""
    found: Symptoms = []
    for election in elections:
        adverts = [
            advert
            for advert in heard.get(election.interface, ())
            if advert.vrid == election.vrid and (":" in advert.source) == (election.family == 6)  # noqa: PLR2004
        ]
        found += _of_election(election, adverts, seconds.get(election.interface, 0.0))
    return found


def _of_election(election: Election, adverts: Sequence[Advert], seconds: float) -> Symptoms:
    by_source = {
        source: list(group)
        for source, group in groupby(sorted(adverts, key=lambda it: it.source), key=lambda it: it.source)
    }
    known = {source: some for source, some in by_source.items() if _is_peer(election, source, some)}
    found = [_foreign(election, source, some[0]) for source, some in by_source.items() if source not in known]
    for source, some in known.items():
        found += _mismatches(election, _name(election, source), some[-1])
    repeated = [_name(election, source) for source, some in known.items() if len(some) >= _SEVERAL]
    if election.held and repeated:
        found.append(_two_masters(election, f"this host is MASTER and hears {' and '.join(repeated)} advertise"))
    elif len(repeated) > 1:
        found.append(_two_masters(election, f"{' and '.join(repeated)} advertise at once"))
    if not election.held and not known and election.peers and seconds > 3 * election.interval:
        found.append(_silence(election, seconds))
    return found


def _silence(election: Election, seconds: float) -> Symptom:
    return error(
        "V1", election.instance,
        f"no advertisement of VRID {election.vrid} in {seconds:.1f} s on {election.interface}",
        "no director is MASTER, or IP protocol 112 does not come through to here: then this host will be a second MASTER",
        "allow IP protocol 112 (to 224.0.0.18 and ff02::12) between the directors, or take `vrrp: {mode: unicast}`",
    )  # fmt: skip


def _is_peer(election: Election, source: str, adverts: Sequence[Advert]) -> bool:
    """A director is known by its address, or by the VIPs that it claims.

    Over IPv6 adverts come from link-local addresses, and on another interface from one that the cluster file does not say.
    """
    if source in election.peers:
        return True
    nameless = source.startswith("fe80:") or not election.at_home
    return nameless and any(not election.vips.isdisjoint(advert.vips) for advert in adverts)


def _name(election: Election, source: str) -> str:
    name = election.peers.get(source)
    return f"{name} ({source})" if name else source


def _foreign(election: Election, source: str, advert: Advert) -> Symptom:
    return error(
        "V3", election.instance,
        f"{source} on {election.interface}, no director of this cluster, advertises VRID {election.vrid} "
        f"with priority {advert.priority} for {' '.join(advert.vips) or 'no address'}",
        "somebody else uses our VRID on this segment: the elections disturb each other",
        f"name {election.vrid} in `vrrp: {{reserved_virtual_router_ids: [...]}}` and push, or give the instance another `virtual_router_id`",
    )  # fmt: skip


def _two_masters(election: Election, seen: str) -> Symptom:
    return error(
        "V1", election.instance, seen, "two directors are MASTER at once: clients reach either, by chance",
        "let the directors hear each other (IP protocol 112); compare VRID, auth_pass and VIPs of their keepalived.conf",
    )  # fmt: skip


def _mismatches(election: Election, name: str, advert: Advert) -> Iterable[Symptom]:
    if advert.version != election.version:
        yield error(
            "V5", election.instance, f"{name} speaks VRRP version {advert.version}, this cluster {election.version}",
            "its advertisements are dropped here: both will be MASTER", "push again; see `lbminion plan` there",
        )  # fmt: skip
    elif abs(advert.interval - election.interval) > _TOLERANCE:
        yield error(
            "V5", election.instance,
            f"{name} advertises every {advert.interval:g} s, declared are {election.interval:g} s",
            "in version 2 such advertisements are dropped, in 3 a dead MASTER is noticed late",
            "push again; see `lbminion plan` there",
        )  # fmt: skip
    ours = {vip for vip in election.advertised or election.vips if (":" in vip) == (election.family == 6)}  # noqa: PLR2004
    if set(advert.vips) != ours:
        difference = sorted(set(advert.vips) ^ ours)
        yield warning(
            "V4", election.instance, f"{name} advertises another list of VIPs; they differ in {' '.join(difference)}",
            "keepalived up to 2.3.2 drops such advertisements: both will be MASTER", "push again; see `lbminion plan` there",
        )  # fmt: skip
