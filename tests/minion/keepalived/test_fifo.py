"""The FIFO itself: real files, no keepalived."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lbminion.keepalived.errors import FifoBlocked
from lbminion.keepalived.fifo import Fifo, FifoLine, Line, open_fifo
from lbminion.keepalived.waiting import until


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    os.write(descriptor, data)
    os.close(descriptor)


def test_a_missing_fifo_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0600 from the first moment."""
    os.close(open_fifo(tmp_path / "fifo"))
    assert (tmp_path / "fifo").is_fifo()
    assert (tmp_path / "fifo").stat().st_mode & 0o777 == 0o600


def _plain(path: Path) -> None:
    path.write_text("planted")


def _symlink(path: Path) -> None:
    os.mkfifo(path.with_name("elsewhere"), 0o600)
    path.symlink_to(path.with_name("elsewhere"))


def _open_to_all(path: Path) -> None:
    os.mkfifo(path)
    path.chmod(0o622)


def _of_another_user(path: Path) -> None:
    os.mkfifo(path, 0o600)
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize("plant", [_plain, _symlink, Path.mkdir, _open_to_all, _of_another_user])
def test_what_is_planted_in_its_place_is_refused_by_name(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    """Whoever can write to the FIFO can invent failovers; the error names the path and the way out."""
    path = tmp_path / "fifo"
    plant(path)
    with pytest.raises(FifoBlocked, match=rf"{path}.*remove it"):
        open_fifo(path)


async def test_lines_arrive_in_order_and_survive_their_writer(tmp_path: Path) -> None:
    """keepalived may be gone before the minion reads; a half line waits for its other half."""
    got: list[Line] = []
    fifo = Fifo(tmp_path / "fifo", got.extend)
    fifo.open()
    try:
        _write(fifo.path, b'INSTANCE "a" BACKUP 1\nINSTANCE "a" MAS')
        _write(fifo.path, b'TER 1\nVS [10.0.0.1]:tcp:80 UP\nINSTANCE "a" STOP 1\n')
        await until(lambda: len(got) == 3, within=2)
    finally:
        fifo.close()
    assert [line.word for line in got if isinstance(line, FifoLine)] == ["BACKUP", "MASTER", "STOP"]


async def test_a_removed_fifo_is_made_anew_and_the_old_one_still_heard(tmp_path: Path) -> None:
    """A keepalived that runs has the old one open, the next one opens the new."""
    got: list[Line] = []

    def take(lines: Sequence[Line]) -> None:
        got.extend(lines)

    fifo = Fifo(tmp_path / "fifo", take)
    fifo.open()
    old = os.open(fifo.path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        assert not fifo.ensure()
        fifo.path.unlink()
        assert fifo.ensure()
        os.write(old, b'INSTANCE "a" BACKUP 1\n')
        fifo.drain()
        _write(fifo.path, b'INSTANCE "a" MASTER 1\n')
        await asyncio.sleep(0)
        fifo.drain()
    finally:
        os.close(old)
        fifo.close()
    assert [line.word for line in got if isinstance(line, FifoLine)] == ["BACKUP", "MASTER"]


def test_thousands_of_lines_fit_into_the_fifo_while_nobody_reads(tmp_path: Path) -> None:
    """keepalived does not wait: what does not fit is lost, and a transition with it."""
    descriptor = open_fifo(tmp_path / "fifo")
    for _ in range(10_000):
        _write(tmp_path / "fifo", b'INSTANCE "www" MASTER 100\n')
    os.close(descriptor)
