"""Merged sources -> the values and comments of a cluster file. Decides what is called how, and what is said where."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from lbstates import words

from . import draft_services, draft_vrrp
from .hosts import Director
from .merge import Merged
from .names import Names, after_address
from .neutral import Service, Source, Vip
from .page import Draft
from .remarks import Notebook, Place

MAX_VIPS: Final = 255

_NO_ADDRESS: Final = ("it is not an address that a cluster file takes, so it is left out", "choose another one")
_NETWORK_OF_ADDRESSES: Final = {4: 32, 6: 128}


def make_draft(
    cluster: str,
    merged: Merged,
    directors: Mapping[str, Director],
    networks: Sequence[str],
    names: Mapping[str, str],
    notes: Notebook,
) -> Draft:
    """Make the cluster file; `networks` tell prefix lengths, `names` are the real servers' by address."""
    draft = Draft({"cluster": cluster})
    _directors(draft, directors, merged)
    vip_names, unheld6 = _vips(draft, merged, directors, networks, notes)
    draft_vrrp.add(draft, merged, unheld6, notes)
    draft_services.add(draft, merged.services, vip_names, directors, names, notes)
    if ipvs := _ipvs(merged):
        draft.data["ipvs"] = ipvs
    order = ("cluster", "directors", "real_servers", "vips", "instances", "vrrp", "services", "ipvs")
    draft.data = {key: draft.data[key] for key in order if draft.data.get(key) is not None}
    return draft


def _directors(draft: Draft, directors: Mapping[str, Director], merged: Merged) -> None:
    entries: dict[str, Any] = {}
    interfaces = draft_vrrp.own_interfaces(merged)
    for name, director in directors.items():
        entry = {
            "address": director.address,
            "address6": director.address6,
            "interface": interfaces.get(name),
        }
        said = {key: value for key, value in entry.items() if value is not None}
        if not director.addresses:
            said = {"address": "ADDRESS-OF-THIS-DIRECTOR", **said}
            draft.remark(("directors", name), "PLACEHOLDER: write the address of this director")
        entries[name] = said["address"] if list(said) == ["address"] else said
    if not entries:
        entries["director-1"] = "ADDRESS-OF-THIS-DIRECTOR"
        draft.remark(("directors", "director-1"), "PLACEHOLDER: write name and address of every director")
    draft.data["directors"] = entries


def _vips(
    draft: Draft, merged: Merged, directors: Mapping[str, Director], networks: Sequence[str], notes: Notebook
) -> tuple[dict[str, str], list[str]]:
    """Write the VIPs; return their names by address, and the IPv6 instances that were made for services."""
    known = [ipaddress.ip_network(text) for text in networks]
    known += [
        ipaddress.ip_interface(f"{vip.address}/{vip.prefix}").network
        for together in merged.instances
        for vip in together.vips
        if vip.prefix is not None
    ]
    names, instances, by_address = Names(), Names(), dict[str, str]()
    entries: dict[str, Any] = {}
    for together in merged.instances:
        instance = instances.unique(draft_vrrp.instance_name(together))
        for vip in together.vips:
            if not words.is_host_address(vip.address):
                notes.wrong(vip.place, vip.address, *_NO_ADDRESS)
                continue
            if vip.address in by_address:
                notes.dropped(vip.place, vip.address, "another instance has this VIP already", "strike one of the two")
                continue
            name = names.unique(instance)
            by_address[vip.address] = name
            own = vip.interface or together.first.interface
            if own == together.first.interface and _near(vip, directors):
                own = None
            entries[name] = _vip(draft, name, instance, vip, own, known, notes)
    unheld6 = _unheld(draft, entries, names, instances, by_address, merged.services, known, notes)
    if len(entries) > MAX_VIPS:
        place = merged.services[0].place if merged.services else merged.instances[0].first.place
        notes.wrong(
            place, "vips", f"there are {len(entries)} VIPs", f"a cluster has at most {MAX_VIPS}: make two of it"
        )
    draft.data["vips"] = entries
    return by_address, unheld6


def _near(vip: Vip, directors: Mapping[str, Director]) -> bool:
    """Tell whether every director's address lies in the VIP's network, as far as there is one.

    Where not, the VIP has its interface beside it: then nobody expects it in the network of the directors' addresses.
    """
    interface = ipaddress.ip_interface(f"{vip.address}/{vip.prefix}" if vip.prefix else vip.address)
    if interface.network.num_addresses == 1:
        return True
    mine = [ipaddress.ip_address(one) for director in directors.values() for one in director.addresses]
    return all(one in interface.network for one in mine if one.version == interface.version)


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _vip(
    draft: Draft, name: str, instance: str, vip: Vip, interface: str | None, known: Iterable[_Network], notes: Notebook
) -> object:
    prefix = vip.prefix
    if prefix is None:
        prefix = _guess_prefix(draft, name, vip, known, notes)
    entry: dict[str, Any] = {"address": f"{vip.address}/{prefix}"}
    if instance != name:
        entry["instance"] = instance
    if interface is not None:
        entry["interface"] = interface
    return entry["address"] if len(entry) == 1 else entry


def _guess_prefix(draft: Draft, name: str, vip: Vip, known: Iterable[_Network], notes: Notebook) -> int:
    address = ipaddress.ip_address(vip.address)
    whole = _NETWORK_OF_ADDRESSES[address.version]
    around = [one for one in known if one.version == address.version and address in one and one.prefixlen < whole]
    if around:
        network = max(around, key=lambda one: one.prefixlen)
        said = f"it has no prefix length (keepalived takes /{whole}); /{network.prefixlen} is that of {network}"
        notes.guessed(vip.place, "virtual_ipaddress", said, "check it")
        draft.remark(("vips", name), f"guessed: {said}")
        return network.prefixlen
    said = f"it has no prefix length, and keepalived takes /{whole}"
    way_out = "write that of the network, or give --address DIRECTOR=ADDRESS/LENGTH"
    notes.guessed(vip.place, "virtual_ipaddress", said, way_out)
    draft.remark(("vips", name), f"guessed: {said}; write that of the network")
    return whole


def _unheld(
    draft: Draft,
    entries: dict[str, Any],
    names: Names,
    instances: Names,
    by_address: dict[str, str],
    services: Sequence[Service],
    known: Sequence[_Network],
    notes: Notebook,
) -> list[str]:
    """Make VIPs of the addresses of services that no instance holds; those of one group share an instance."""
    shared: dict[tuple[Place, bool], str] = {}
    made: dict[Place, list[str]] = {}
    for service in services:
        address = service.address
        if not address or address in by_address:
            continue
        if not words.is_host_address(address):
            notes.wrong(service.place, service.name, *_NO_ADDRESS)
            continue
        name = names.unique(after_address("vip", address))
        key = (service.place, ":" in address)
        if key not in shared:
            shared[key] = instances.unique(name)
        draft.remark(("vips", name), "guessed: a service has this address, and no VRRP instance holds it")
        by_address[address] = name
        made.setdefault(service.place, []).append(address)
        entries[name] = _vip(draft, name, shared[key], Vip(address, None, None, service.place), None, known, notes)
    for place, addresses in made.items():
        said = f"no VRRP instance holds {', '.join(addresses)}: VIPs were made of what services have"
        notes.guessed(place, "virtual_server", said, "strike the service if nobody has the address")
    return [instance for (_, six), instance in shared.items() if six]


def _ipvs(merged: Merged) -> dict[str, Any]:
    ipvs: dict[str, Any] = {}
    if merged.timeouts:
        ipvs["timeouts"] = merged.timeouts
    if merged.sync is not None:
        ipvs["sync"] = merged.sync
    return ipvs


def sources_said(sources: Sequence[Source]) -> list[str]:
    """Say what the cluster file was made of, for its first lines."""
    made = ", ".join(f"{source.place} ({source.tool}{_of(source)})" for source in sources)
    kept = [f"not imported, from {source.place}: {text}" for source in sources for text in dict.fromkeys(source.kept)]
    return [
        f"Made by `lbmaster import` from {made}.",
        "What was guessed or left out is said in comments; then `lbmaster check` finds what is wrong.",
        *kept,
    ]


def _of(source: Source) -> str:
    return f" of {source.director}" if source.director is not None else ""
