"""Keys of people and programs: what each role may, over real sockets, and how a key ends."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from click.testing import CliRunner

from lbmaster import client, conversation
from lbmaster.audit import READS, SUBSCRIBERS, may
from lbmaster.cli.main import main
from lbmaster.config import Config
from lbmaster.network import read_key
from lbmaster.protocol import BrokenOff, Remote, RequestRefused, Unreachable
from lbservice.keys import CurvePair, fingerprint
from tests.master.conftest import WEB, Refusal, Site, eventually
from tests.master.fake_minion import new_keys

from .peers import connected


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A master that listens for clients, too."""
    return Config(
        listen="127.0.0.1", broadcast_port=0, uplink_port=0, join_port=0, client_port=0, clients=True, state_dir=tmp_path / "state",
        runtime_dir=tmp_path / "run", lease=1.0, beacon=0.2, split_brain_grace=0.5, reconcile_deadline=1.0, return_grace=2.0,
    )  # fmt: skip


async def remote(site: Site, role: str, name: str = "alice") -> Remote:
    """Make a key of a client, and say how to use it."""
    keys = new_keys()
    await site.ask("keys.client", name=name, role=role, public=fingerprint(keys.public))
    return Remote("127.0.0.1", site.ports["client"], site.server_key, keys.public, keys.secret)


async def ask(where: Remote, verb: str, **arguments: Any) -> dict[str, Any]:
    """Ask over the network, beside the master's own event loop."""
    return await asyncio.to_thread(conversation.call, verb, arguments, socket=where)


async def test_an_operator_pushes_from_another_host_and_is_journalled_with_name_and_address(site: Site) -> None:
    """By the key's name and the address of the connection; what the client says of itself stands beside it."""
    await site.cluster()
    since = (await site.event("push.finished"))["cursor"]
    where = await remote(site, "operator")
    pushed = await ask(where, "push", text=WEB, by="root", file="x.yaml")
    assert pushed["outcome"] == "converged"
    (acted,) = [e["data"] for e in await site.events("operator.acted", since=since) if e["data"]["verb"] == "push"]
    assert (acted["by"], acted["origin"], acted["what"]) == ("alice (says: root)", "127.0.0.1", "file=x.yaml")
    assert WEB not in str(acted)


async def test_a_local_operator_is_journalled_as_the_kernel_knows_him(site: Site) -> None:
    """Reading is not."""
    await site.ask("keys.token", ttl=60, name="a")
    await site.ask("status")
    (acted,) = [event["data"] for event in await site.events("operator.acted")]
    assert (acted["verb"], acted["by"]) == ("keys.token", "root")
    assert "on the master's host" in acted["origin"]


@pytest.mark.parametrize("role", ["subscriber", "operator"])
async def test_a_key_may_what_its_role_may_and_nothing_else(site: Site, role: str) -> None:
    """Every verb of the master is tried; a refused one changes nothing, and the attempt is journalled."""
    await site.cluster()
    where, before = await remote(site, role), (await site.ask("status"))["clusters"]["web"]["generation"]
    verbs = await _verbs(site)
    assert {"push", "keys.revoke", "keys.token", "drain", "status"} <= verbs
    refused = {verb for verb in verbs if not may(role, verb)}  # type: ignore[arg-type]
    assert refused == (verbs - SUBSCRIBERS if role == "subscriber" else {v for v in verbs if v.startswith("keys.")})
    for verb in sorted(refused):
        with pytest.raises(RequestRefused) as refusal:
            await ask(where, verb, text=WEB, name="r1", cluster="web")
        assert refusal.value.kind == "not_allowed"
    for verb in sorted((verbs - refused) & (READS - {"plan", "diff", "history", "events", "doctor", "rollout.status"})):
        await ask(where, verb)
    assert (await site.ask("status"))["clusters"]["web"]["generation"] == before
    assert (await site.event("message.refused", seconds=20))["data"]["reason"] == "not_allowed"


async def _verbs(site: Site) -> set[str]:
    with pytest.raises(Refusal) as refusal:
        await site.ask("there is no such verb")
    return set(str(refusal.value).partition("there are: ")[2].split(", "))


@pytest.mark.parametrize("endpoint", ["uplink", "broadcast"])
async def test_a_clients_key_is_no_minions(site: Site, endpoint: str) -> None:
    """It does not get past the handshake where minions speak."""
    where = await remote(site, "operator")
    assert not await _handshake(site, endpoint, CurvePair(where.public, where.secret))


async def test_a_minions_key_is_no_clients(site: Site) -> None:
    """Nor can it be made one."""
    minion = await site.minion("a")
    assert not await _handshake(site, "client", minion.keys)
    with pytest.raises(Refusal, match="is a minion's"):
        await site.ask("keys.client", name="a", role="operator", public=fingerprint(minion.keys.public))


async def test_a_stranger_is_not_answered_at_the_clients_endpoint(site: Site) -> None:
    """Neither with a key of its own nor without one."""
    assert not await _handshake(site, "client", new_keys())
    assert not await _handshake(site, "client", None)


async def _handshake(site: Site, endpoint: str, keys: CurvePair | None) -> bool:
    def tried() -> bool:
        with connected(zmq.DEALER, site.ports[endpoint], site.server_key, keys) as socket:
            failed = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED
            monitor = socket.get_monitor_socket(
                zmq.EVENT_HANDSHAKE_SUCCEEDED | failed | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            )
            assert monitor.poll(10_000)
            event = int.from_bytes(monitor.recv_multipart()[0][:2], "little")
            socket.disable_monitor()
            return event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    return await asyncio.to_thread(tried)


async def test_a_revoked_key_is_cut_off_in_the_middle_of_a_stream(site: Site) -> None:
    """Nothing more is heard, and it is not let in again; another key of the same name goes on."""
    old, new = await remote(site, "subscriber", "bob"), await remote(site, "subscriber", "bob")
    heard: dict[Remote, list[str]] = {old: [], new: []}
    tasks = [asyncio.create_task(_follow(where, heard[where])) for where in (old, new)]
    await site.ask("keys.token", ttl=60)
    await eventually(lambda: all(heard.values()))
    with pytest.raises(Refusal, match="several keys"):
        await site.ask("keys.revoke", name="bob")
    await site.ask("keys.revoke", fingerprint=fingerprint(old.public))
    count = len(heard[old])
    for _ in range(3):
        await site.ask("keys.token", ttl=60)
    await eventually(lambda: heard[new].count("operator.acted") >= 5)
    assert heard[old][count:] in ([], ["operator.acted"], ["operator.acted", "key.revoked"])
    with pytest.raises(Unreachable, match="not accepted"):
        await ask(old, "status")
    assert (await ask(new, "ping"))["product"]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(where: Remote, heard: list[str]) -> None:
    stream: AsyncIterator[client.Event]
    async with aclosing(client.events(0, socket=where)) as stream:
        async for event in stream:
            heard.append(event.type)  # noqa: PERF401 - as they come


async def test_requests_on_a_connection_that_was_revoked_are_not_answered(site: Site) -> None:
    """The connection goes on, unheard."""
    where = await remote(site, "operator")

    def talk() -> None:
        request = msgspec.json.encode({"verb": "ping"})
        with connected(zmq.DEALER, where.port, where.master, CurvePair(where.public, where.secret)) as socket:
            socket.send_multipart([b"1", request])
            assert socket.poll(10_000)
            socket.recv_multipart()
            asyncio.run_coroutine_threadsafe(site.ask("keys.revoke", name="alice"), loop).result(10)
            socket.send_multipart([b"2", request])
            assert not socket.poll(1000)

    loop = asyncio.get_running_loop()
    await asyncio.to_thread(talk)


@pytest.mark.parametrize(
    "frames", [[b""], [b"1"], [b"1", b"2", b"3"], [b"x" * 1000, b"{}"], [b"1", b"\xff" * 100], [b"1", b"[" * 100_000], [b"1", b'{"verb": 7}']]
)  # fmt: skip
async def test_rubbish_of_a_client_changes_nothing_and_the_endpoint_goes_on(site: Site, frames: list[bytes]) -> None:
    """At most it is answered with an error."""
    where = await remote(site, "operator")

    def talk() -> list[bytes]:
        with connected(zmq.DEALER, where.port, where.master, CurvePair(where.public, where.secret)) as socket:
            socket.send_multipart(frames)
            socket.send_multipart([b"ok", msgspec.json.encode({"verb": "ping"})])
            answers = []
            while not answers or answers[-1][0] != b"ok":
                assert socket.poll(10_000)
                answers.append(socket.recv_multipart())
            return [content for _, content in answers[:-1]]

    for content in await asyncio.to_thread(talk):
        assert json.loads(content)["error"]["kind"] == "bad_request"


async def test_a_client_that_does_not_read_costs_the_others_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is cut off after a while, with what waited for it; memory stays bounded."""
    caplog.set_level("INFO", "lbmaster.remote")
    monkeypatch.setattr("lbmaster.remote.SLOW_SECONDS", 1.0)
    minion = await site.minion("a")
    from lbwire.events import MinionStarted

    for number in range(40):
        minion.report(*(MinionStarted("x" * 4000) for _ in range(100)))
        await eventually(lambda number=number: minion.acks and minion.acks[-1][1] >= 100 * number + 100)
    slow, quick = await remote(site, "subscriber", "slow"), await remote(site, "subscriber", "quick")
    with connected(zmq.DEALER, slow.port, slow.master, CurvePair(slow.public, slow.secret), queue=1) as socket:
        socket.send_multipart([b"1", msgspec.json.encode({"verb": "events", "since": 0, "follow": True})])
        heard: list[str] = []
        follower = asyncio.create_task(_follow(quick, heard))
        await eventually(lambda: len(heard) >= 4000, 40)
        assert (await ask(quick, "ping"))["product"]
        await eventually(lambda: "slow at 127.0.0.1 is cut off" in caplog.text, 30)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)


async def test_a_key_has_a_bounded_number_of_requests_at_a_time(site: Site) -> None:
    """One more is refused, and those under way go on."""
    where = await remote(site, "subscriber")

    def talk() -> str:
        with connected(zmq.DEALER, where.port, where.master, CurvePair(where.public, where.secret)) as socket:
            for number in range(17):
                socket.send_multipart([b"%d" % number, msgspec.json.encode({"verb": "events", "follow": True})])
            while True:
                assert socket.poll(10_000)
                number, content = socket.recv_multipart()
                if content:
                    assert number == b"16"
                    return content.decode()

    assert "requests under way" in await asyncio.to_thread(talk)


async def test_the_command_makes_a_key_file_for_its_owner_only_and_uses_it(site: Site, tmp_path: Path) -> None:
    """The secret half is made by the command; the file is not readable for others, and none is overwritten."""
    control, file = site.config.control_socket, tmp_path / "alice.key"
    words = ["--socket", str(control), "keys", "client", "alice", "--role", "subscriber", "--out", str(file)]
    words += ["--address", "127.0.0.1"]
    made = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    secret = read_key(file).secret.decode()
    assert secret not in made.output
    again = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert "exists" in again.output
    shown = await asyncio.to_thread(CliRunner().invoke, main, ["--key", str(file), "status", "--json"])
    assert json.loads(shown.output)["unassigned"] == []
    refused = await asyncio.to_thread(CliRunner().invoke, main, ["--key", str(file), "keys", "list"])
    assert "not for a subscriber" in refused.output
    listed = await asyncio.to_thread(CliRunner().invoke, main, ["--socket", str(control), "keys", "list"])
    assert listed.output.split("\t")[:3] == ["alice", "subscriber", "accepted"] or "subscriber" in listed.output
    file.chmod(0o644)
    open_key = await asyncio.to_thread(CliRunner().invoke, main, ["--key", str(file), "status"])
    assert "readable for others" in open_key.output


async def test_a_stream_over_the_network_ends_with_the_master(site: Site) -> None:
    """And is resumed by the Python client when there is one again: the ports are others here, so it only ends."""
    where = await remote(site, "subscriber")
    await site.stop()
    with pytest.raises((BrokenOff, Unreachable)):
        await ask(where, "ping")
