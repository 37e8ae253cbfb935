"""virtual_server and virtual_server_group of keepalived.conf -> virtual services, with keepalived's own defaults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lbstates import words

from . import values
from .blocks import KEPT, Drop, Field, Table, drops, first, read_block
from .keepalived_checks import NO_SCRIPTS, OTHERS, RETRIES, TIMES, TRANSLATED, read_check
from .keepalived_vrrp import MAIL, SCRIPTS
from .neutral import Destination, Family, Forwarding, Persistence, Service, Sorry, Tunnel
from .remarks import Notebook, Place
from .tree import Statement
from .values import Wrong

DEFAULT_PERSISTENCE: Final = 360
"""Seconds; what keepalived takes where persistence is wanted without a time."""
MAX_THRESHOLD: Final = 2**31 - 1

_QUORUM: Final = Drop("quorums and backup pools are not supported", "it is kept as a comment; see `pool`", keep=True)
_EVERYBODY: Final = Drop("every director checks, whoever has the VIP", "no action is needed")
_TUNNEL_TYPES: Final = ("ipip", "gre", "gue")
_CHECKSUMS: Final = {"nocsum": "none", "csum": "full", "remcsum": "remote"}
_FLAGS: Final = ("flag-1", "flag-2", "flag-3", "sh-port", "sh-fallback", "mh-port", "mh-fallback")
_METHODS: Final[dict[str, Forwarding]] = {"NAT": "masquerade", "DR": "direct", "TUN": "tunnel"}
_PROTOCOLS: Final = {"TCP": "tcp", "UDP": "udp", "SCTP": "sctp"}


@dataclass(frozen=True, slots=True)
class GroupEntry:
    """A line of a virtual_server_group: addresses with a port, or a firewall mark."""

    addresses: tuple[str, ...]
    port: int
    mark: int
    family: Family | None
    place: Place
    of_group: bool = True


def _scheduler(statement: Statement) -> str:
    name = first(statement)
    if name not in words.SCHEDULERS:
        raise Wrong(f"{values.shown(name)} is no scheduler", f"one of {', '.join(words.SCHEDULERS)}")
    return name


def _method(statement: Statement) -> tuple[Forwarding, Tunnel | None]:
    name = first(statement)
    if name not in _METHODS:
        raise Wrong(f"{values.shown(name)} is no forwarding method", "write NAT, DR or TUN")
    if name != "TUN":
        return _METHODS[name], None
    kind, port, checksum = "ipip", 0, "none"
    arguments = iter(statement.arguments[1:])
    for word in arguments:
        if word == "type":
            kind = next(arguments, "")
        elif word == "port":
            port = values.integer(next(arguments, ""), 1, 65_535)
        elif word in _CHECKSUMS:
            checksum = _CHECKSUMS[word]
        else:
            raise Wrong(f"{values.shown(word)} is no option of a tunnel", "write type, port, csum, nocsum or remcsum")
    if kind not in _TUNNEL_TYPES:
        raise Wrong(f"{values.shown(kind)} is no type of tunnel", "write ipip, gre or gue")
    return "tunnel", Tunnel(kind, port if kind == "gue" else 0, checksum if kind != "ipip" else "none")


def _protocol(statement: Statement) -> str:
    name = first(statement).upper()
    if name not in _PROTOCOLS:
        raise Wrong(f"{values.shown(name)} is no protocol that is balanced", "write TCP, UDP or SCTP")
    return _PROTOCOLS[name]


def _timeout(statement: Statement) -> int:
    if not statement.arguments:
        return DEFAULT_PERSISTENCE
    return values.integer(statement.arguments[0], 1, values.MAX_TIMEOUT)


_METHOD: Final = Field("method", _method)
_SERVICE: Final = Table(
    "in a virtual_server",
    {
        "lvs_sched": Field("scheduler", _scheduler),
        "lb_algo": Field("scheduler", _scheduler),
        "lvs_method": _METHOD,
        "lb_kind": _METHOD,
        "protocol": Field("protocol", _protocol),
        "persistence_engine": Field("engine", first),
        "persistence_timeout": Field("timeout", _timeout),
        "persistence_granularity": Field("granularity", first),
        "ops": Field("ops", lambda s: values.truth(s.arguments)),
        "hashed": Field("hashed", lambda _: True),
        "ip_family": Field("family", lambda s: "ipv6" if first(s) == "inet6" else "ipv4"),
        "weight": Field("weight", lambda s: values.integer(first(s), 0, MAX_THRESHOLD)),
        "real_server": Field("real_servers", lambda s: s, many=True),
        "sorry_server": Field("sorry", lambda s: s),
        "sorry_server_lvs_method": Field("sorry_method", _method),
        **TIMES,
        **{flag: Field("flags", lambda s: s.keyword, many=True) for flag in _FLAGS},
    },
    {
        **drops(SCRIPTS, "quorum_up", "quorum_down", "failover_up", "failover_down"),
        **drops(MAIL, "smtp_alert"),
        **drops(
            _QUORUM,
            *("quorum", "hysteresis", "omega", "failover_threshold", "backup_real_server"),
        ),
        **drops(RETRIES, "delay_before_retry", "warmup"),
        **drops(_EVERYBODY, "ha_suspend"),
    },
    # A real server gets no weight before its first probe, and weight 0 when it fails, in any case.
    frozenset({"snmp_name", "nat_mask", "tun_type", "alpha", "inhibit_on_failure", "sorry_server_inhibit"}),
)
_REAL_SERVER: Final = Table(
    "in a real_server",
    {
        "weight": Field("weight", lambda s: values.integer(first(s), 0, MAX_THRESHOLD)),
        "lvs_method": _METHOD,
        "lb_kind": _METHOD,
        "uthreshold": Field("upper", lambda s: values.integer(first(s), 0, MAX_THRESHOLD)),
        "lthreshold": Field("lower", lambda s: values.integer(first(s), 0, MAX_THRESHOLD)),
        **TIMES,
        **{checker: Field("checkers", lambda s: s, many=True) for checker in TRANSLATED},
    },
    {
        **drops(SCRIPTS, "notify_up", "notify_down"),
        **drops(MAIL, "smtp_alert"),
        **drops(NO_SCRIPTS, *OTHERS),
        **drops(RETRIES, "delay_before_retry", "warmup"),
    },
    frozenset({"snmp_name", "alpha", "inhibit_on_failure"}),
)


def read_group(statement: Statement, notes: Notebook) -> tuple[GroupEntry, ...]:
    """Read a virtual_server_group."""
    found = []
    for line in statement.block or ():
        try:
            found.append(_group_entry(line))
        except Wrong as error:
            notes.dropped(line.place, "virtual_server_group", f"{error.wrong}, so it is left out", error.right)
    return tuple(found)


def _group_entry(line: Statement) -> GroupEntry:
    if line.keyword == "fwmark":
        family: Family | None = None
        if len(line.arguments) > 1:
            family = "ipv6" if line.arguments[1] == "inet6" else "ipv4"
        return GroupEntry((), 0, values.integer(first(line), 1, 2**31 - 1), family, line.place)
    port = values.integer(line.arguments[0], 0, 65_535) if line.arguments else 0
    return GroupEntry(tuple(values.addresses(line.keyword)), port, 0, None, line.place)


def read_services(
    statement: Statement, groups: dict[str, tuple[GroupEntry, ...]], notes: Notebook
) -> Iterator[Service]:
    """Yield the virtual services that a virtual_server makes: one, or one for each address and mark of its group."""
    try:
        entries = _entries(statement, groups)
    except Wrong as error:
        notes.wrong(statement.place, "virtual_server", f"{error.wrong}, so it is left out", error.right)
        return
    found = read_block(statement.block or (), _SERVICE, notes)
    if not found.get("real_servers"):
        said = "it has no real server, and keepalived makes no virtual service of it"
        notes.dropped(statement.place, "virtual_server", said, "add one")
        return
    for entry in entries:
        for address in entry.addresses or ("",):
            yield _service(statement.place, entry, address, found, notes)


def _entries(statement: Statement, groups: dict[str, tuple[GroupEntry, ...]]) -> tuple[GroupEntry, ...]:
    match statement.arguments:
        case ("group", name, *_):
            if name not in groups:
                raise Wrong(f"there is no virtual_server_group {values.shown(name)}", "define it")
            return groups[name]
        case ("fwmark", mark, *_):
            return (GroupEntry((), 0, values.integer(mark, 1, 2**31 - 1), None, statement.place, of_group=False),)
        case (address, *rest):
            port = values.integer(rest[0], 0, 65_535) if rest else 0
            return (GroupEntry((values.address(address),), port, 0, None, statement.place, of_group=False),)
        case _:
            raise Wrong("it has no address", "write address and port, fwmark and a number, or group and a name")


def _service(place: Place, entry: GroupEntry, address: str, found: dict[str, Any], notes: Notebook) -> Service:
    marked = entry.mark > 0
    if "method" not in found:
        notes.guessed(place, "lvs_method", "there is none, and keepalived takes NAT", "no action is needed")
    method: tuple[Forwarding, Tunnel | None] = found.get("method", ("masquerade", None))
    kept: list[str] = list(found.get(KEPT, ()))
    destinations = tuple(_destinations(entry, address, found, method, notes))
    family: Family = "ipv6" if ":" in address else "ipv4"
    if marked:
        family = entry.family or found.get("family") or _family(destinations)
    return Service(
        place=place,
        address=address,
        port=entry.port,
        protocol=None if marked else _protocol_of(place, found, notes),
        scheduler=found.get("scheduler", "wlc"),
        mark=entry.mark,
        family=family,
        flags=tuple(sorted(set(found.get("flags", ())))),
        persistence=_persistence(place, entry, family, found, notes),
        one_packet=_one_packet(place, entry, found, notes),
        destinations=destinations,
        kept=tuple(kept),
        sorry=_sorry(entry, found, notes),
    )


def _sorry(entry: GroupEntry, found: dict[str, Any], notes: Notebook) -> Sorry | None:
    statement: Statement | None = found.get("sorry")
    if statement is None:
        return None
    try:
        address, port = _endpoint(statement)
    except Wrong as error:
        notes.wrong(statement.place, "sorry_server", f"{error.wrong}, so it is left out", error.right)
        return None
    forwarding, _ = found.get("sorry_method", (None, None))
    return Sorry(address, 0 if port == entry.port else port, statement.place, forwarding)


def _family(destinations: tuple[Destination, ...]) -> Family:
    return "ipv6" if destinations and all(":" in one.address for one in destinations) else "ipv4"


def _protocol_of(place: Place, found: dict[str, Any], notes: Notebook) -> str:
    protocol = found.get("protocol")
    if protocol is None:
        notes.guessed(
            place, "protocol", "there is none, and keepalived takes UDP", "write `protocol: tcp` if TCP was meant"
        )
        return "udp"
    return str(protocol)


def _one_packet(place: Place, entry: GroupEntry, found: dict[str, Any], notes: Notebook) -> bool:
    if not found.get("ops"):
        return False
    if not entry.mark and found.get("protocol", "udp") != "udp":
        notes.dropped(place, "ops", "it is for UDP only, and keepalived ignores it here", "no action is needed")
        return False
    return True


def _persistence(
    place: Place, entry: GroupEntry, family: Family, found: dict[str, Any], notes: Notebook
) -> Persistence | None:
    timeout = found.get("timeout")
    if timeout is None and not entry.mark and not entry.port:
        notes.guessed(
            place, "virtual_server", "all ports need persistence, and keepalived takes 360 s", "no action is needed"
        )
        timeout = DEFAULT_PERSISTENCE
    if timeout is None:
        if found.keys() & {"granularity", "engine"}:
            notes.dropped(
                place, "persistence_granularity", "it does nothing without persistence_timeout", "no action is needed"
            )
        return None
    mask = None
    if "granularity" in found:
        try:
            mask = values.netmask(found["granularity"], family)
        except Wrong as error:
            notes.dropped(place, "persistence_granularity", error.wrong, error.right)
    full = 128 if family == "ipv6" else 32
    return Persistence(timeout, None if mask == full else mask, found.get("engine"))


def _destinations(
    entry: GroupEntry,
    vip: str,
    found: dict[str, Any],
    method: tuple[Forwarding, Tunnel | None],
    notes: Notebook,
) -> Iterator[Destination]:
    seen: set[tuple[str, int]] = set()
    for statement in found["real_servers"]:
        destination = _destination(statement, entry, vip, found, method, notes)
        if destination is None:
            continue
        key = (destination.address, destination.port)
        if key in seen:
            said = "the real server stands here again, and keepalived takes the first one"
            notes.dropped(statement.place, "real_server", said, "strike one of the two")
            continue
        seen.add(key)
        yield destination


def _destination(
    statement: Statement,
    entry: GroupEntry,
    vip: str,
    defaults: dict[str, Any],
    method: tuple[Forwarding, Tunnel | None],
    notes: Notebook,
) -> Destination | None:
    place = statement.place
    try:
        address, port = _endpoint(statement)
    except Wrong as error:
        notes.wrong(place, "real_server", f"{error.wrong}, so it is left out", error.right)
        return None
    found = read_block(statement.block or (), _REAL_SERVER, notes)
    forwarding, tunnel = found.get("method", method)
    around = {field.name: of[field.name] for field in TIMES.values() for of in (defaults, found) if field.name in of}
    if vip and forwarding != "tunnel" and values.family_of(address) != values.family_of(vip):
        said = f"{address} is of another family than {vip}, so it is left out"
        notes.wrong(place, "real_server", said, "only tunnels lead from one to the other")
        return None
    return Destination(
        address=address,
        port=_port(place, port, entry, forwarding, notes),
        place=place,
        forwarding=forwarding,
        weight=_weight(place, found.get("weight", defaults.get("weight", 1)), notes),
        upper=found.get("upper", 0),
        lower=found.get("lower", 0),
        tunnel=tunnel,
        checks=tuple(found.get(KEPT, ())),
        check=read_check(found.get("checkers", ()), around, address, notes),
        written_port=port,
    )


def _endpoint(statement: Statement) -> tuple[str, int]:
    address = values.address(first(statement))
    return address, values.integer(statement.arguments[1], 0, 65_535) if len(statement.arguments) > 1 else 0


def _port(place: Place, port: int, entry: GroupEntry, forwarding: Forwarding, notes: Notebook) -> int:
    """Resolve the port as keepalived and the kernel do: only masquerading leads to another one."""
    if forwarding == "masquerade":
        if entry.of_group and not entry.mark and not port:
            said = "keepalived gives real servers of a group port 0; the port of the service was taken"
            notes.guessed(place, "real_server", said, "no action is needed: the kernel does the same with port 0")
        return port if entry.mark else port or entry.port
    if port not in (0, entry.port):
        said = f"port {port} became {entry.port or 'that of the packet'}: only NAT leads to another port"
        notes.guessed(place, "real_server", said, "no action is needed: keepalived and the kernel do the same")
    return entry.port


def _weight(place: Place, weight: int, notes: Notebook) -> int:
    if weight > words.MAX_WEIGHT:
        notes.guessed(place, "weight", f"{weight} became {words.MAX_WEIGHT}", "smaller weights serve as well")
        return words.MAX_WEIGHT
    return weight
