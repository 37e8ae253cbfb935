"""What docs/operations.md tells an operator to do to the database, done: with its own SQL."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from lbmaster import identity
from lbwire.envelope import Envelope, seal
from lbwire.messages import State, payload
from lbwire.topics import role_audience
from tests.documents import ROOT, blocks

from .conftest import HOSTS, WEB, Refusal, Site, eventually

PAGE = ROOT / "docs" / "operations.md"


def sql(info: str) -> str:
    """The page's statements; they are for the cluster netology at generation 41, which here is web at 3."""
    (block,) = blocks(PAGE, f"sql {info}")
    return block.text.replace("'netology', 41", "'web', 3")


def run(database: Path, statements: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.executescript(statements)
    connection.close()


async def stopped(site: Site) -> None:
    for minion in site.minions.values():
        await minion.close()
    await site.stop()


async def started(site: Site, *, join: bool = False) -> None:
    await site.start()
    for minion in site.minions.values():
        if join:
            token = (await site.ask("keys.token", ttl=60))["token"]
            assert (await minion.join(site.ports, site.server_key, token)).state == "accepted"
        minion.boot, minion.last = minion.boot + 1, (0, 0)
        minion.connect(site.ports, site.server_key)


async def push_reaches_everybody(site: Site, generation: int) -> None:
    result = await site.ask("push", text=WEB)
    assert (result["generation"], result["outcome"]) == (generation, "converged")
    await eventually(lambda: [site.minions[host].applied["web"] for host in HOSTS] == [generation] * len(HOSTS))


async def test_after_the_numbers_are_moved_up_a_master_without_its_database_is_obeyed(site: Site) -> None:
    """Hosts join again with the keys that they have; the next push is above what they hold."""
    await site.cluster()
    for _ in range(2):
        await site.ask("push", text=WEB)
    await stopped(site)
    for file in site.config.state_dir.glob("store.sqlite*"):
        file.unlink()
    await started(site, join=True)
    await eventually(lambda: all(minion.acks for minion in site.minions.values()))
    for verb in ("plan", "push"):
        with pytest.raises(Refusal, match="old backup"):
            await site.ask(verb, text=WEB)
    await stopped(site)
    run(site.config.database, sql("numbers"))
    await started(site)
    await push_reaches_everybody(site, 4)


async def test_after_the_numbers_are_moved_up_a_restored_master_is_obeyed(site: Site) -> None:
    """The backup knows the keys, so nobody has to join."""
    await site.cluster()
    await stopped(site)
    backup = site.config.state_dir / "backup"
    shutil.copy(site.config.database, backup)
    await started(site)
    for _ in range(2):
        await site.ask("push", text=WEB)
    await stopped(site)
    for file in site.config.state_dir.glob("store.sqlite*"):
        file.unlink()
    shutil.copy(backup, site.config.database)
    run(site.config.database, sql("numbers"))
    await started(site)
    await push_reaches_everybody(site, 4)


async def test_a_push_mends_a_state_that_was_damaged_in_the_store(site: Site) -> None:
    """Nobody needs the damaged one for that; hosts that only it names are still told to leave."""
    await site.cluster()
    await stopped(site)
    run(site.config.database, "UPDATE state SET raw = x'00';")
    await started(site)
    await eventually(lambda: all(minion.acks for minion in site.minions.values()))
    status = await site.ask("status")
    assert set(status["clusters"]["web"]["hosts"]) == set(HOSTS)
    await push_reaches_everybody(site, 2)
    assert set((await site.ask("status"))["clusters"]["web"]["hosts"]) == set(HOSTS)


async def test_a_push_after_an_upgrade_keeps_what_the_earlier_release_chose(site: Site) -> None:
    """The store has states of format 1: they are understood, and the virtual router id and the home do not move."""
    await site.cluster()
    await stopped(site)
    key = identity.load(site.config.state_dir).signing
    directors = {
        "role": "director", "cluster": "web", "format": 1, "hosts": {"d1": "10.0.0.1", "d2": "10.0.0.2"},
        "instances": [
            {"name": "www", "virtual_router_id": 77, "vips": ["10.0.0.100/24"], "priorities": {"d1": 240, "d2": 250}}
        ],
        "services": [],
        "vrrp": {"advert_interval": 1.0, "mode": "multicast", "version": 3, "auth_pass": None, "interface": None},
    }  # fmt: skip
    message = payload(State(("d1", "d2"), directors))
    raw = seal(Envelope("state", "web", role_audience("director"), 1, 0, message), key)
    run(site.config.database, f"UPDATE state SET raw = x'{raw.hex()}' WHERE role = 'director';")
    await started(site)
    await eventually(lambda: all(minion.acks for minion in site.minions.values()))
    assert list((await site.ask("status"))["clusters"]["web"]["vips"]) == ["10.0.0.100/24"]
    await push_reaches_everybody(site, 2)
    states = [found for found in site.minions["d1"].seen if isinstance(found, State) and "instances" in found.desired]
    (instance,) = states[-1].desired["instances"]
    assert states[-1].desired["format"] == 2
    assert (instance["virtual_router_id"], instance["priorities"]["d2"]) == (77, 250)
