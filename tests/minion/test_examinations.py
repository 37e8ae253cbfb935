"""The master's question what is wrong here is answered, whatever happens while the host is looked at."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from lbminion import examinations
from lbminion.doctor.examine import Examination
from lbminion.errors import NoIpvs
from lbminion.examinations import Examinations
from lbwire.messages import Examined, FromMinion, Symptom

FOUND = Examination((Symptom("R2", "error", "10.0.0.100", "seen", "means", "repair"),), {"macs": "02:00:00:00:00:01"})


class Uplink:
    """What was sent."""

    def __init__(self) -> None:
        self.sent: list[Examined] = []
        self.grown = asyncio.Event()

    def send(self, message: FromMinion) -> bool:
        assert isinstance(message, Examined)
        self.sent.append(message)
        self.grown.set()
        return True

    async def answers(self, number: int) -> list[Examined]:
        async with asyncio.timeout(5):
            while len(self.sent) < number:
                self.grown.clear()
                await self.grown.wait()
        return self.sent


async def answered(examine: Callable[[], Awaitable[Examination]]) -> Examined:
    """The answer to one question."""
    uplink = Uplink()
    Examinations(examine, uplink.send).begin("web", 7)
    (answer,) = await uplink.answers(1)
    assert (answer.cluster, answer.command) == ("web", 7)
    return answer


async def test_what_was_found_is_sent() -> None:
    """Symptoms and facts."""

    async def examine() -> Examination:
        return FOUND

    answer = await answered(examine)
    assert (answer.symptoms, answer.facts, answer.error) == (FOUND.symptoms, FOUND.facts, "")


@pytest.mark.parametrize(
    ("problem", "says"),
    [(NoIpvs(), "modprobe ip_vs"), (OSError(13, "Permission denied"), "Permission denied"), (KeyError("x"), "a bug")],
)
async def test_what_keeps_a_host_from_being_examined_is_sent_too(problem: Exception, says: str) -> None:
    """What an operator can mend in its own words, a bug as such; the service goes on."""

    async def examine() -> Examination:
        raise problem

    answer = await answered(examine)
    assert says in answer.error
    assert answer.symptoms == ()


async def test_an_examination_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not come to an end says so."""
    monkeypatch.setattr(examinations, "SECONDS", 0.05)

    async def examine() -> Examination:
        await asyncio.Event().wait()
        return FOUND

    assert "more than" in (await answered(examine)).error


async def test_who_asks_while_it_is_looked_gets_the_same_answer() -> None:
    """One look at a time; who asks later gets another."""
    uplink, looks, go_on = Uplink(), [], asyncio.Event()

    async def examine() -> Examination:
        looks.append(1)
        await go_on.wait()
        return FOUND

    asked = Examinations(examine, uplink.send)
    asked.begin("web", 1)
    asked.begin("mail", 9)
    go_on.set()
    assert [(it.cluster, it.command) for it in await uplink.answers(2)] == [("web", 1), ("mail", 9)]
    assert len(looks) == 1
    asked.begin("web", 2)
    await uplink.answers(3)
    assert len(looks) == 2


async def test_an_examination_ends_with_the_service() -> None:
    """Also when none was ever asked for."""

    async def examine() -> Examination:
        await asyncio.Event().wait()
        return FOUND

    uplink = Uplink()
    asked = Examinations(examine, uplink.send)
    await asked.end()
    asked.begin("web", 1)
    await asked.end()
    assert uplink.sent == []
