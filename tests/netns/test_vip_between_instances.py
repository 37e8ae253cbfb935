"""A VIP that a push moves from one VRRP instance to another, with a real keepalived: it is there before, and after."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from lbminion.keepalived.control import Control
from lbminion.keepalived.manager import Child
from lbminion.keepalived.waiting import until
from lbstates.kinds.keepalived import Keepalived

from .keepalived_pair import VIP, Node, pair

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]

OTHER = "10.77.0.101"


def text(node: Node, first: tuple[str, ...], second: tuple[str, ...]) -> str:
    """Two instances with these VIPs."""
    head, instance = node.config().split("vrrp_instance")
    vip = f"{VIP}/32 dev v{node.number}"

    def one(name: str, vrid: int, vips: tuple[str, ...]) -> str:
        body = instance.replace(" web ", f" {name} ").replace("virtual_router_id 51", f"virtual_router_id {vrid}")
        return "vrrp_instance" + body.replace(vip, "\n        ".join(f"{it}/32 dev v{node.number}" for it in vips))

    return head + one("web", 51, first) + one("mail", 52, second)


async def test_v16_a_vip_that_moves_to_another_instance_is_not_lost(tmp_path: Path) -> None:
    """By one reload; whatever keepalived does in between, the address is back within its elections' time."""
    third = "10.77.0.102"
    with pair(tmp_path) as (node, _):

        def has(vip: str) -> bool:
            return f" {vip}/32 " in node.ip("-o", "addr", "show")

        control = Control(node.paths, Child(), lambda _: None)
        await control.open()
        try:
            await control.put(Keepalived(text(node, (VIP, third), (OTHER,)), running=True))
            assert await until(lambda: has(VIP) and has(OTHER) and has(third), 10), node.paths.log.read_text()
            await control.put(Keepalived(text(node, (third,), (OTHER, VIP)), running=True))
            assert await until(lambda: has(VIP) and has(OTHER) and has(third), 10), node.paths.log.read_text()
            assert [has(VIP) for _ in range(20) if await asyncio.sleep(0.05) is None] == [True] * 20
        finally:
            control.close()
