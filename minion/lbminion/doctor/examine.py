"""Examines this host: gathers what it shall be and is, has the probes look, and collects the verdicts. Changes nothing."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final, TypeVar

from lbminion.config import Config
from lbminion.handlers.keepalived import KeepalivedReader
from lbminion.health.verdicts import Verdicts, boot_id
from lbminion.holdings import Holdings
from lbminion.host import Host
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.ledger import Ledger
from lbminion.netlink.addresses import Addresses
from lbminion.parts import choose_manager_for, keepalived_paths
from lbminion.planner import Planner
from lbminion.status import masters
from lbminion.store import open_store
from lbminion.trust import Trust

from . import adverts, arp, arp_probe, differences, director, facts, real_server, sniff, starvation
from .adverts import Advert, Election
from .case import Case
from .reading import interfaces, keepalived_log, mac, text
from .symptom import Symptom, info

T = TypeVar("T")

MOST: Final = 200
"""Findings: an emptied table of thousands of entries would go beyond what fits into a message to the master."""
LONGEST: Final = 7.0
"""Seconds that listening takes at most; an election with a longer interval is not heard out."""
_INTERVALS: Final = 3.2
_MARGIN: Final = 0.3


@dataclass(frozen=True, slots=True)
class Examination:
    """What is wrong here, and what the master needs to see what is wrong between hosts."""

    symptoms: tuple[Symptom, ...]
    facts: dict[str, str]


async def examine(config: Config) -> Examination:
    """Look at this host for some seconds; works beside the running service and without it.

    Raises what `Planner` raises: without knowing what the host shall be there is nothing to compare with.
    """
    paths = keepalived_paths(config, choose_manager_for(config))
    case = await _case(config, paths)
    if not case.director and not case.real_server:
        return Examination((), {})
    before = starvation.ticks(text("/proc/stat"))
    cached = arp.neighbours(text("/proc/net/arp"))
    heard, answered, local, log = await asyncio.gather(
        asyncio.to_thread(_listen, case.elections()),
        asyncio.to_thread(_ask, case.arp_targets()),
        asyncio.to_thread(_local, case, paths),
        asyncio.to_thread(keepalived_log, paths),
    )
    found = [*differences.judge(case.plan, held=case.held), *local.symptoms, *heard.symptoms, *answered.symptoms]
    found += adverts.judge(case.elections(), heard.found, heard.seconds)
    found += _judge_answers(case, cached, answered.found)
    found += starvation.judge_steal(before, starvation.ticks(text("/proc/stat")))
    found += starvation.judge_log(starvation.recent(log, time.time()))
    told = local.facts | facts.of_answers({vip: answered.found.get(vip, set()) for vip in case.vips()})
    return Examination(_once(found), told)


async def examine_apart(config: Config) -> Examination:
    """The same in a thread with an event loop of its own: reading a large table must not hold up the service."""
    return await asyncio.to_thread(asyncio.run, examine(config))


async def _case(config: Config, paths: KeepalivedPaths) -> Case:
    connection = open_store(config.state)
    async with Addresses() as addresses:
        keepalived = KeepalivedReader(paths)
        host = Host(addresses, keepalived, lambda: masters(config.runtime))
        holdings = Holdings(connection, Trust(connection, config).stored)
        verdicts = Verdicts(connection, host.ipvs.in_use, config.name, boot_id())
        planner = Planner(config.name, host, holdings, Ledger(connection), verdicts)
        try:
            desired = await planner.desired()
            observed = await planner.observed(desired)
            states = [state for name, number in desired.released.items() for state in holdings.states(name, number)]
            plan = planner.diff(desired, observed)
            present = list((await addresses.dump()).values())
            foreign = planner.foreign(desired, observed)
            return Case(config.name, states, desired.resources, observed, plan, present, foreign, keepalived.held)
        finally:
            host.close()
            connection.close()


@dataclass(frozen=True, slots=True)
class _Local:
    symptoms: list[Symptom]
    facts: dict[str, str]


def _local(case: Case, paths: KeepalivedPaths) -> _Local:
    """What can be read at once."""
    macs = {name: mac(name) for name in interfaces()}
    pairs = [(it.interface, it.address.partition("/")[0]) for it in case.present]
    found, told = list[Symptom](), facts.of_interfaces(macs, pairs)
    if case.director:
        found += director.look(case, paths, platform.release())
        told |= director.tell(case)
    if case.real_server:
        found += real_server.look(case)
        told |= real_server.tell()
    return _Local(found, told)


@dataclass(frozen=True, slots=True)
class _Heard:
    found: dict[str, list[Advert]]
    seconds: dict[str, float]
    symptoms: list[Symptom]


def _listen(elections: Sequence[Election]) -> _Heard:
    """Listen on every interface that has an election."""
    seconds: dict[str, float] = {}
    for election in elections:
        wanted = min(LONGEST, _INTERVALS * election.interval + _MARGIN)
        seconds[election.interface] = max(wanted, seconds.get(election.interface, 0.0))
    found, symptoms = _each(
        {interface: _later(sniff.listen, interface, time) for interface, time in seconds.items()}, "V1", "VRRP"
    )
    return _Heard(found, {name: seconds[name] for name in found}, symptoms)


@dataclass(frozen=True, slots=True)
class _Answered:
    found: dict[str, set[str]]
    symptoms: list[Symptom]


def _ask(targets: Mapping[str, AbstractSet[str]]) -> _Answered:
    """Ask ARP on every interface."""
    found, symptoms = _each(
        {interface: _later(arp_probe.ask, interface, sorted(some)) for interface, some in targets.items()}, "R2", "ARP"
    )
    return _Answered({address: macs for of in found.values() for address, macs in of.items()}, symptoms)


def _judge_answers(case: Case, cached: Mapping[str, str], answers: Mapping[str, AbstractSet[str]]) -> Iterable[Symptom]:
    directors = {mac: name for address, name in case.peers.items() for mac in answers.get(address, ())}
    others = {mac: name for address, name in case.real_servers.items() for mac in answers.get(address, ())}
    vips = {vip: held for vip, held in case.vips().items() if vip in answers}
    for vip, held in vips.items():
        yield from arp.judge_answers(vip, answers[vip], held=held, directors=directors, others=others)
    yield from arp.judge_neighbours(cached, {vip: answers[vip] for vip, held in vips.items() if not held})


def _later(function: Callable[..., T], *arguments: object) -> Callable[[], T]:
    return lambda: function(*arguments)


def _each(jobs: Mapping[str, Callable[[], T]], pitfall: str, what: str) -> tuple[dict[str, T], list[Symptom]]:
    """Run a job per interface, side by side; one that cannot look is said, and the others go on."""
    found: dict[str, T] = {}
    symptoms: list[Symptom] = []
    with ThreadPoolExecutor(max(1, len(jobs))) as threads:
        running = {interface: threads.submit(job) for interface, job in jobs.items()}
    for interface, job in running.items():
        try:
            found[interface] = job.result()
        except OSError as error:
            symptoms.append(_blind(pitfall, interface, f"could not look at {what}: {error.strerror}"))
    return found, symptoms


def _blind(pitfall: str, interface: str, seen: str) -> Symptom:
    return info(
        pitfall, interface, seen, "whether something is wrong there is not known",
        "run as root (CAP_NET_RAW), with the interface up",
    )  # fmt: skip


def _once(symptoms: Iterable[Symptom]) -> tuple[Symptom, ...]:
    """Say each thing once, the worst first: a difference from the declared state and its effect are one thing."""
    order = {"error": 0, "warning": 1, "info": 2}
    first: dict[tuple[str, str], Symptom] = {}
    for symptom in symptoms:
        first.setdefault((symptom.id, symptom.subject), symptom)
    found = sorted(first.values(), key=lambda it: order[it.severity])
    more = len(found) - MOST
    if more <= 0:
        return tuple(found)
    rest = info(
        "S7", "findings", f"{more} more are not shown", "nobody reads them all: most have the same cause",
        "mend what is shown, and look again",
    )  # fmt: skip
    return (*found[:MOST], rest)
