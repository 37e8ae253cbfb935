"""Other programs are run without a shell, and bounded."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from lbminion import programs


async def test_a_programs_code_and_all_that_it_said_are_returned() -> None:
    """Both outputs, in the order of writing, and bytes that are no text do no harm."""
    command = ("sh", "-c", r"echo one; echo two >&2; printf '\377'; exit 3")
    assert await programs.run(*command, seconds=10) == (3, "one\ntwo\n\ufffd")


async def test_nothing_is_read_from_our_own_input_and_no_shell_is_between() -> None:
    assert await programs.run("cat", seconds=10) == (0, "")
    assert await programs.run("echo", "$HOME; false", seconds=10) == (0, "$HOME; false\n")


async def test_one_that_a_signal_ended_has_a_negative_code() -> None:
    assert await programs.run("sh", "-c", "kill -9 $$", seconds=10) == (-9, "")


async def test_one_that_is_not_there_cannot_be_run(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await programs.run(str(tmp_path / "nothing"), seconds=10)


async def test_one_that_does_not_end_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        await programs.run("sh", "-c", f"echo $$ >{said}; exec sleep 600", seconds=2)
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)


async def test_one_whose_caller_gives_up_is_killed(tmp_path: Path) -> None:
    said = tmp_path / "pid"
    task = asyncio.create_task(programs.run("sh", "-c", f"echo $$ >{said}; exec sleep 600", seconds=60))
    async with asyncio.timeout(10):
        while not (said.exists() and said.read_text()):
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(ProcessLookupError):
        os.kill(int(said.read_text()), 0)
