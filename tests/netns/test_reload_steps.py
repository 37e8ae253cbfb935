"""VIPs that change their instance, with a real keepalived: lost by one reload, kept by the steps that we take."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lbminion.keepalived import config_file
from lbminion.keepalived.control import Control
from lbminion.keepalived.manager import Child
from lbminion.keepalived.process import find
from lbminion.keepalived.reload import reload
from lbminion.keepalived.waiting import until
from lbstates.desired import DirectorState, Host
from lbstates.facts import HostFacts
from lbstates.keepalived_conf import render
from lbstates.kinds.keepalived import Keepalived
from lbstates.vrrp import Vip, VrrpInstance

from .keepalived_pair import Node, pair

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.pitfall("V16"),
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]


def _vip(number: int) -> str:
    return f"10.77.0.{100 + number}"


def _text(node: Node, vips: Mapping[str, tuple[int, ...]]) -> str:
    """Render instances by name, with the numbers of their VIPs."""
    instances = tuple(
        VrrpInstance(name, ord(name), tuple(Vip(f"{_vip(it)}/24") for it in numbers), {"d1": 250}, advert_interval=0.1)
        for name, numbers in vips.items()
    )
    address = f"10.77.0.{node.number}"
    paths = node.paths
    facts = HostFacts({address: f"v{node.number}"}, "2.2.7", str(paths.fifo), str(paths.runtime / "alive.lock"))
    return render(DirectorState("c", {"d1": Host(address)}, instances, ()), "d1", facts)


def _has(node: Node, *vips: str) -> Callable[[], bool]:
    return lambda: all(f" {vip}/24 " in node.ip("-o", "addr", "show") for vip in vips)


MOVES = {
    "to an earlier one": ({"a": (1,), "b": (2, 3)}, {"a": (1, 3), "b": (2,)}),
    "to a later one": ({"a": (1, 3), "b": (2,)}, {"a": (1,), "b": (2, 3)}),
    "swapped": ({"a": (1,), "b": (2,)}, {"a": (2,), "b": (1,)}),
    "around": ({"a": (1,), "b": (2,), "c": (3, 4)}, {"a": (3,), "b": (1, 4), "c": (2,)}),
    "to a new one": ({"a": (1, 2)}, {"a": (1,), "b": (2,)}),
    "from one that goes": ({"a": (1,), "b": (2,)}, {"b": (1, 2)}),
    "another name": ({"a": (1,)}, {"b": (1,)}),
}


@pytest.mark.parametrize("move", MOVES)
async def test_v16_vips_that_change_their_instance_are_there_in_the_end(move: str, tmp_path: Path) -> None:
    """And stay."""
    before, after = MOVES[move]
    wanted = [_vip(octet) for octets in after.values() for octet in octets]
    with pair(tmp_path) as (node, _):
        control = Control(node.paths, Child(), lambda _: None)
        await control.open()
        try:
            await control.put(Keepalived(_text(node, before), running=True))
            assert await until(_has(node, *wanted), 10), node.paths.log.read_text()
            desired = Keepalived(_text(node, after), running=True)
            await control.put(desired)
            assert await until(_has(node, *wanted), 10), node.paths.log.read_text()
            assert not await until(lambda: not _has(node, *wanted)(), 1), node.paths.log.read_text()
            assert control.observe() == desired
        finally:
            control.close()


async def test_v16_by_one_reload_one_of_them_is_lost(tmp_path: Path) -> None:
    """What the steps are there for. Should this fail one day, a newer keepalived does not need them."""
    with pair(tmp_path) as (node, _):
        control = Control(node.paths, Child(), lambda _: None)
        await control.open()
        try:
            await control.put(Keepalived(_text(node, {"a": (1,), "b": (2,)}), running=True))
            assert await until(_has(node, _vip(1), _vip(2)), 10), node.paths.log.read_text()
            config_file.replace(_text(node, {"a": (2,), "b": (1,)}), node.paths)
            process = find(node.paths)
            assert process is not None
            await reload(process, node.paths)
            assert await until(lambda: not _has(node, _vip(1), _vip(2))(), 5), node.paths.log.read_text()
            assert not await until(_has(node, _vip(1), _vip(2)), 3), node.paths.log.read_text()
        finally:
            control.close()
