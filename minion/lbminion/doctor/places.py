"""Which addresses this host has and how: VIPs on lo (S1, R1), reach of real servers (R7), DAD (R10), gateway (I7). Pure."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection, Iterable, Mapping
from struct import pack

from lbstates.kinds.address import Address
from lbstates.kinds.destination import Destination

from .symptom import Symptom, error, info

_TENTATIVE, _FAILED = 0x40, 0x08


def networks(addresses: Iterable[Address]) -> dict[str, list[ipaddress.IPv4Network | ipaddress.IPv6Network]]:
    """Tell the prefixes that are connected, by interface; the loopback reaches nobody."""
    found: dict[str, list[ipaddress.IPv4Network | ipaddress.IPv6Network]] = {}
    for address in addresses:
        network = ipaddress.ip_interface(address.address).network
        if address.interface != "lo" and network.prefixlen < network.max_prefixlen:
            found.setdefault(address.interface, []).append(network)
    return found


def interface_to(bare: str, addresses: Iterable[Address]) -> str | None:
    """Tell on which interface a neighbour with this address is, by the connected prefixes; None: on none."""
    wanted = ipaddress.ip_address(bare)
    for interface, connected in networks(addresses).items():
        if any(wanted in network for network in connected):
            return interface
    return None


def judge_vips(wanted: Iterable[Address], present: Iterable[Address], held: Collection[str] = ()) -> Iterable[Symptom]:
    """Judge a real server's VIPs: on lo, with the mask of one address, and nowhere else.

    `held`: those (bare) that it has as MASTER, because it is a director too.
    """
    there = list(present)
    wanted = list(wanted)  # the same VIP may have to be on a tunnel's device, too
    for want in wanted:
        bare = _bare(want)
        same = [address for address in there if _bare(address) == bare]
        shall = {it.interface for it in wanted if _bare(it) == bare}
        wider = [it for it in same if it.interface == want.interface and it.address != want.address]
        elsewhere = [it for it in same if it.interface not in shall and bare not in held]
        if want not in same and not wider:
            yield error(
                "S1", want.identity, f"{bare} is not on {want.interface}",
                "what the director sends to this real server is dropped: requests hang",
                f"ip addr add {want.address} dev {want.interface}; the minion does it by itself while it runs",
            )  # fmt: skip
        for address in wider:
            yield error(
                "R1", address.identity, f"{bare} is on {address.interface} with the mask of a network",
                "this host takes the whole network for itself: it neither answers it nor reaches it",
                f"ip addr del {address.address} dev {address.interface}; ip addr add {want.address} dev {want.interface}",
            )  # fmt: skip
        for address in elsewhere:
            yield error(
                "R2", address.identity, f"the VIP is on {address.interface} of a real server too",
                "arp_ignore does not keep it silent there: this host answers ARP for the VIP",
                f"ip addr del {address.address} dev {address.interface}",
            )  # fmt: skip


def judge_reach(destinations: Iterable[Destination], addresses: Iterable[Address]) -> Iterable[Symptom]:
    """Judge a director's direct routing: real servers are reached by their MAC, so they have to be neighbours."""
    there = list(addresses)
    far = {it.address for it in destinations if it.forwarding == "direct" and interface_to(it.address, there) is None}
    for bare in sorted(far):
        yield error(
            "R7", bare, "this director has no address in the real server's network",
            "direct routing sends to its MAC address: behind a router it never arrives",
            "put director and real server into one network, or take `forwarding: tunnel`",
        )  # fmt: skip


def dad(text: str) -> dict[str, int]:
    """Read /proc/net/if_inet6: "interface address" -> flags."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) == 6:  # noqa: PLR2004 - the columns of the file
            bare = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(fields[0]))
            found[f"{fields[5]} {bare}"] = int(fields[4], 16)
    return found


def judge_dad(flags: Mapping[str, int], vips: Iterable[str]) -> Iterable[Symptom]:
    """Judge IPv6 VIPs (bare) that this host has: detection of duplicates must not have stopped them."""
    wanted = set(vips)
    for place, flag in sorted(flags.items()):
        interface, bare = place.split(" ")
        if bare not in wanted or not flag & (_FAILED | _TENTATIVE):
            continue
        state = "dadfailed: another host has the address" if flag & _FAILED else "tentative: not usable yet"
        yield error(
            "R10", place, state, "the kernel does not answer for the VIP",
            f"ip addr del {bare}/128 dev {interface}; ip addr add {bare}/128 dev {interface} nodad",
        )  # fmt: skip


def gateways(text: str) -> list[str]:
    """Read /proc/net/route: the gateways of the default routes, the best metric first."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == "00000000" and fields[7] == "00000000":  # noqa: PLR2004
            found.append((int(fields[6]), socket.inet_ntoa(pack("=I", int(fields[2], 16)))))
    return [gateway for _, gateway in sorted(found)]


def judge_gateway(found: Iterable[str], directors: Iterable[str], served: Iterable[str]) -> Iterable[Symptom]:
    """Judge a real server of masquerading (`served`: its services): answers must go back through a director.

    `directors`: the addresses of the directors. A VIP that they share is right, too, and is known to the master only, so
    this is no more than a hint.
    """
    known, some = set(directors), list(found)
    services = list(served)
    if services and not known.intersection(some[:1]):
        yield info(
            "I7", "default gateway", f"{some[0] if some else 'there is none'}, which is no address of a director itself",
            f"unless it is a VIP of theirs, answers of {', '.join(services[:3])} go past the director: clients drop them",
            "let the default route of this host go to a director, best to a VIP that they share; `lbmaster doctor` knows those",
        )  # fmt: skip


def _bare(address: Address) -> str:
    return address.address.partition("/")[0]
