"""The directors' addresses: given, or found in what VRRP instances send from and to."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .neutral import Source
from .remarks import Notebook, Place


@dataclass(slots=True)
class Director:
    """A director; an address is None where nobody knows one. `interface` where each director has its own."""

    name: str
    address: str | None = None
    address6: str | None = None
    interface: str | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        return tuple(address for address in (self.address, self.address6) if address is not None)

    def learn(self, address: str) -> None:
        """Take the address if none of its family is known."""
        if ":" in address:
            self.address6 = self.address6 or address
        else:
            self.address = self.address or address


def find_directors(
    given: Mapping[str, Sequence[str]], sources: Sequence[Source], notes: Notebook
) -> dict[str, Director]:
    """Find the directors of the sources and those whose addresses were given (name -> addresses)."""
    names = dict.fromkeys([*(source.director for source in sources if source.director is not None), *given])
    directors = {name: Director(name) for name in names}
    for name, addresses in given.items():
        for address in addresses:
            directors[name].learn(address.partition("/")[0])
    for source in sources:
        if source.director is not None:
            _from_source(directors[source.director], source, notes)
    _from_peers(directors, sources, notes)
    for director in directors.values():
        if not director.addresses:
            place = next((source.place for source in sources if source.director == director.name), Place("", 0))
            said = f"the address of {director.name} is written nowhere"
            notes.wrong(place, "directors", said, f"give it with --address {director.name}=ADDRESS")
    return directors


def _from_source(director: Director, source: Source, notes: Notebook) -> None:
    for family in (4, 6):
        sent = Counter(
            one.source
            for one in source.instances
            if one.source is not None and ipaddress.ip_address(one.source).version == family
        )
        if not sent:
            continue
        address = sent.most_common(1)[0][0]
        if len(sent) > 1:
            said = f"adverts are sent from {', '.join(sorted(sent))}, and {address} was taken as the director's address"
            notes.guessed(
                source.place, "mcast_src_ip", said, f"give another one with --address {director.name}=ADDRESS"
            )
        director.learn(address)


def _from_peers(directors: Mapping[str, Director], sources: Sequence[Source], notes: Notebook) -> None:
    """Give the one peer that nobody is to the one director without address, family by family."""
    known = {address for director in directors.values() for address in director.addresses}
    peers: dict[str, tuple[Place, set[str]]] = {}
    for source in sources:
        for instance in source.instances:
            for peer in instance.peers:
                peers.setdefault(peer, (instance.place, set()))[1].add(source.director or "")
    left = {peer: said for peer, said in peers.items() if peer not in known}
    for peer, (place, sayers) in left.items():
        same = [other for other in left if (":" in other) == (":" in peer)]
        candidates = [one for one in directors.values() if not one.addresses and one.name not in sayers]
        if len(same) == 1 and len(candidates) == 1:
            candidates[0].learn(peer)
        else:
            said = f"{peer} is a director that is not among those given"
            way_out = f"import its file too (--director NAME=FILE), or give --address NAME={peer}"
            notes.guessed(place, "unicast_peer", said, way_out)
