"""One VRRP instance as keepalived.conf has it: the election, its VIPs, and what moves with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from . import keepalived_versions
from .desired import DirectorState
from .errors import CannotDerive
from .facts import HostFacts, existing, interface_of
from .keepalived_adjustments import sync_groups, tracking
from .keepalived_blocks import block
from .keepalived_versions import Version
from .kinds.service import Family, family_of
from .vrrp import Route, Rule, VrrpInstance

LIFE: Final = "lbminion"
"""The script that tells whether the minion lives."""

VIP_BLOCKS: Final = ("virtual_ipaddress", "virtual_ipaddress_excluded")
"""Where VIPs stand: those that the advertisements list, and the others, which move with them."""

# What keepalived itself would take, with a warning. Rules of equal priority are looked at in the order of their making.
_RULE_PRIORITY: Final = 16384
_EVERYTHING: Final[dict[Family, str]] = {"ipv4": "0.0.0.0/0", "ipv6": "::/0"}
"""keepalived takes the word "default" for IPv4 only."""


def render_instance(state: DirectorState, instance: VrrpInstance, host: str, facts: HostFacts) -> Iterator[str]:
    """Write the block of one instance on the director `host`. Raises `CannotDerive`."""
    version = keepalived_versions.known(host, facts.keepalived_version)
    yield from block(f"vrrp_instance {instance.name}", _body(state, instance, host, facts, version))


def _body(state: DirectorState, instance: VrrpInstance, host: str, facts: HostFacts, version: Version) -> Iterator[str]:
    interface = vrrp_interface(state, instance, host, facts)
    # BACKUP on every director: with `state MASTER` two of them start as masters, and nopreempt would be ignored.
    yield "state BACKUP"
    yield f"interface {interface}"
    yield f"version {instance.version}"
    yield f"virtual_router_id {instance.virtual_router_id}"
    yield f"priority {instance.priorities[host]}"
    yield f"advert_int {instance.advert_interval:g}"
    yield from _preemption(instance)
    yield from _peers(state, instance, host, interface, facts)
    if instance.auth_pass is not None:
        yield from block("authentication", ("auth_type PASS", f"auth_pass {instance.auth_pass}"))
    place = f"`track_interfaces` of the instance {instance.name}"
    tracked = {existing(host, name, place, facts) for name in instance.track_interfaces}
    # An election's own interface is tracked anyway; naming it again brings a warning.
    yield from block("track_interface", sorted(tracked - {interface}))
    # keepalived sets the weight of what is tracked to 0 where instances are in a group: the group has it instead.
    if instance.sync_group not in sync_groups(state):
        yield from block("track_script", (LIFE,) if facts.lock else ())
        yield from tracking(instance.name, facts)
    if instance.family == "ipv4":
        # Without it the kernel takes all other addresses of a network away together with the first one that came there:
        # where the director has no address of its own in the VIPs' network, a VIP that goes takes others along.
        yield "promote_secondaries"
    place = f"`interface` of a VIP of the instance {instance.name}"
    devices = {
        vip.address: interface if vip.interface is None else existing(host, vip.interface, place, facts)
        for vip in instance.vips
    }
    for name, some in zip(VIP_BLOCKS, (instance.advertised, instance.vips[len(instance.advertised) :]), strict=True):
        addresses = sorted(vip.address for vip in some)
        yield from block(name, (f"{address} dev {devices[address]}{_lifetime(address)}" for address in addresses))
    yield from block("virtual_routes", (_route(route, instance, host, facts, version) for route in instance.routes))
    yield from block("virtual_rules", (_rule(rule, place, instance) for place, rule in enumerate(instance.rules)))


def _lifetime(vip: str) -> str:
    """A VIP must not be the source of what the director itself sends: for IPv6 the kernel would choose it.

    Real servers drop wrapped packets that come from an address of theirs. (An IPv4 VIP is a secondary address.)
    """
    return " preferred_lft 0" if family_of(vip) == "ipv6" else ""


def vrrp_interface(state: DirectorState, instance: VrrpInstance, host: str, facts: HostFacts) -> str:
    """Return the interface on which `host` stands for election. Raises `CannotDerive`.

    The instance's comes first, then the director's, then the one with the director's address.
    """
    if instance.interface is not None:
        return existing(host, instance.interface, f"`interface` of the instance {instance.name}", facts)
    own = state.hosts[host].interface
    if own is not None:
        return existing(host, own, f"`interface` of the director {host} or under `vrrp`", facts)
    return interface_of(host, state.hosts[host], facts)


def _preemption(instance: VrrpInstance) -> Iterator[str]:
    # keepalived ignores a delay together with nopreempt, and says so.
    if not instance.preempt:
        yield "nopreempt"
    elif instance.preempt_delay:
        yield f"preempt_delay {instance.preempt_delay}"


def _peers(state: DirectorState, instance: VrrpInstance, host: str, interface: str, facts: HostFacts) -> Iterator[str]:
    peers = sorted(name for name in state.hosts if name != host)
    own = state.hosts[host].address_of(instance.family)
    if state.mode == "multicast" or not peers:
        # An IPv6 advertisement by multicast comes from a link-local address (RFC 5798): the interface's.
        # On an interface that does not have the director's address keepalived takes one that it has.
        if own is not None and instance.family == "ipv4" and facts.interfaces.get(own, interface) == interface:
            yield f"mcast_src_ip {own}"
        return
    yield f"unicast_src_ip {_address(state, instance, host)}"
    yield from block("unicast_peer", (_address(state, instance, name) for name in peers))


def _address(state: DirectorState, instance: VrrpInstance, name: str) -> str:
    """Return the address of a director for an election; without one of every director there would be two masters."""
    address = state.hosts[name].address_of(instance.family)
    if address is None:
        family = "IPv6" if instance.family == "ipv6" else "IPv4"
        raise CannotDerive(
            f"VRRP instance {instance.name}",
            f"{name} has no {family} address for an election by unicast",
            f"give {name} one in the cluster file (`address6` beside `address`), or use `mode: multicast`",
        )
    return address


def _route(route: Route, instance: VrrpInstance, host: str, facts: HostFacts, version: Version) -> str:
    words = [_EVERYTHING[instance.family] if route.to == "default" else route.to]
    if route.via is not None:
        words += ["via", route.via]
    if route.interface is not None:
        place = f"`interface` of a route of the instance {instance.name}"
        words += ["dev", existing(host, route.interface, place, facts)]
    if route.source is not None:
        words += ["src", route.source]
    if route.metric is not None:
        words += ["metric", str(route.metric)]
    if route.table is not None:
        words += ["table", str(route.table)]
    if route.interface is None and not keepalived_versions.can("track routes without interface", version):
        words.append("no_track")
    return " ".join(words)


def _rule(rule: Rule, place: int, instance: VrrpInstance) -> str:
    words = []
    # A rule without any network would be taken for one of IPv4.
    source = rule.source or (None if rule.to else "default")
    for word, network in (("from", source), ("to", rule.to)):
        if network is not None:
            words += [word, _EVERYTHING[instance.family] if network == "default" else network]
    priority = _RULE_PRIORITY + place if rule.priority is None else rule.priority
    return " ".join((*words, f"table {rule.table}", f"priority {priority}"))
