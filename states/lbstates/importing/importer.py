"""Everything together: texts of other tools in, one cluster file and its remarks out."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .draft import make_draft, sources_said
from .hosts import find_directors
from .ipvsadm import read_ipvsadm
from .keepalived import read_keepalived
from .ldirectord import read_ldirectord
from .merge import merge
from .neutral import Source
from .remarks import CannotImport, Files, Notebook, Place, Remark, merged
from .yaml_text import write


class Given(NamedTuple):
    """A file that the user gave: whose it is (None: nobody's alone), its name, its text."""

    director: str | None
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be imported.

    `addresses` of directors may have a prefix length, which tells that of VIPs; `names` are real servers' by address;
    `config_ids` are by director, and its name where none is given.
    """

    keepalived: Sequence[Given] = ()
    ipvsadm: Sequence[Given] = ()
    ldirectord: Sequence[Given] = ()
    cluster: str = "imported"
    addresses: Mapping[str, Sequence[str]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    config_ids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of the cluster file, and what is to be said; remarks that say the same are one."""

    text: str
    remarks: tuple[Remark, ...]


def import_cluster(order: Order, files: Files) -> Imported:
    """Make a cluster file; raises `CannotImport` when there is nothing to make one of."""
    notes = Notebook()
    sources = _read(order, files, notes)
    if not any(source.instances or source.services for source in sources):
        place = sources[0].place if sources else Place("", 0)
        raise CannotImport(
            place, "there is no VRRP instance and no virtual service in it", "is this the file that was meant?"
        )
    together = merge(sources, notes)
    directors = find_directors(order.addresses, sources, notes)
    if not directors:
        said = "nobody says which hosts are directors"
        notes.wrong(sources[0].place, "directors", said, "give them with --address NAME=ADDRESS")
    networks = [network for source in sources for network in source.networks]
    networks += [address for given in order.addresses.values() for address in given if "/" in address]
    draft = make_draft(order.cluster, together, directors, _as_networks(networks), order.names, notes)
    draft.remark((), *sources_said(sources))
    _say_what_is_missing(draft.data, sources, notes)
    return Imported(write(draft.data, draft.comments), tuple(_sorted(merged(notes.remarks), sources)))


def _read(order: Order, files: Files, notes: Notebook) -> list[Source]:
    sources = []
    for given in order.keepalived:
        director = given.director or ""
        config_id = order.config_ids.get(director, director)
        sources.append(read_keepalived(director, given.name, given.text, config_id, files, notes))
    sources += [read_ipvsadm(given.director or "", given.name, given.text, notes) for given in order.ipvsadm]
    sources += [read_ldirectord(given.name, given.text, notes) for given in order.ldirectord]
    return sources


def _sorted(remarks: Iterable[Remark], sources: Sequence[Source]) -> list[Remark]:
    """By file in the order in which they were given (included ones last), then by line."""
    order = {source.place.file: number for number, source in enumerate(sources)}
    return sorted(remarks, key=lambda one: (order.get(one.place.file, len(order)), one.place))


def _as_networks(texts: Sequence[str]) -> list[str]:
    return [str(ipaddress.ip_interface(text).network) for text in texts]


def _say_what_is_missing(data: Mapping[str, object], sources: Sequence[Source], notes: Notebook) -> None:
    """Say which whole parts of the cluster file are empty; whether it can be used so is what its check says."""
    place = sources[0].place
    for section, said, way_out in (
        ("services", "there is no virtual service", "add one, if the cluster shall balance something"),
        ("real_servers", "there is no real server", "add one, if the cluster shall balance something"),
        ("vips", "there is no VIP, only services by firewall mark", "add the VIPs that the marked packets go to"),
    ):
        if not data.get(section):
            notes.guessed(place, section, said, way_out)
