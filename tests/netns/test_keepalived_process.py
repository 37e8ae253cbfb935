"""The parts beside a real keepalived: its verdict on a text, its dump, whose process it is, its managers."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from lbminion.keepalived import config_file, dump, process
from lbminion.keepalived.errors import ConfigRefused, DumpFailed, StartFailed, StopFailed
from lbminion.keepalived.manager import Child, Systemd, choose_manager
from lbminion.keepalived.paths import KeepalivedPaths
from lbminion.keepalived.reload import reload
from lbminion.keepalived.version import version
from lbminion.keepalived.waiting import until

from .keepalived_pair import Node

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(shutil.which("keepalived", path="/usr/sbin:/usr/local/sbin") is None, reason="no keepalived"),
]


@pytest.fixture
def node(nodes: tuple[Node, Node]) -> Node:
    return nodes[0]


async def test_a_good_configuration_passes_without_a_word(node: Node) -> None:
    """And leaves no temporary file."""
    assert await config_file.check(node.config(), node.paths) == ()
    assert list(node.paths.runtime.iterdir()) == []


async def test_a_mere_warning_is_handed_back(node: Node) -> None:
    """keepalived ends with 5 and would run: a password that is cut is cut alike everywhere."""
    text = node.config().replace("vrrp_version 3", "vrrp_version 2").replace("advert_int 0.2", "advert_int 1")
    text = text.replace(
        "    unicast_src_ip", "    authentication {\n auth_type PASS\n auth_pass 123456789\n}\n    unicast_src_ip"
    )
    (finding,) = await config_file.check(text, node.paths)
    assert "Truncating auth_pass" in finding.text
    assert text.splitlines()[(finding.line or 0) - 1] == " auth_pass 123456789"


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("priority 200", "prioryti 200", "line 14: Unknown keyword 'prioryti'"),
        ("interface v1", "interface v9", "line 12: .*v9.*doesn't exist"),
        ("    }\n}\n", "", "missing '}'"),
        ("script_user root", "script_user nobody-here", "line 5: "),
        ("virtual_router_id 51", "virtual_router_id 300", "line 13: "),
    ],
)
async def test_a_broken_configuration_is_refused_in_keepaliveds_words(
    node: Node, right: str, wrong: str, words: str
) -> None:
    """With the line; the old file stays."""
    config_file.replace("old\n", node.paths)
    with pytest.raises(ConfigRefused, match=rf"the old one stays: .*{words}"):
        await config_file.check(node.config().replace(right, wrong), node.paths)
    assert config_file.read(node.paths) == "old\n"


async def test_an_empty_configuration_is_refused(node: Node) -> None:
    """keepalived itself would take it (exit code 0) and do nothing."""
    with pytest.raises(ConfigRefused, match="empty"):
        await config_file.check(" \n", node.paths)


def test_the_version_is_read(node: Node, tmp_path: Path) -> None:
    """And is None where there is no keepalived."""
    found = version(node.paths)
    assert found is not None
    assert found.split(".")[0].isdecimal()
    assert version(KeepalivedPaths.under(tmp_path, tmp_path / "k", binary="no-such-keepalived")) is None


async def test_a_child_is_started_found_reloaded_and_stopped(node: Node) -> None:
    """The dump after a reload shows the new priority at once, every time."""
    config_file.replace(node.config(), node.paths)
    started = await Child().start(node.paths)
    assert process.find(node.paths) == started
    assert os.getsid(started.pid) == started.pid
    for priority in range(101, 121):
        config_file.replace(node.config(priority), node.paths)
        seen = await reload(started, node.paths)
        assert seen is not None
        assert seen["web"].priority == priority
    await Child().stop(node.paths)
    assert process.find(node.paths) is None
    assert not node.pids()


async def test_a_child_that_cannot_start_says_why(node: Node) -> None:
    """The last words of its log; nothing is left running."""
    node.paths.config.write_text(node.config())
    wrong = KeepalivedPaths.under(node.paths.runtime, node.paths.runtime / "missing.conf")
    with pytest.raises(StartFailed, match=r"missing.conf.*keepalived\.log"):
        await Child().start(wrong)
    assert not node.pids()


async def test_a_keepalived_of_somebody_else_is_not_ours(nodes: tuple[Node, Node]) -> None:
    """Neither one with another file, nor one in another namespace, nor any process that a stale pid file names."""
    node, peer = nodes
    config_file.replace(peer.config(), peer.paths)
    other = peer.spawn()
    try:
        assert await until(lambda: process.named_by(peer.paths.pid) and peer.paths.children[0].exists(), 5)
        node.paths.pid.write_text(str(other.pid))
        assert process.find(node.paths) is None
        assert process.find(peer.paths) is None  # seen from the first node's namespace
        node.paths.pid.write_text(str(os.getpid()))
        assert process.find(node.paths) is None
    finally:
        peer.kill_all()
        other.wait()


async def test_a_planted_dump_is_not_believed(node: Node) -> None:
    """A link, or a file of another user's, in the place where keepalived writes."""
    config_file.replace(node.config(), node.paths)
    started = await Child().start(node.paths)
    node.paths.dump.symlink_to(node.paths.config)
    seen = await dump.read(started, node.paths)
    assert seen is not None
    assert node.paths.config.read_text() == node.config()

    elsewhere = KeepalivedPaths(binary="keepalived", dump=node.paths.runtime / "planted.json")
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(_failure(started, elsewhere))
        await asyncio.sleep(0.05)
        elsewhere.dump.write_bytes(b"[]")
        os.chown(elsewhere.dump, 65534, 65534)
    assert "somebody else could have written it" in reading.result()
    await Child().stop(node.paths)


async def _failure(started: process.Process, paths: KeepalivedPaths) -> str:
    with pytest.raises(DumpFailed) as failure:
        await dump.read(started, paths, within=0.5)
    return str(failure.value)


async def test_a_keepalived_that_hangs_gives_no_dump_within_the_bound(node: Node) -> None:
    """A stopped process answers nothing; an old dump is not taken for its answer."""
    config_file.replace(node.config(), node.paths)
    started = await Child().start(node.paths)
    assert await dump.read(started, node.paths)
    os.kill(started.pid, signal.SIGSTOP)
    try:
        with pytest.raises(DumpFailed, match=r"it is not there after 0\.2 s"):
            await dump.read(started, node.paths, within=0.2)
    finally:
        os.kill(started.pid, signal.SIGCONT)
    await Child().stop(node.paths)


def _systemctl(folder: Path, script: str) -> str:
    """A systemctl that fails: the real one is used in the lab, where systemd is."""
    file = folder / "systemctl"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return str(file)


async def test_what_systemd_refuses_is_said_in_its_words(node: Node, tmp_path: Path) -> None:
    """With the unit, and where to look."""
    manager = Systemd(systemctl=_systemctl(tmp_path, 'echo "Unit keepalived.service is masked."; exit 1'))
    with pytest.raises(StartFailed, match=r"is masked.*journalctl -u keepalived"):
        await manager.start(node.paths)
    await manager.stop(node.paths)
    config_file.replace(node.config(), node.paths)
    started = await Child().start(node.paths)
    with pytest.raises(StopFailed, match=rf"pid {started.pid} still runs: Unit keepalived"):
        await manager.stop(node.paths)
    await Child().stop(node.paths)


def test_systemd_is_the_manager_where_systemd_runs(tmp_path: Path) -> None:
    """Its own mark tells (as sd_booted does)."""
    assert isinstance(choose_manager(tmp_path), Systemd)
    assert isinstance(choose_manager(tmp_path / "missing"), Child)
