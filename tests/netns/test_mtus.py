"""The MTUs of a namespace's devices."""

from __future__ import annotations

import pytest

from lbminion.netlink.mtus import read_mtus

from .conftest import Namespace

pytestmark = pytest.mark.needs_root


def test_every_device_is_read_whether_it_is_up_or_not(netns: Namespace) -> None:
    """Also one with a long name; and of no other namespace."""
    netns.ip("link", "add", "v1", "mtu", "1400", "type", "veth", "peer", "name", "fifteen-letters")
    assert netns.run(read_mtus) == {"lo": 65536, "v1": 1400, "fifteen-letters": 1500}
