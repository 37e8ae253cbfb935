"""Floods on the real sockets while a push goes through: it converges, and memory, log and journal stay bounded.

No speed is asserted: what the push takes with and without each flood is printed, with the flood's rate. But there has to be
a flood.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from benchmarks.bench.network import Network
from benchmarks.bench.processes import Processes

from lbmaster.refusals import TELL_SECONDS
from lbservice.keys import CurvePair
from tests.netns.cluster.place import MASTER, Host, Place, inside, until

from .flooder import FRAMES

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(300)]

PORTS = (7411, 7412, 7413)
BROADCAST, UPLINK, JOIN = PORTS
MOST_MEMORY_MB = 200
"""More than the master may have at the end of a flood, whatever it had before."""
MOST_LOG_BYTES = MOST_STORE_BYTES = 20 * 2**20
MOST_REFUSALS = 200
"""More than all floods of this module may leave in the master's log, in its database, and in its journal."""
FLOODER = Path(__file__).with_name("flooder.py")
FLOOR = {"handshakes": 5, "frames": FRAMES / 10, "garbage": 50}
"""So many each second only a flood misses that does not happen: a tenth of what is aimed at, or of a slow machine's rate."""
MOST_HALF_OPEN = 300


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A master, and two real servers that have joined; r2 is the captured one: its minion does not run."""
    folder = tmp_path_factory.mktemp("floods")
    with Network() as network, Processes(folder) as processes:
        place = Place(folder, network, processes)
        for name in ("d1", "r1", "r2"):
            place.host(name).join()
        for name in ("d1", "r1"):
            place.hosts[name].start()
        place.push_with(place.hosts["r1"])
        try:
            yield place
        finally:
            for host in place.hosts.values():
                host.end()


def resident(place: Place) -> float:
    """Read what the master has in memory, in MB."""
    text = Path(f"/proc/{place._master.pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def pushed(place: Place) -> float:
    """Push a file that changes both hosts; gives the seconds that it took to converge."""
    vips = {
        "www": "10.99.250.1",
        f"v{time.monotonic_ns() % 10**9}": f"10.99.250.{2 + time.monotonic_ns() // 1000 % 200}",
    }
    text = place.cluster_file(place.hosts["r1"], vips=vips)
    began = time.monotonic()
    place.push(text, timeout=120)
    return time.monotonic() - began


@contextmanager
def flooding(place: Place, kind: str, host: Host, *more: str) -> Iterator[Path]:
    """Run one attacker's process on a host; it counts what it has done in a file."""
    count = place.folder / f"{kind}.count"
    command = Network.within(host.namespace, sys.executable, str(FLOODER), kind, MASTER, str(count), *more)
    process = place.processes.start(f"flood-{kind}", [*command])
    try:
        until(lambda: count.exists() and int(count.read_text()) > 0, f"{kind}: the flood runs", 20)
        yield count
    finally:
        process.kill()
        process.wait()


def told(place: Place, capsys: pytest.CaptureFixture[str], what: str, figures: str) -> None:
    """Print what was measured."""
    with capsys.disabled():
        sys.stdout.write(f"\nflood: {what}: {figures}; master {resident(place):.0f} MB resident\n")


def keys_of(host: Host) -> CurvePair:
    """Read the key of a host: whoever captured it has it."""
    import zmq

    (file,) = host.state.rglob("*.key")
    secret = file.read_bytes().strip()
    return CurvePair(zmq.curve_public(secret), secret)


@pytest.mark.parametrize("kind", ["handshakes", "frames", "garbage"])
def test_a_push_converges_under_a_flood(place: Place, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """Handshakes with unknown keys and rubbish on every port, as fast as one can; 10,000 malformed messages of an accepted key.

    Malformed messages are counted, and no flood leaves much behind.
    """
    quiet, since = pushed(place), place.cursor()
    before = resident(place)
    attacker = place.hosts["r2"]
    more = [keys_of(attacker).secret.decode(), _server_key(place)] if kind != "garbage" else []
    with flooding(place, kind, attacker, *more) as count:
        first, began = int(count.read_text()), time.monotonic()
        loaded = pushed(place)
        # At least two seconds of it, so that the rate is one.
        until(lambda: time.monotonic() - began > 2, "the flood", 5)
        rate = (int(count.read_text()) - first) / (time.monotonic() - began)
        assert place.answers()
        assert resident(place) < MOST_MEMORY_MB
    told(
        place,
        capsys,
        kind,
        f"{rate:.0f} a second; push {quiet:.2f} s without, {loaded:.2f} s with it; {before:.0f} MB before",
    )
    assert rate > FLOOR[kind], f"no flood: {rate:.0f} {kind} a second"
    if kind == "frames":
        until(lambda: _refused(place, since) > FLOOR[kind], "what was refused is told, now and then", 3 * TELL_SECONDS)
    _left_little(place)


def _refused(place: Place, since: int) -> int:
    """Count the messages that the journal says were refused."""
    return sum(event["data"]["count"] for event in place.events("message.refused", since=since))


def _left_little(place: Place) -> None:
    """The log was not filled by what was refused, and neither was the journal."""
    logs = [file.stat().st_size for file in place.folder.glob("master*.log")]
    assert 0 < sum(logs) < MOST_LOG_BYTES, logs
    refused = place.events("message.refused")
    assert len(refused) < MOST_REFUSALS, len(refused)
    assert (place.folder / "state" / "store.sqlite").stat().st_size < MOST_STORE_BYTES


def test_a_push_converges_while_connections_are_held_half_open(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """Hundreds at every port that say nothing, or the first byte of a greeting: others are served all the same."""
    quiet, held = pushed(place), []
    for number in range(MOST_HALF_OPEN):

        def connect(port: int = PORTS[number % len(PORTS)]) -> socket.socket:
            return socket.create_connection((MASTER, port), timeout=10)

        held.append(inside(place.hosts["r2"].namespace, connect))
        if number % 2:
            held[-1].send(b"\xff")
    try:
        loaded = pushed(place)
        late = place.host("r3")
        late.join()
        assert resident(place) < MOST_MEMORY_MB
        told(
            place, capsys, f"{len(held)} half-open connections", f"push {quiet:.2f} s without, {loaded:.2f} s with them"
        )
        _left_little(place)
    finally:
        for one in held:
            with suppress(OSError):
                one.close()


def _server_key(place: Place) -> str:
    from lbservice.keys import from_fingerprint

    return from_fingerprint(place.fingerprint).decode()
