"""What cards merge, and what fits through tunnels."""

from __future__ import annotations

import struct

import pytest

from lbminion.doctor import ethtool, offloads
from lbstates.kinds.clamp import Clamp
from lbstates.kinds.destination import Destination, Tunnel

SERVICE = "tcp 10.0.0.100:80"


@pytest.mark.pitfall("I10")
def test_lro_is_found() -> None:
    """It must not be forwarded; what the card merges by rx-gro-hw may, with good cards."""
    found = list(
        offloads.judge_offloads({"eth0": {"rx-lro": True}, "eth1": {"rx-gro-hw": True}, "eth2": {"rx-gro": True}})
    )
    assert [(it.subject, it.severity) for it in found] == [("eth0", "warning"), ("eth1", "info")]
    assert found[0].repair == "ethtool -K eth0 lro off"


def test_the_kernels_blocks_of_features_are_read() -> None:
    """32 to a block; the third word of four says what is active; a feature without a name is skipped."""
    names = [f"f{n}" for n in range(34)]
    names[3] = ""
    state = struct.pack("=II", 0x3A, 2) + struct.pack("=8I", 9, 9, 1 << 2 | 1 << 3, 9, 9, 9, 1 << 1, 9)
    found = ethtool.decode(names, state)
    assert sorted(name for name, on in found.items() if on) == ["f2", "f33"]
    assert "" not in found


@pytest.mark.pitfall("R5")
def test_a_narrow_way_to_a_tunnels_real_server_is_found() -> None:
    """What it takes inside is less by the tunnel's headers; direct routing has none."""
    gue = Destination(SERVICE, "10.9.0.11", 80, "tunnel", 1, tunnel=Tunnel("gue", 6080))
    direct = Destination(SERVICE, "10.0.0.12", 80, "direct", 1)
    (found,) = offloads.judge_paths([gue, direct], {"10.9.0.11": 1400}, {})
    assert found.id == "R5"
    assert "1368 inside" in found.seen
    assert not list(offloads.judge_paths([gue], {"10.9.0.11": 1500}, {"net/ipv4/vs/pmtu_disc": "1"}))
    (found,) = offloads.judge_paths([gue], {}, {"net/ipv4/vs/pmtu_disc": "0"})
    assert "pmtu_disc" in found.subject


@pytest.mark.pitfall("R5")
def test_segments_that_do_not_fit_are_found() -> None:
    """20 bytes of the tunnel, 40 of IPv4 and TCP."""
    assert not list(offloads.judge_clamps([Clamp("10.0.0.100", 1440)], 1500))
    (found,) = offloads.judge_clamps([Clamp("10.0.0.100", 1460)], 1500)
    assert "1440 fit" in found.seen
    assert list(offloads.judge_clamps([Clamp("fd00::100", 1440)], 1500))
