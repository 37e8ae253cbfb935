"""log: a supervised keepalived's log does not fill the memory that /run is."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbminion.keepalived.log import KEPT, MOST, trim


def test_a_log_that_has_grown_keeps_its_last_lines(tmp_path: Path) -> None:
    """Whole ones; and whoever has it open goes on behind them."""
    log = tmp_path / "keepalived.log"
    with log.open("ab") as keepalived:
        number = 0
        while keepalived.tell() <= MOST:
            keepalived.write(b"line %d\n" % number)
            number += 1
        keepalived.flush()
        assert trim(log)
        keepalived.write(b"after\n")
    lines = log.read_bytes().splitlines()
    assert lines[-2:] == [b"line %d" % (number - 1), b"after"]
    assert lines[0].startswith(b"line ")
    assert log.stat().st_size <= KEPT + 10
    assert not trim(log)


def test_a_log_that_is_small_or_missing_is_left_alone(tmp_path: Path) -> None:
    """Under systemd there is none."""
    assert not trim(tmp_path / "missing")
    log = tmp_path / "keepalived.log"
    log.write_bytes(b"x")
    assert not trim(log)
    assert log.read_bytes() == b"x"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """It is not ours to cut what lies elsewhere."""
    (tmp_path / "keepalived.log").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").write_bytes(b"x" * (MOST + 1))
    with pytest.raises(OSError, match="symbolic links"):
        trim(tmp_path / "keepalived.log")
    assert (tmp_path / "elsewhere").stat().st_size == MOST + 1
