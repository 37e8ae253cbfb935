"""What only shows between the hosts of a cluster: what each minion's doctor sent, compared, and what the master saw. Pure.

The facts are named in docs/doctor.md; one that is missing says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from lbwire.messages import Symptom

Facts = Mapping[str, Mapping[str, str]]
"""Host -> name of a fact -> its text."""

_PUSH: Final = "push again; `lbminion plan` on the host shows what differs"


class Conclusion(NamedTuple):
    """A symptom, and the hosts that it concerns."""

    hosts: tuple[str, ...]
    symptom: Symptom


class Contest(NamedTuple):
    """What somebody kept changing back on a host, `times` in `seconds`; not `open`: it has settled."""

    host: str
    kind: str
    identities: tuple[str, ...]
    times: int
    seconds: float
    open: bool


def contested(contests: Iterable[Contest]) -> list[Conclusion]:
    """Tell the contests that have not settled since; they are given oldest first."""
    last: dict[tuple[str, str], Contest] = {}
    for contest in contests:
        for identity in contest.identities:
            last[contest.host, f"{contest.kind} {identity}"] = contest
    return [
        Conclusion(
            (host,),
            Symptom(
                "I2", "error", what, f"repaired {it.times} times in {it.seconds:.0f} s, and changed back each time",
                "somebody else on that host manages the same thing: it flaps between two states",
                "find and stop the other writer (`lbminion doctor` there names known ones), or take it out of the cluster file",
            ),
        )
        for (host, what), it in sorted(last.items())
        if it.open
    ]  # fmt: skip


def copied(addresses: Mapping[str, Sequence[str]]) -> list[Conclusion]:
    """Tell whose key two hosts use; host -> where they are, first the one that is heard."""
    return [
        Conclusion(
            (host,),
            Symptom(
                "S10", "error", "key", f"two hosts use it: {heard}, which is heard, and {' and '.join(others)}, which is not",
                "one was copied from the other (a cloned virtual machine): the copy does what this host is told, and nobody sees how it is",
                "on the copy stop lbminion, empty /var/lib/lbminion, and `lbminion join` under a name of its own; if you do "
                "not know it, the key was stolen: see docs/security.md",
            ),
        )
        for host, (heard, *others) in sorted(addresses.items())
    ]  # fmt: skip


def conclude(facts: Facts, directors: Sequence[str], instances: Mapping[str, Sequence[str]]) -> list[Conclusion]:
    """Compare what the hosts of a cluster told; `instances` are its VRRP instances with their VIPs."""
    of_directors = {name: facts[name] for name in directors if name in facts}
    return [
        *_two_holders(of_directors, instances),
        *_wrong_answers(facts, of_directors, instances),
        *_different_elections(of_directors, instances),
        *_equal_priorities(of_directors, instances),
        *_different_tables(of_directors),
        *_different_synchronisation(of_directors),
        *_wrong_gateways(facts, of_directors, instances),
    ]


def _two_holders(directors: Facts, instances: Mapping[str, Sequence[str]]) -> Iterator[Conclusion]:
    for instance in instances:
        holders = tuple(name for name, told in directors.items() if instance in told.get("holds", "").split())
        if len(holders) > 1:
            yield Conclusion(
                holders,
                Symptom(
                    "V1", "error", instance, f"its VIPs are on {' and '.join(holders)} at once",
                    "two directors are MASTER: clients reach either, by chance",
                    "let the directors hear each other: allow IP protocol 112 between them; compare VRID and auth_pass",
                ),
            )  # fmt: skip


def _wrong_answers(facts: Facts, directors: Facts, instances: Mapping[str, Sequence[str]]) -> Iterator[Conclusion]:
    """Who answered ARP for a VIP, as others saw it, against who holds it."""
    owner = {mac: name for name, told in facts.items() for mac in told.get("macs", "").split()}
    for instance, vips in instances.items():
        holders = [name for name, told in directors.items() if instance in told.get("holds", "").split()]
        for vip in (vip.partition("/")[0] for vip in vips):
            for mac, seen_by in sorted(_answering(facts, vip).items()):
                host = owner.get(mac)
                if not holders or mac.startswith("00:00:5e:00:") or host in holders:
                    continue
                yield Conclusion(
                    (host or seen_by,),
                    Symptom(
                        "R2", "error", vip, f"{host or 'an unknown host'} ({mac}) answers ARP for it, as {seen_by} saw; {holders[0]} holds it",
                        "clients reach that host past the director: connections work sometimes",
                        f"on {host or 'the host with that MAC'}: sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; `lbminion doctor` there",
                    ),
                )  # fmt: skip


def _answering(facts: Facts, vip: str) -> dict[str, str]:
    """MAC -> a host that saw it answer."""
    return {mac: name for name, told in facts.items() for mac in told.get(f"arp {vip}", "").split()}


_ELECTION: Final = (
    ("lists", "V4", "other VIPs advertised", "keepalived up to 2.3.2 drops the other's advertisements: two MASTERs"),
    ("vips", "V4", "other lists of VIPs", "a VIP that one of them does not have is gone while that one is MASTER"),
    ("advertises", "V5", "other advertisements", "in version 2 they are dropped: two MASTERs; in 3 a failover is late"),
    ("vrid", "V1", "other virtual router ids", "they do not hear each other: two MASTERs"),
)


def _different_elections(directors: Facts, instances: Mapping[str, Sequence[str]]) -> Iterator[Conclusion]:
    for instance in instances:
        for fact, pitfall, what, means in _ELECTION:
            yield from _different(directors, f"{fact} {instance}", pitfall, instance, what, means, _PUSH)


def _equal_priorities(directors: Facts, instances: Mapping[str, Sequence[str]]) -> Iterator[Conclusion]:
    for instance in instances:
        by_priority: dict[str, list[str]] = {}
        for name, told in directors.items():
            if priority := told.get(f"priority {instance}"):
                by_priority.setdefault(priority, []).append(name)
        for priority, names in sorted(by_priority.items()):
            if len(names) > 1:
                yield Conclusion(
                    tuple(names),
                    Symptom(
                        "V6", "error", instance, f"priority {priority} on {' and '.join(names)}",
                        "who is MASTER is decided by the addresses, not by you", _PUSH,
                    ),
                )  # fmt: skip


def _different_tables(directors: Facts) -> Iterator[Conclusion]:
    yield from _different(
        directors, "ipvs", "S7", "IPVS table", "other tables",
        "after a failover clients find other services or weights",
        "`lbmaster reconcile CLUSTER`; if it comes back, somebody writes to the table: `lbminion doctor` on each",
    )  # fmt: skip


def _different_synchronisation(directors: Facts) -> Iterator[Conclusion]:
    """Every director sends and receives, all with one id, group and port."""
    told = {
        f"{name} {role}": of.get(f"sync {role}", "") for name, of in directors.items() for role in ("master", "backup")
    }
    if len(directors) > 1 and any(told.values()) and len(set(told.values())) > 1:
        seen = "; ".join(f"{who}: {what or 'does not run'}" for who, what in sorted(told.items()))
        yield Conclusion(
            tuple(directors),
            Symptom(
                "I11", "error", "sync daemons", seen,
                "the directors do not take over each other's connections: a failover cuts them",
                "`lbmaster reconcile CLUSTER`; allow UDP to the group and port between the directors",
            ),
        )  # fmt: skip


def _wrong_gateways(facts: Facts, directors: Facts, instances: Mapping[str, Sequence[str]]) -> Iterator[Conclusion]:
    masqueraded = {address for told in directors.values() for address in told.get("masquerades", "").split()}
    masqueraded = {address for address in masqueraded if ":" not in address}  # the facts tell IPv4's gateways only
    ways = {address for told in directors.values() for address in told.get("addresses", "").split()}
    ways |= {vip.partition("/")[0] for vips in instances.values() for vip in vips}
    for name, told in sorted(facts.items()):
        mine = masqueraded.intersection(told.get("addresses", "").split())
        gateways = told.get("gateways", "").split()
        if mine and "gateways" in told and not ways.intersection(gateways[:1]):
            yield Conclusion(
                (name,),
                Symptom(
                    "I7", "error", "default gateway",
                    f"{gateways[0] if gateways else 'there is none'}, which is no director; masquerading sends to {min(mine)}",
                    "answers go past the director, with the real server's own address: clients drop them",
                    "let the default route of this host go to a director, best to a VIP that they share",
                ),
            )  # fmt: skip


def _different(
    directors: Facts, fact: str, pitfall: str, subject: str, what: str, means: str, repair: str
) -> Iterator[Conclusion]:
    told = {name: of[fact] for name, of in directors.items() if fact in of}
    if len(set(told.values())) > 1:
        seen = f"{' and '.join(told)} have {what}: " + "; ".join(f"{name}: {text}" for name, text in told.items())
        yield Conclusion(tuple(told), Symptom(pitfall, "error", subject, seen[:1000], means, repair))
