from __future__ import annotations

import asyncio
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest
from tests.master.cli.scripted import Master

from lbmaster import client

DOC = Path(__file__).parents[3] / "docs" / "alerting.md"


async def take(stream: AsyncGenerator[client.Event, None], number: int) -> list[int]:
    """The cursors of the next events, within a bound."""
    cursors = []
    async with asyncio.timeout(20):
        while len(cursors) < number:
            cursors.append((await anext(stream)).cursor)
    return cursors


async def test_from_the_beginning_every_event_comes_once_in_order(master: Master) -> None:
    """since=0; what happens meanwhile follows what was there."""
    for _ in range(100):
        master.happens("minion.started")
    async with aclosing(client.events(0, socket=master.events_socket)) as stream:
        first = await take(stream, 100)
        for _ in range(100):
            master.happens("minion.started")
        second = await take(stream, 100)

    assert first + second == list(range(1, 201))


async def test_an_event_is_a_frozen_value_with_its_data(master: Master) -> None:
    """All that the journal says of it."""
    master.happens("keepalived.started", by="operator")
    async with aclosing(client.events(0, socket=master.events_socket)) as stream:
        event = await anext(stream)

    assert event == client.Event(
        1, "netology3", 1, 1, "keepalived.started", 1700000000.25, 1700000000.5, "netology", {"by": "operator"}
    )
    with pytest.raises(AttributeError):
        event.cursor = 2  # type: ignore[misc]


async def test_since_none_is_only_what_comes(master: Master) -> None:
    """What was there before the first connection is skipped."""
    master.happens("minion.started")
    async with aclosing(client.events(socket=master.events_socket)) as stream:
        coming = asyncio.create_task(anext(stream))
        await asyncio.to_thread(master.wait_for_follower)
        master.happens("minion.started")

        assert (await asyncio.wait_for(coming, 20)).cursor == 2


async def test_a_restart_of_the_master_loses_and_repeats_nothing(scripted: Master) -> None:
    """Also what happened while it was away; since=None keeps its "now" of the first connection."""
    async with aclosing(client.events(socket=scripted.events_socket)) as stream:
        with scripted.running():
            coming = asyncio.create_task(take(stream, 3))
            await asyncio.to_thread(scripted.wait_for_follower)
            first = [scripted.happens("minion.started") for _ in range(3)]
            assert await coming == first
        for restart in range(3):
            missed = [scripted.happens("minion.started") for _ in range(2)]
            with scripted.running():
                coming = asyncio.create_task(take(stream, 3))
                await asyncio.to_thread(scripted.wait_for_follower, restart + 2)
                assert await coming_after(scripted, coming) == [*missed, missed[-1] + 1]


async def coming_after(scripted: Master, coming: asyncio.Task[list[int]]) -> list[int]:
    scripted.happens("minion.started")
    return await coming


async def test_a_restart_before_the_first_event_loses_nothing(scripted: Master) -> None:
    """ "Now" was when the subscriber first connected, not when it connected again."""
    scripted.happens("minion.started")
    async with aclosing(client.events(socket=scripted.events_socket)) as stream:
        with scripted.running():
            coming = asyncio.create_task(take(stream, 1))
            await asyncio.to_thread(scripted.wait_for_follower)
        scripted.happens("minion.started")
        with scripted.running():
            assert await coming == [2]


async def test_it_waits_for_a_master_that_does_not_run_yet(scripted: Master) -> None:
    """Services start in any order."""
    scripted.happens("minion.started")
    async with aclosing(client.events(0, socket=scripted.events_socket)) as stream:
        coming = asyncio.create_task(take(stream, 1))
        await asyncio.sleep(0)
        with scripted.running():
            assert await coming == [1]


async def test_events_that_a_server_repeats_are_skipped(scripted: Master) -> None:
    """Each cursor is handed over once, whatever comes."""
    notes = [
        {"note": {"cursor": cursor, "minion": "", "boot": 1, "sequence": cursor, "type": "minion.started",
                  "time": 0.0, "received": 0.0, "cluster": "", "data": {}}}
        for cursor in (1, 2, 2, 1, 3)
    ]  # fmt: skip
    scripted.answers["events"] = [*notes]
    with scripted.running():
        async with aclosing(client.events(0, limit=3, socket=scripted.events_socket)) as stream:
            assert [event.cursor async for event in stream] == [1, 2, 3]


async def test_filters_are_the_masters(master: Master) -> None:
    """Types are globs."""
    for event_type, minion in (("vrrp.transition", "a"), ("failover", ""), ("vrrp.transition", "b")):
        master.happens(event_type, minion=minion)
    stream = client.events(0, follow=False, types=["vrrp.*"], hosts=["b"], socket=master.events_socket)

    assert [event.cursor async for event in stream] == [3]


async def test_without_follow_it_ends(master: Master) -> None:
    """After what there is."""
    master.happens("minion.started")

    assert [event.cursor async for event in client.events(0, follow=False, socket=master.events_socket)] == [1]


async def test_without_follow_no_master_is_an_error(tmp_path: Path) -> None:
    """Nobody would wait for it."""
    with pytest.raises(client.Unreachable, match="is it running"):
        await anext(client.events(follow=False, socket=tmp_path / "nobody.sock"))


async def test_a_refusal_is_an_error(scripted: Master) -> None:
    """Trying again would not help."""
    scripted.answers["events"] = [{"error": {"kind": "bad_request", "text": "types: not a list"}}]
    with scripted.running(), pytest.raises(client.RequestRefused, match="not a list") as caught:
        await anext(client.events(0, socket=scripted.events_socket))

    assert caught.value.kind == "bad_request"


@pytest.mark.parametrize("note", [{"cursor": 1}, {}])
async def test_an_event_that_is_none_is_an_error(scripted: Master, note: dict[str, object]) -> None:
    """The missing field is named."""
    scripted.answers["events"] = [{"note": note}]
    with scripted.running(), pytest.raises(client.NotUnderstood, match="an event without"):
        await anext(client.events(0, socket=scripted.events_socket))


async def test_fields_of_a_newer_master_are_skipped(scripted: Master) -> None:
    """Fields may be added to the protocol."""
    scripted.happens("minion.started")
    scripted.journal[0]["colour"] = "blue"
    with scripted.running():
        stream = client.events(0, follow=False, socket=scripted.events_socket)
        assert [event.cursor async for event in stream] == [1]


def test_a_loop_that_is_left_early_leaves_nothing_open(master: Master, caplog: pytest.LogCaptureFixture) -> None:
    """`break` and the end of the event loop: no warning, no error in the log."""
    master.happens("minion.started")

    async def main() -> None:
        async for _ in client.events(0, socket=master.events_socket):
            break

    with caplog.at_level(logging.INFO):
        asyncio.run(main())

    assert caplog.records == []


def test_call_returns_the_result_and_hands_over_notes(master: Master) -> None:
    """For scripts that ask something else than events."""
    master.answers["push"] = [{"note": {"phase": "staged"}}, {"result": {"outcome": "converged"}}]
    notes: list[client.Json] = []

    result = client.call("push", {"text": "", "by": None}, socket=master.socket, on_note=notes.append)

    assert (result, notes) == ({"outcome": "converged"}, [{"phase": "staged"}])
    assert master.requests == [{"verb": "push", "text": ""}]


def test_a_silent_master_is_not_waited_for_for_ever(master: Master) -> None:
    """`patience` seconds without a line."""
    end = threading.Event()
    master.answers["ping"] = lambda _: [{"result": {}}] if end.wait(20) else []
    try:
        with pytest.raises(client.BrokenOff, match="silent"):
            client.call("ping", socket=master.socket, patience=0.05)
    finally:
        end.set()


def test_a_request_beyond_the_limit_is_not_sent(master: Master) -> None:
    """The master would hang up in the middle of it."""
    with pytest.raises(client.ConversationError, match="the limit is"):
        client.call("push", {"text": "x" * (8 * 1024 * 1024)}, socket=master.socket)

    assert master.requests == []


def script() -> str:
    """The script in docs/alerting.md."""
    found = re.search(r"```python\n(.*?)```", DOC.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def test_the_alerting_script_has_ten_lines() -> None:
    """As promised in its title; blank lines are not counted."""
    assert len([line for line in script().splitlines() if line]) <= 10


def test_the_alerting_script_works_and_resumes(master: Master, tmp_path: Path) -> None:
    """Started again it goes on after the last event that it told of; quiet types are not told."""
    program, place = tmp_path / "alert.py", tmp_path / "cursor"
    # A logger that is there on every machine, and writes where the test can read it.
    program.write_text(script().replace('["logger", "-s", "-p", "daemon.alert", ', '["echo", '))
    place.write_text("0")
    master.happens("minion.started", minion="netology1")
    master.happens("failover", minion="", instance="web")

    assert alert(program, place, master) == " failover {'instance': 'web'}\n"
    master.happens("minion.lost", minion="netology2")
    assert alert(program, place, master) == "netology2 minion.lost {}\n"
    assert place.read_text() == "3"


def alert(program: Path, place: Path, master: Master) -> str:
    """Run the script until it has told of one event."""
    command = [sys.executable, str(program), str(place), str(master.events_socket)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline()
        expected, deadline = str(len(master.journal)), time.monotonic() + 20
        while place.read_text() != expected and time.monotonic() < deadline:
            time.sleep(0.005)
        process.kill()
    return told
