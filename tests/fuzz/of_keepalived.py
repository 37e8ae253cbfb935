"""Targets: what keepalived on this host says, and what stands in its file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from lbminion.doctor.configuration import instances
from lbminion.keepalived import config_file, dump
from lbminion.keepalived.fifo import MAX_LINE, BadLine, LineSplitter, parse_line
from lbminion.keepalived.transitions import InstanceStates
from lbstates.keepalived_conf import vips
from lbstates.kinds.keepalived import MARKER, Keepalived

_GOLDEN: Final = Path(__file__).resolve().parents[1] / "states/golden"


def fifo(data: bytes) -> None:
    """What lies in the notify FIFO, in one to eight reads (the first byte says how many): whole lines, good or bad ones."""
    if not data:
        return
    stream = data[1:]
    size = len(stream) // (data[0] % 8 + 1) + 1
    splitter, states = LineSplitter(), InstanceStates()
    raw = [line for at in range(0, len(stream), size) for line in splitter.feed(stream[at : at + size])]
    assert len(raw) == stream.count(b"\n")
    for line in map(parse_line, raw):
        if isinstance(line, BadLine):
            assert line.text.isprintable()
            assert len(line.text) <= MAX_LINE
        elif line is not None:
            states, transition = states.after(line)
            assert transition is None or transition.state == states.states[line.name]


def fifo_seeds() -> Iterator[bytes]:
    lines = (
        b'INSTANCE "web" BACKUP 200\nINSTANCE "web" MASTER 200\nGROUP "all" MASTER 0\nINSTANCE "web" FAULT 1\n',
        b'INSTANCE "web" MASTER_RX_LOWER_PRI 200\nVS [10.0.0.1]:tcp:80 UP\nRS [10.0.0.2]:tcp:80 [10.0.0.1]:tcp:80 DOWN\n',
    )
    yield from (bytes([size]) + line for line in lines for size in (0, 2, 7))


def json_dump(data: bytes) -> None:
    """What lies where keepalived writes its dump: instances, or `ValueError`."""
    try:
        found = dump.parse(data)
    except ValueError:
        return
    states, _ = InstanceStates().after_dump({name: (one.state, one.priority) for name, one in found.items()})
    assert states.states.keys() == found.keys()
    msgspec.json.encode({name: (one.priority, one.vips, one.statistics) for name, one in found.items()})


def json_dump_seeds() -> Iterator[bytes]:
    yield msgspec.json.encode(
        [
            {
                "data": {
                    "iname": "web", "dont_track_primary": 0, "ifp_ifname": "eth1", "vrid": 51, "base_priority": 200,
                    "effective_priority": 200, "vips": ["172.28.128.200/24 dev eth1 scope global set"], "state": 2,
                    "evips": [], "adver_int": 1.0, "last_transition": 1700000000.25, "auth_data": "",
                },
                "stats": {"advert_rcvd": 1, "advert_sent": 2, "become_master": 1},
            }
        ]
    )  # fmt: skip


def conf(data: bytes) -> None:
    """A keepalived.conf that somebody edited, read for the doctor and for the VIPs of ours; and what its test says."""
    text = data.decode(errors="surrogateescape")
    for name, instance in instances(text).items():
        assert instance.name == name
        assert instance.family in {4, 6}
        assert math.isfinite(instance.interval)
    assert vips(text) == {} or text.startswith(MARKER)
    assert config_file.judge(1, text)
    Keepalived.details(None, Keepalived(MARKER + text, running=True))


def conf_seeds() -> Iterator[bytes]:
    yield from (file.read_bytes() for file in sorted(_GOLDEN.rglob("*.keepalived.conf"))[:4])
    yield b"vrrp_instance a {\n advert_int 0.5 # x\n version 3\n virtual_ipaddress {\n 10.0.0.1/24 dev eth0\n fd00::1\n }\n}\n"
    yield b"(/etc/keepalived/keepalived.conf: Line 5) Unknown keyword 'x'\nSECURITY VIOLATION - scripts\n"
