"""rotation: the new key of a host takes the old one's place, and a disk that refuses that ends nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import zmq

from lbminion import rotation as module
from lbminion.rotation import PATIENCE_TICKS, SETTLE_TICKS, Rotation, next_path
from lbservice.keys import CurvePair, load_or_make_curve

MASTER = zmq.curve_keypair()[0]


class Using:
    """A rotation that has come to a new key, and the keys that the link was told to use."""

    def __init__(self, path: Path) -> None:
        self.keys: list[CurvePair] = []
        self.old, self.new = load_or_make_curve(path), load_or_make_curve(next_path(path))
        self.rotation = Rotation(path, lambda: (MASTER,), lambda own, _: self.keys.append(own), lambda _: True)
        self.rotation.start()
        for _ in range(SETTLE_TICKS + 2):
            self.rotation.tick(online=True)
        assert self.keys == [self.old, self.new]


def refuse(*_: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_new_key_that_cannot_be_put_in_place_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said and tried again; both files stay, so that a start finds the new key, too."""
    path = tmp_path / "curve.key"
    using = Using(path)
    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", refuse)
        using.rotation.tick(online=True)
        using.rotation.tick(online=True)
    assert "Read-only file system" in caplog.text
    assert (using.rotation.own, load_or_make_curve(path)) == (using.old, using.old)
    using.rotation.tick(online=True)
    assert (using.rotation.own, load_or_make_curve(path)) == (using.new, using.new)
    assert not next_path(path).exists()


def test_a_new_key_that_may_not_outlive_a_power_cut_is_the_hosts_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is in place, and the old one is revoked: when the master is away, no other one is tried."""
    path = tmp_path / "curve.key"
    using = Using(path)
    monkeypatch.setattr(module, "sync_directory", refuse)
    using.rotation.tick(online=True)
    assert "Read-only file system" in caplog.text
    assert (using.rotation.own, load_or_make_curve(path)) == (using.new, using.new)
    for _ in range(3 * PATIENCE_TICKS):
        using.rotation.tick(online=False)
    assert using.keys == [using.old, using.new]
