"""control: what it makes of dumps that are late, or that never come. (keepalived and its dump are stand-ins here.)"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from lbminion.duties import Duties
from lbminion.errors import NoAnswer
from lbminion.keepalived import control, dump, process
from lbminion.keepalived.control import Control, Occurrence
from lbminion.keepalived.dump import InstanceDump
from lbminion.keepalived.errors import DumpFailed
from lbminion.keepalived.manager import Child
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.presumption import presumed_masters
from lbminion.keepalived.transitions import State, Transition
from lbminion.keepalived.waiting import until
from lbstates import keepalived_conf
from lbstates.balancing import IpvsOptions, SyncOptions
from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.kinds.address import Address
from lbstates.kinds.keepalived import Keepalived
from lbstates.kinds.sync_daemon import SyncDaemon, SyncRole
from lbstates.plan import Change, diff, index
from lbstates.resources import resources_for
from lbstates.vrrp import Vip, VrrpInstance

SYNC = SyncOptions(7)
VIP, OTHER = Address("eth1", "10.0.0.200/32"), Address("eth1", "10.0.0.201/32")
STATE = DirectorState(
    "c", {"d1": Host("10.0.0.1"), "d2": Host("10.0.0.2")},
    (
        VrrpInstance("web", 51, (Vip(VIP.address), Vip(OTHER.address)), {"d1": 200, "d2": 100}),
        VrrpInstance("mail", 52, (Vip("10.0.0.210/32"),), {"d1": 120, "d2": 100}),
    ),
    (), ipvs=IpvsOptions(sync=SYNC, backup_only=True),
)  # fmt: skip
FACTS = HostFacts({"10.0.0.1": "eth1"}, "2.2.8", "/run/lbminion/vrrp.fifo")
TEXT = keepalived_conf.render(STATE, "d1", FACTS)
AGAIN = 0.01
SECONDS = 10.0


class Stage:
    """A keepalived that runs (it is this process), whose dump says or fails what a test says; and what was told."""

    def __init__(self, folder: Path) -> None:
        self.paths = KeepalivedPaths.under(folder, folder / "keepalived.conf")
        self.paths.config.write_text(TEXT)
        self.instances: dict[str, State] = {"web": "MASTER", "mail": "BACKUP"}
        self.fails: Exception | None = None
        self.lines: list[str] = []
        self.dumps = 0
        self.present: list[Address] = []
        self.unreadable: Exception | None = None
        self.told: list[Occurrence] = []
        self.control = Control(self.paths, Child(), self.told.append, self.addresses)

    async def dump(self, *_: object) -> dict[str, InstanceDump] | None:
        """Answer what is so when the signal comes; what the FIFO says then is of later."""
        self.dumps += 1
        if self.fails is not None:
            raise self.fails
        answer = {name: InstanceDump(state, 100, (), {}) for name, state in self.instances.items()}
        if self.lines:
            self.say(self.lines.pop(0))
        return answer

    def say(self, line: str) -> None:
        """As keepalived writes into its FIFO."""
        _, name, state, _ = line.split()
        self.instances[name.strip('"')] = state  # type: ignore[assignment]
        descriptor = os.open(self.paths.fifo, os.O_WRONLY)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)

    async def addresses(self) -> list[Address]:
        if self.unreadable is not None:
            raise self.unreadable
        return self.present

    def now(self) -> dict[str, str]:
        return dict(self.control.states.states)

    def transitions(self, instance: str) -> list[str]:
        return [it.state for it in self.told if isinstance(it, Transition) and it.instance == instance]


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    running = process._look(os.getpid())
    monkeypatch.setattr(control, "find", lambda _: running)
    monkeypatch.setattr(control, "_AGAIN_SECONDS", AGAIN, raising=False)
    monkeypatch.setattr(dump, "read", stage.dump)
    yield stage
    stage.control.close()


async def test_a_dump_that_is_older_than_a_transition_does_not_overrule_it(stage: Stage) -> None:
    """The instance became MASTER while the answer was waited for: it is asked again, and nothing else is told."""
    stage.instances["web"] = "BACKUP"
    await stage.control.open()
    stage.lines = ['INSTANCE "web" MASTER 100']
    await stage.control.look()
    assert stage.now() == {"web": "MASTER", "mail": "BACKUP"}
    assert stage.transitions("web") == ["BACKUP", "MASTER"]


async def test_where_no_dump_is_ever_new_enough_the_fifo_is_believed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its dumps say BACKUP for ever, and a line that says MASTER comes with each of them."""
    stage.instances["web"] = "BACKUP"
    await stage.control.open()

    async def late(*_: object) -> dict[str, InstanceDump]:
        stage.say('INSTANCE "web" MASTER 100')
        return {"web": InstanceDump("BACKUP", 100, (), {})}

    monkeypatch.setattr(dump, "read", late)
    assert await stage.control.look() is None
    assert stage.now()["web"] == "MASTER"
    assert stage.transitions("web") == ["BACKUP", "MASTER"]


async def test_a_transition_during_a_reload_is_not_overruled_either(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reload ends with a dump, too."""
    stage.instances["web"] = "BACKUP"
    await stage.control.open()

    async def reload(*_: object) -> dict[str, InstanceDump] | None:
        answer = await stage.dump()
        stage.say('INSTANCE "web" MASTER 100')
        return answer

    monkeypatch.setattr(control, "reload", reload)
    # Of somebody else: that is not tested by keepalived, which would miss the interfaces here.
    assert (await stage.control.put(Keepalived("! mine\n", running=True))).action == "reloaded"
    assert stage.now() == {"web": "MASTER", "mail": "BACKUP"}
    assert stage.transitions("web") == ["BACKUP", "MASTER"]


async def test_a_director_that_has_the_vips_is_master_where_keepalived_cannot_say_it(stage: Stage) -> None:
    """Its /tmp is full, say. Only with all of an instance's VIPs; what keepalived says later counts more."""
    stage.fails = DumpFailed("no space left on device")
    stage.present = [VIP, OTHER]
    await stage.control.open()
    assert stage.told == [Transition("web", "MASTER", 200, None)]
    stage.instances = {"web": "BACKUP", "mail": "BACKUP"}
    stage.fails = None
    assert await until(lambda: stage.transitions("web") == ["MASTER", "BACKUP"], SECONDS)
    assert stage.transitions("mail") == ["BACKUP"]


async def test_keepalived_is_asked_again_until_it_answers_and_then_no_more(stage: Stage) -> None:
    """Not only when the minion starts."""
    stage.fails = DumpFailed("no space left on device")
    await stage.control.open()
    assert stage.told == []
    assert await until(lambda: stage.dumps > 2, SECONDS)
    stage.fails = None
    assert await until(lambda: stage.now() == {"web": "MASTER", "mail": "BACKUP"}, SECONDS)
    later = stage.control._later
    assert later is not None
    assert await until(later.done, SECONDS)


@pytest.mark.parametrize("unreadable", [NoAnswer("the kernel did not answer"), OSError("no buffer space")])
async def test_addresses_that_cannot_be_read_do_not_keep_the_minion_from_starting(
    stage: Stage, unreadable: Exception
) -> None:
    """It knows nothing then, and asks keepalived again."""
    stage.fails, stage.unreadable = DumpFailed("no space left on device"), unreadable
    await stage.control.open()
    assert stage.told == []
    stage.fails = None
    assert await until(lambda: stage.now() == {"web": "MASTER", "mail": "BACKUP"}, SECONDS)


@pytest.mark.parametrize("heard", ["BACKUP", "FAULT"])
async def test_what_the_fifo_says_of_an_instance_counts_more_than_its_vips(stage: Stage, heard: str) -> None:
    """keepalived is just taking them away."""
    stage.fails = DumpFailed("no space left on device")

    async def leaving() -> list[Address]:
        stage.say(f'INSTANCE "web" {heard} 100')
        return [VIP, OTHER]

    stage.control._addresses = leaving
    await stage.control.open()
    assert stage.transitions("web") == [heard]


class Jobs:
    """Takes the place of the reconciler."""

    def ask(self, job: object) -> None: ...

    def cluster(self) -> str:
        return "c"


@pytest.mark.pitfall("R9")
async def test_r9_a_restart_on_the_master_leaves_the_sync_daemon_as_it_is(stage: Stage) -> None:
    """Taken for a backup, the kernel would balance nothing until the dump succeeds."""
    nothing: Any = None
    duties = Duties(
        nothing, nothing, Jobs(), nothing, stage.paths, lambda *_: None, nothing, nothing, nothing, nothing  # type: ignore[arg-type]
    )  # fmt: skip
    stage.control._tell = duties.occurred
    stage.fails = DumpFailed("no space left on device")
    stage.present = [VIP, OTHER]
    await stage.control.open()
    assert _planned(duties.masters, "master") == ()
    assert [change.verb for change in _planned(frozenset(), "master")] == ["add", "remove"]
    stage.fails = None
    assert await until(lambda: set(duties.roles) == {"web", "mail"}, SECONDS)
    assert _planned(duties.masters, "master") == ()
    assert duties.roles["web"].vips == ("10.0.0.200/32", "10.0.0.201/32")


def _planned(masters: frozenset[str], runs: SyncRole) -> tuple[Change, ...]:
    """What would change at the sync daemons, where one with this role runs."""
    facts = HostFacts(FACTS.interfaces, FACTS.keepalived_version, FACTS.fifo, masters=masters)
    here = index([SyncDaemon(runs, 7, "eth1", SYNC.maximum_length, SYNC.group, SYNC.port, SYNC.ttl)])
    plan = diff(index(resources_for(STATE, "d1", facts)), here, here)
    return tuple(change for change in plan if change.kind == "sync_daemon")


@pytest.mark.parametrize(
    ("present", "known", "masters"),
    [
        ({VIP, OTHER}, (), [("web", 200)]),
        ({VIP, OTHER, Address("eth1", "10.0.0.210/32")}, ("web",), [("mail", 120)]),
        ({VIP}, (), []),
        ({Address("lo", VIP.address), Address("tunl0", VIP.address), OTHER}, (), []),
    ],
)
def test_whoever_has_all_vips_of_an_instance_where_they_belong_is_its_master(
    present: set[Address], known: tuple[str, ...], masters: list[tuple[str, int]]
) -> None:
    """A real server has them on `lo` and on devices of tunnels."""
    assert [(it.name, it.priority) for it in presumed_masters(TEXT, present, known)] == masters


def test_of_somebody_elses_file_nothing_is_presumed() -> None:
    """Its VIPs are written in ways of which only some are known here."""
    assert presumed_masters(TEXT.partition("\n")[2], {VIP, OTHER}, ()) == ()
