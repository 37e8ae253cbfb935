"""The scheduler of probes: how soon a failure is found, that targets do not fall into step, and that one does not hold up others."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lbminion.health.outcome import CannotProbe, Outcome, Target
from lbminion.health.probes import Ask, asker
from lbminion.health.watches import Probe, Watches
from lbstates.checks import Check, TcpCheck

from .answering import nobody, serving, silent

NOWHERE = Path("/nonexistent")
SOON = 10.0


class Log:
    """What a scheduler said, with the time of it."""

    def __init__(self, ask: Ask | None = None, most_at_once: int = 100) -> None:
        self.outcomes: list[tuple[Probe, Outcome, float, float]] = []
        self._told = asyncio.Event()
        self.watches = Watches(ask or asker(NOWHERE), self._heard, lambda _, why: None, most_at_once)

    def _heard(self, probe: Probe, outcome: Outcome, began: float) -> None:
        self.outcomes.append((probe, outcome, began, time.monotonic()))
        self._told.set()

    def of(self, probe: Probe) -> list[tuple[Outcome, float, float]]:
        """Outcome, begin and end of each probe of one target."""
        return [(outcome, began, ended) for each, outcome, began, ended in self.outcomes if each == probe]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until what was said is enough."""
        async with asyncio.timeout(SOON):
            while not enough():
                self._told.clear()
                await self._told.wait()


@asynccontextmanager
async def watching(*probes: Probe, ask: Ask | None = None, most_at_once: int = 100) -> AsyncIterator[Log]:
    """Probe some targets."""
    log = Log(ask, most_at_once)
    log.watches.follow(probes)
    try:
        yield log
    finally:
        log.watches.close()
        await asyncio.sleep(0)


def tcp(target: Target, **fields: float) -> Probe:
    return Probe(target, TcpCheck(**({"interval": 0.2, "timeout": 0.1} | fields)))


async def accept(*_: object) -> None:
    """Take a connection, and close it."""


@asynccontextmanager
async def standstills() -> AsyncIterator[Callable[[], float]]:
    """By how many seconds this loop was late in all: that is the machine's fault, and not the scheduler's."""
    loop, late = asyncio.get_running_loop(), 0.0

    async def look() -> None:
        nonlocal late
        while True:
            due = loop.time() + 0.01
            await asyncio.sleep(0.01)
            late += max(loop.time() - due, 0.0)

    task = loop.create_task(look())
    try:
        yield lambda: late
    finally:
        task.cancel()


async def test_a_target_is_probed_within_each_interval() -> None:
    """Never later than that, and a little earlier by chance."""
    async with standstills() as late, serving(accept) as target, watching(probe := tcp(target)) as log:
        await log.until(lambda: len(log.outcomes) >= 8)
    begun = [began for _, began, _ in log.of(probe)]
    pauses = [later - sooner for sooner, later in itertools.pairwise(begun)]
    assert all(0.17 < pause < 0.25 + late() for pause in pauses)
    assert len({round(pause, 4) for pause in pauses}) > 1
    assert all(outcome.passed for outcome, *_ in log.of(probe))


@pytest.mark.pitfall("H5")
@pytest.mark.parametrize("kind", ["closed", "silent"])
async def test_a_failure_is_found_within_interval_times_fall_and_a_timeout(kind: str) -> None:
    """Of a port that was closed, and of a host that says nothing any more."""
    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    target = Target(*server.sockets[0].getsockname())
    fall, probe = 3, tcp(target)
    async with standstills() as late, watching(probe) as log:
        await log.until(lambda: len(log.outcomes) >= 2)
        if kind == "silent":
            log.watches.close()
            with silent() as gone:
                probe = tcp(gone)
                log.watches.follow([probe])
                died = time.monotonic()
                await log.until(lambda: len(log.of(probe)) >= fall)
        else:
            server.close()
            await server.wait_closed()
            died = time.monotonic()
            await log.until(lambda: sum(not outcome.passed for outcome, *_ in log.of(probe)) >= fall)
    server.close()
    outcomes = [(outcome, ended) for outcome, _, ended in log.of(probe) if not outcome.passed]
    expected = "no answer within 0.1 s" if kind == "silent" else "connection refused"
    assert [outcome.reason for outcome, _ in outcomes[:fall]] == [expected] * fall
    # A probe that was due while the loop stood still is given that time besides.
    assert outcomes[fall - 1][1] - died < 0.2 * fall + 0.1 + 0.1 + 2 * late()


async def test_a_target_that_hangs_holds_up_no_other() -> None:
    async with serving(accept) as target:
        with silent() as gone:
            slow, quick = tcp(gone, timeout=1.0, interval=1.0), tcp(target)
            async with watching(slow, quick) as log:
                await log.until(lambda: len(log.of(slow)) >= 1)
            assert len(log.of(quick)) >= 3


async def test_many_targets_do_not_fall_into_step() -> None:
    """Their probes are spread over the interval, from the first round on."""
    probes = [tcp(Target(f"127.0.1.{number}", 1), interval=0.5) for number in range(100)]

    async def ask(_: Target, __: Check) -> Outcome:
        return Outcome(True, "")

    async with standstills() as late, watching(*probes, ask=ask) as log:
        await log.until(lambda: len(log.outcomes) >= 400)
    begun = sorted(began for _, _, began, _ in log.outcomes[100:400])
    tenths = [int((began - begun[0]) * 20) for began in begun]
    at_once = max(tenths.count(tenth) for tenth in set(tenths))
    assert at_once < 60 + 200 * late(), "of 300 probes in about 30 twentieths of a second"


async def test_no_more_than_so_many_probes_are_under_way() -> None:
    """The others get their turn."""
    under_way, most = 0, 0

    async def ask(_: Target, __: Check) -> Outcome:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return Outcome(True, "")

    probes = [tcp(Target(f"127.0.1.{number}", 1)) for number in range(20)]
    async with watching(*probes, ask=ask, most_at_once=3) as log:
        await log.until(lambda: all(log.of(probe) for probe in probes))
    assert most == 3


async def test_what_this_host_cannot_ask_is_no_outcome(caplog: pytest.LogCaptureFixture) -> None:
    """The real server keeps its verdict; it is said once."""
    asked = 0

    async def ask(_: Target, __: Check) -> Outcome:
        nonlocal asked
        asked += 1
        if asked < 4:
            raise CannotProbe("too many open files")
        return Outcome(True, "")

    async with watching(tcp(Target("127.0.0.1", 1)), ask=ask) as log:
        await log.until(lambda: bool(log.outcomes))
    assert asked == 4
    assert caplog.text.count("too many open files") == 1


async def test_a_bug_in_a_probe_is_a_failure_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def ask(_: Target, __: Check) -> Outcome:
        raise ZeroDivisionError

    async with watching(tcp(Target("127.0.0.1", 1)), ask=ask) as log:
        await log.until(lambda: len(log.outcomes) >= 2)
    assert log.outcomes[0][1].reason == "a bug of the probe: ZeroDivisionError"
    assert "ZeroDivisionError" in caplog.text


async def test_a_process_that_slept_through_a_timeout_holds_nobody_for_dead() -> None:
    """A loop that was held up for longer than the timeout finds the answer that came meanwhile."""
    held_up = False

    async def ask(target: Target, check: Check) -> Outcome:
        nonlocal held_up
        reader, writer = await asyncio.open_connection(target.address, target.port)
        writer.write(b"?")
        if not held_up:
            held_up = True
            await asyncio.sleep(0)
            time.sleep(0.4)  # noqa: ASYNC251 - that is what happens
        await asyncio.sleep(0.01)
        await reader.readexactly(1)
        writer.close()
        return Outcome(True, check.kind)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))
        await writer.drain()
        writer.close()

    async with serving(answer) as target, watching(tcp(target, interval=1.0), ask=ask) as log:
        await log.until(lambda: bool(log.outcomes))
    assert log.outcomes[0][1].passed


async def test_a_process_that_is_always_late_finds_the_dead_all_the_same() -> None:
    """A host under load shall not keep them in by its being slow."""

    async def ask(_: Target, __: Check) -> Outcome:
        return await asyncio.get_running_loop().create_future()

    async def be_late() -> None:
        while True:
            time.sleep(0.12)  # noqa: ASYNC251 - that is what happens
            await asyncio.sleep(0)

    late = asyncio.get_running_loop().create_task(be_late())
    try:
        async with watching(tcp(Target("127.0.0.1", 1), interval=0.25), ask=ask) as log:
            await log.until(lambda: bool(log.outcomes))
    finally:
        late.cancel()
    assert not log.outcomes[0][1].passed


async def test_following_others_keeps_those_that_stay() -> None:
    """They are not probed anew; who is gone is not probed any more."""
    async with serving(accept) as target:
        stays, goes, comes = tcp(target), tcp(nobody()), tcp(target._replace(address="127.0.0.2"))
        async with watching(stays, goes) as log:
            await log.until(lambda: bool(log.of(stays)) and bool(log.of(goes)))
            log.watches.follow([stays, comes])
            count = len(log.of(goes))
            before = len(log.of(stays))
            await log.until(lambda: len(log.of(comes)) >= 3)
        assert len(log.of(goes)) == count
        begun = [began for _, began, _ in log.of(stays)]
        assert begun[before] - begun[before - 1] > 0.17


async def test_one_may_be_probed_at_once() -> None:
    async with serving(accept) as target, watching(probe := tcp(target, interval=60.0)) as log:
        await log.until(lambda: len(log.outcomes) == 1)
        log.watches.hurry(probe)
        await log.until(lambda: len(log.outcomes) == 2)
        log.watches.hurry(tcp(nobody()))
    assert len(log.outcomes) == 2


async def test_a_probe_that_was_under_way_is_not_heard_of_after_its_end() -> None:
    with silent() as gone:
        async with watching(probe := tcp(gone, timeout=0.2)) as log:
            await asyncio.sleep(0.05)
            log.watches.follow([])
            await asyncio.sleep(0.3)
    assert log.of(probe) == []


async def test_a_probe_that_is_ended_before_it_began_gives_its_place_back() -> None:
    """Else pushes one after the other would use the places up."""

    async def ask(_: Target, __: Check) -> Outcome:
        return Outcome(True, "")

    async with watching(ask=ask, most_at_once=2) as log:
        for number in range(10):
            log.watches.follow([Probe(Target("127.0.1.1", number), TcpCheck(interval=0.1, timeout=0.1))])
            for watch in log.watches._watches.values():
                watch._begin()  # its time has come, in the very moment of the push
        log.watches.follow([probe := tcp(Target("127.0.1.2", 1))])
        await log.until(lambda: bool(log.of(probe)))


async def test_a_verdict_that_fails_does_not_end_the_watching(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with its traceback."""
    told = asyncio.Event()
    times = 0

    def heard(*_: object) -> None:
        nonlocal times
        times += 1
        if times > 1:
            told.set()
        raise ZeroDivisionError

    async def ask(_: Target, __: Check) -> Outcome:
        return Outcome(True, "")

    watches = Watches(ask, heard, lambda _, why: None)
    watches.follow([tcp(Target("127.0.1.1", 1))])
    async with asyncio.timeout(SOON):
        await told.wait()
    watches.close()
    await asyncio.sleep(0)
    assert "ZeroDivisionError" in caplog.text
