"""What probes find gets into the kernel whatever else ails the host. (The host here is a stand-in.)"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path

import msgspec
import pytest
from tests.minion.scene import HOST, Scene, StandIn

from lbminion.errors import ChangeError, HostError
from lbminion.jobs import Look
from lbstates.balancing import ServiceDestination, VirtualService
from lbstates.checks import Check, TcpCheck
from lbstates.desired import DirectorState, DriftPolicy, Host, RoleState, encode_state
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.kinds.sysctl import Sysctl
from lbstates.plan import Plan, Resources
from lbstates.resources import HostFacts

VIP = "172.28.128.200"
SERVERS = tuple(ServiceDestination(f"172.28.128.{number}", 80, 10, "masquerade") for number in (31, 32, 33))
CHECK = TcpCheck()
WEB = VirtualService("tcp", VIP, 80, "wrr", SERVERS, check=CHECK)
A, B, C = (WEB.identity_of(it) for it in SERVERS)


class Director(StandIn):
    """Its changes end at the first kind that is refused, as on a real host; `lost`: its facts cannot be learned."""

    def __init__(self) -> None:
        super().__init__()
        self.refused_kind = ""
        self.lost: Exception | None = None

    async def facts(self, *, packet_rules: bool = False) -> HostFacts:
        if self.lost is not None:
            raise self.lost
        return HostFacts({"172.28.128.10": "eth0"}, "2.2.8", "/run/lbminion/vrrp.fifo")

    async def observe_table(self, _wanted: object) -> Resources:
        return {kind: dict(self.has[kind]) for kind in ("service", "destination")}

    async def apply(self, plan: Plan) -> list[ChangeError]:
        for kind, changes in groupby(plan, key=lambda change: change.kind):
            if kind == self.refused_kind:
                return [ChangeError(kind, change.identity, "read-only file system") for change in changes]
            await super().apply(tuple(changes))
        return []

    def weights(self) -> dict[str, int]:
        """By the identity of the destination, of the service that is watched."""
        found = self.has["destination"]
        return {
            key: it.weight for key, it in found.items() if isinstance(it, Destination) and it.service == WEB.identity
        }


class Found:
    """What probes have found, as a test says."""

    def __init__(self) -> None:
        self.given: dict[str, int] = {}
        self.present: frozenset[str] = frozenset()

    def weights(self, _states: Iterable[RoleState], _facts: HostFacts) -> Mapping[str, int]:
        return dict(self.given)

    def follow(self, states: Iterable[RoleState], facts: HostFacts) -> Mapping[str, int]:
        return self.weights(states, facts)

    def seen(self, observed: Resources) -> None:
        """Where the kernel leads probes by the VIP is asked for by that."""
        self.present = frozenset(observed["destination"])


@pytest.fixture
def found() -> Found:
    return Found()


@pytest.fixture
def scene(tmp_path: Path, found: Found) -> Scene:
    return Scene(tmp_path, Director(), found)


def release(scene: Scene, generation: int, drift: DriftPolicy = "heal", check: Check | None = CHECK) -> None:
    service = msgspec.structs.replace(WEB, check=check)
    state = DirectorState("c", {HOST: Host("172.28.128.10")}, (), (service,), drift=drift)
    scene.take(generation, encode_state(state), role="director")
    scene.holdings.release("c", generation)


async def pushed(scene: Scene, drift: DriftPolicy = "heal", check: Check | None = CHECK) -> None:
    release(scene, 1, drift, check)
    scene.reconciler.ask(Look("push", "c"))
    await scene.until("state.applied")
    await scene.idle()


async def looked(scene: Scene, trigger: str = "health") -> None:
    scene.reconciler.ask(Look(trigger))
    await scene.idle()


async def test_a_change_that_is_refused_keeps_no_dead_real_server_in(scene: Scene, found: Found) -> None:
    """Nor a living one out: all weights that follow from probes are set, or the pool might be emptied."""
    with scene.running():
        await pushed(scene)
        key = "net/ipv4/vs/conn_reuse_mode"
        scene.host.has["sysctl"][key] = Sysctl(key, "1")
        scene.host.refused_kind = "sysctl"
        found.given = {A: 0}
        await looked(scene)
        assert scene.host.weights() == {A: 0, B: 10, C: 10}
        found.given = {B: 0, C: 0}
        await looked(scene)
        assert scene.host.weights() == {A: 10, B: 0, C: 0}
        unhealed = await scene.until("drift.unhealed")
    assert [step.identity for step in unhealed.remaining] == [key]


@pytest.mark.parametrize("drift", ["heal", "report"])
async def test_a_host_of_which_nothing_can_be_derived_goes_on_with_what_was_derived_last(
    scene: Scene, found: Found, drift: DriftPolicy
) -> None:
    """A network device was taken out, say: real servers behind the others die all the same."""
    with scene.running():
        await pushed(scene, drift)
        scene.host.lost = HostError("links", "the kernel does not answer")
        for given, weights in (({A: 0}, (0, 10, 10)), ({}, (10, 10, 10)), ({B: 0}, (10, 0, 10))):
            found.given = given
            await looked(scene)
            assert tuple(scene.host.weights()[it] for it in (A, B, C)) == weights
        scene.host.lost = None
        await looked(scene, "timer")
    assert scene.host.weights() == {A: 10, B: 0, C: 10}
    assert "drift.found" not in dict(scene.said)


async def test_a_host_that_cannot_be_read_goes_on_too(scene: Scene, found: Found) -> None:
    """What changed there meanwhile is not taken for a change of today, second after second."""
    with scene.running():
        await pushed(scene)
        scene.host.broken = HostError("nftables", "no such file or directory")
        found.given = {A: 0}
        await looked(scene)
        assert scene.host.weights() == {A: 0, B: 10, C: 10}
        scene.host.looks.clear()
        scene.reconciler.tick()
        await scene.idle()
        assert not scene.host.looks.is_set()


@pytest.mark.parametrize("drift", ["heal", "report"])
async def test_a_host_that_could_never_be_read_goes_on_too(
    scene: Scene, found: Found, drift: DriftPolicy, tmp_path: Path
) -> None:
    """The service began when the obstacle was there: probes by the VIP begin, and what they find is done."""
    with scene.running():
        await pushed(scene, drift)
    found.present = frozenset()
    again = Scene(tmp_path, scene.host, found)
    again.host.broken = HostError("nftables", "no such file or directory")
    with again.running():
        await looked(again, "start")
        assert found.present == {A, B, C}
        for given, weights in (({A: 0}, (0, 10, 10)), ({}, (10, 10, 10)), ({B: 0}, (10, 0, 10))):
            found.given = given
            await looked(again)
            assert tuple(again.host.weights()[it] for it in (A, B, C)) == weights
        again.host.broken = None
        await looked(again, "timer")
    assert again.host.weights() == {A: 10, B: 0, C: 10}
    assert "drift.found" not in dict(again.said)


async def test_only_what_probes_found_before_is_put_right_on_a_host_that_could_never_be_read(
    scene: Scene, found: Found, tmp_path: Path
) -> None:
    """Once, when the service begins, as anywhere; a weight that somebody sets later waits where drift is only reported."""
    with scene.running():
        await pushed(scene, "report")
    found.given = {A: 0}
    again = Scene(tmp_path, scene.host, found)
    again.host.broken = HostError("nftables", "no such file or directory")
    with again.running():
        await looked(again, "start")
        assert again.host.weights() == {A: 0, B: 10, C: 10}
        again.host.has["destination"][B] = msgspec.structs.replace(again.host.has["destination"][B], weight=3)
        await looked(again, "timer")
    assert again.host.weights() == {A: 0, B: 3, C: 10}


async def test_what_leads_probes_is_asked_for_on_a_host_that_cannot_be_read(scene: Scene, found: Found) -> None:
    """Somebody took it away, and put it back."""
    with scene.running():
        await pushed(scene)
        scene.host.broken = HostError("nftables", "no such file or directory")
        there = scene.host.has["destination"].pop(A)
        await looked(scene)
        assert found.present == {B, C}
        scene.host.has["destination"][A] = there
        await looked(scene)
    assert found.present == {A, B, C}


async def test_only_weights_are_changed_on_a_host_that_cannot_be_read(scene: Scene, found: Found) -> None:
    """What somebody else changed there waits until it can be."""
    with scene.running():
        await pushed(scene)
        del scene.host.has["destination"][C]
        scene.host.has["destination"][B] = msgspec.structs.replace(scene.host.has["destination"][B], weight=3)
        scene.host.broken = HostError("nftables", "no such file or directory")
        found.given = {A: 0}
        await looked(scene)
    assert scene.host.weights() == {A: 0, B: 3}


async def test_a_full_disk_keeps_no_dead_real_server_in(scene: Scene, found: Found) -> None:
    """Although what is new on this host cannot be remembered as ours, and waits."""
    with scene.running():
        await pushed(scene)
        more = VirtualService("tcp", VIP, 81, "wrr", SERVERS)
        state = DirectorState("c", {HOST: Host("172.28.128.10")}, (), (WEB, more))
        scene.take(2, encode_state(state), role="director")
        scene.holdings.release("c", 2)
        scene.ledger._connection.execute("PRAGMA query_only = ON")
        found.given = {A: 0}
        await looked(scene)
    assert scene.host.weights() == {A: 0, B: 10, C: 10}
    assert more.identity not in scene.host.has["service"]


@pytest.mark.parametrize("kernel", [0, 10])
async def test_a_restart_puts_weights_right_where_drift_is_only_reported(
    scene: Scene, found: Found, kernel: int, tmp_path: Path
) -> None:
    """Killed between a change of a weight and the note of it: nothing would ever correct the one or the other."""
    with scene.running():
        await pushed(scene, "report")
    scene.host.has["destination"][A] = msgspec.structs.replace(scene.host.has["destination"][A], weight=kernel)
    found.given = {} if kernel == 0 else {A: 0}
    again = Scene(tmp_path, scene.host, found)
    with again.running():
        await looked(again, "start")
    assert again.host.weights()[A] == 10 - kernel


async def test_what_nobody_watches_is_only_reported_after_a_restart(scene: Scene, found: Found, tmp_path: Path) -> None:
    """Its weight is what the file says, and somebody changed it."""
    with scene.running():
        await pushed(scene, "report", None)
    scene.host.has["destination"][A] = msgspec.structs.replace(scene.host.has["destination"][A], weight=3)
    again = Scene(tmp_path, scene.host, found)
    with again.running():
        await looked(again, "start")
    assert again.host.weights()[A] == 3
    assert "drift.found" in dict(again.said)


async def test_weights_do_not_wait_for_a_service_that_somebody_keeps_changing(scene: Scene, found: Found) -> None:
    """Its scheduler waits; its real servers are there, and may die meanwhile."""
    with scene.running():
        await pushed(scene)
        right = scene.host.has["service"][WEB.identity]
        assert isinstance(right, Service)
        for _ in range(4):
            scene.host.has["service"][WEB.identity] = msgspec.structs.replace(right, scheduler="rr")
            await looked(scene, "timer")
        assert "drift.contested" in dict(scene.said)
        found.given = {A: 0}
        await looked(scene)
    assert scene.host.weights() == {A: 0, B: 10, C: 10}
