"""The check `exec`: which programs may be run, what they are told, and how they end."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from lbminion.health import program
from lbminion.health.outcome import Target
from lbminion.health.program import environment, objection
from lbstates.checks import ExecCheck

from .answering import ask, refused

CHECK = ExecCheck(program="check", timeout=2, interval=2)
THERE = Target("10.0.0.1", 80, "tcp", 0, "", "10.0.0.1", "10.0.0.100")


def put(directory: Path, text: str, mode: int = 0o755, name: str = "check", of_directory: int = 0o755) -> Path:
    """Write a program, as the operator of a director would."""
    directory.mkdir(exist_ok=True)
    directory.chmod(of_directory)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


@pytest.fixture
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory; the tests' user stands in for root where they run as another one."""
    for parent in tmp_path.parents:
        if parent.stat().st_uid == os.getuid() and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(program, "_ROOT", os.getuid())
    return tmp_path / "checks"


async def test_a_program_that_ends_with_0_passes(checks: Path) -> None:
    """With its first line as the reason."""
    put(checks, "echo fine; echo more")
    assert (await ask(THERE, CHECK, checks)).reason == "fine"


async def test_a_program_that_ends_otherwise_fails(checks: Path) -> None:
    """With what it said, in printable letters."""
    put(checks, r"printf 'no \033[31mdisk\n' >&2; exit 3")
    assert await refused(THERE, CHECK, checks) == "check ended with 3: no ?[31mdisk"
    put(checks, "kill -SEGV $$")
    assert await refused(THERE, CHECK, checks) == "check ended by segmentation fault"


async def test_a_program_is_told_whom_to_ask_and_nothing_else(checks: Path, tmp_path: Path) -> None:
    """By its environment; it has no arguments, and nothing to read."""
    put(checks, 'echo "$#:$(cat):$LB_ADDRESS:$LB_PORT:$LB_PROTOCOL:$LB_VIP:$(pwd):${HOME-}"')
    assert (await ask(THERE, CHECK, checks)).reason == "0::10.0.0.1:80:tcp:10.0.0.100:/:"
    assert set(environment(THERE)) == {"PATH", "LANG", "LB_ADDRESS", "LB_PORT", "LB_PROTOCOL", "LB_VIP"}


@pytest.mark.needs_root
async def test_a_program_has_no_rights(checks: Path) -> None:
    """It is nobody, in no group, and without capabilities."""
    put(checks, 'echo "$(id -u):$(id -g):$(id -G):$(grep CapEff /proc/self/status | cut -f2)"')
    assert (await ask(THERE, CHECK, checks)).reason == "65534:65534:65534:" + "0" * 16


async def test_a_program_that_hangs_is_ended_with_its_children(checks: Path, tmp_path: Path) -> None:
    """At the timeout of the check."""
    noted = tmp_path / "pids"
    noted.touch()
    noted.chmod(0o666)
    put(checks, f"sleep 1000 & echo $! >> {noted}; echo $$ >> {noted}; wait")
    with pytest.raises(TimeoutError):
        await ask(THERE, ExecCheck(program="check", timeout=2, interval=2), checks)
    pids = [int(line) for line in noted.read_text().split()]
    assert len(pids) == 2
    async with asyncio.timeout(5):
        while any(running(pid) for pid in pids):
            await asyncio.sleep(0.01)


def running(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_a_program_leaves_behind_goes_with_it(checks: Path, tmp_path: Path) -> None:
    """Also when it passes."""
    noted = tmp_path / "pids"
    noted.touch()
    noted.chmod(0o666)
    put(checks, f"sleep 1000 >/dev/null 2>&1 & echo $! >> {noted}")
    assert (await ask(THERE, CHECK, checks)).passed
    async with asyncio.timeout(5):
        while running(int(noted.read_text())):
            await asyncio.sleep(0.01)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_what_leaves_the_session_of_a_program_holds_no_descriptor_of_ours(checks: Path, tmp_path: Path) -> None:
    """A shared connection of ssh, say, that outlives the check which made it: one descriptor for every probe."""
    noted = tmp_path / "pids"
    noted.touch()
    noted.chmod(0o666)
    put(checks, f"setsid sh -c 'echo $$ >> {noted}; exec sleep 1000' & sleep 0.2")
    before = descriptors()
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await ask(THERE, CHECK, checks)
        await asyncio.sleep(0)
        assert descriptors() == before
    finally:
        for pid in noted.read_text().split():
            os.kill(int(pid), signal.SIGKILL)


async def test_a_program_that_says_a_lot_is_read_but_not_kept(checks: Path) -> None:
    put(checks, "head -c 3000000 /dev/zero | tr '\\0' x")
    assert len((await ask(THERE, CHECK, checks)).reason) == 200


# --- what may not be run ----------------------------------------------------------------------------------------------


async def test_a_program_that_is_not_there_fails(checks: Path) -> None:
    """It says where it has to be."""
    assert f"{checks}: no such file" in await refused(THERE, CHECK, checks)
    put(checks, "exit 0", name="other")
    assert f"{checks}/check: no such file" in await refused(THERE, CHECK, checks)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
async def test_a_program_that_others_may_write_is_not_run(checks: Path, mode: int) -> None:
    put(checks, "exit 0", mode)
    assert "nobody else may write to it" in await refused(THERE, CHECK, checks)


async def test_a_directory_that_others_may_write_is_not_used(checks: Path) -> None:
    put(checks, "exit 0", of_directory=0o1777)
    assert f"{checks} has to belong to root" in await refused(THERE, CHECK, checks)


@pytest.mark.needs_root
async def test_a_program_of_somebody_else_is_not_run(checks: Path) -> None:
    os.chown(put(checks, "exit 0"), 1000, 0)
    assert "has to belong to root" in await refused(THERE, CHECK, checks)


async def test_a_link_is_not_followed(checks: Path) -> None:
    """Wherever it leads."""
    put(checks, "exit 0", name="other")
    (checks / "check").symlink_to("other")
    assert "a link does not count" in objection(checks / "check")


async def test_a_file_that_cannot_be_executed_is_not_run(checks: Path) -> None:
    put(checks, "exit 0", 0o644)
    assert "not an executable file" in await refused(THERE, CHECK, checks)
    (checks / "check").write_text("#!/no/such/interpreter\n")
    (checks / "check").chmod(0o755)
    assert "cannot be run" in await refused(THERE, CHECK, checks)
