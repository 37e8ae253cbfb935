"""Runs in the guest, whose kernel has IPVS: the product, its peers, and a loop that does nothing but send, in turn.

    python -m bench.ipvs_guest ROUNDS PYROUTE2_ROUNDS DIRECTORY

Writes `seconds.json` (what was measured -> the seconds of each round) and `recording` into the directory.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec
from pyroute2 import IPVS, IPVSDest, IPVSService
from tests.uml.inside import modules

from lbminion.netlink import message
from lbminion.netlink.ipvs import Ipvs
from lbminion.netlink.ipvs_destination import destination_request
from lbminion.netlink.ipvs_service import service_request
from lbminion.netlink.ipvs_table import Snapshot
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.plan import Change, Plan

from . import ipvs_cluster, ipvs_replay

_NETLINK_GENERIC, _RECEIVE_BUFFER, _FORCE = 16, 4 * 1024 * 1024, 33
_BARE_WINDOW = 256
_GET_FAMILY = message.frame(16, message.REQUEST, 1, bytes([3, 1, 0, 0]) + message.attribute(2, b"IPVS\0"))


def main() -> None:
    """Measure, round by round, so that whatever disturbs one disturbs all."""
    rounds, pyroute2_rounds, directory = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    modules.load("ip_vs", "ip_vs_rr")
    resources = ipvs_cluster.resources()
    plan = ipvs_cluster.plan_from_empty(resources)
    saved = ipvs_cluster.saved(resources)
    frames = _bare_frames(plan)
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds):
        if number < pyroute2_rounds:
            with IPVS() as peer:
                seconds["apply pyroute2"].append(_programmed(lambda: _by_pyroute2(peer, plan)))
                seconds["read pyroute2"].append(_timed(lambda: _read_by_pyroute2(peer)))
        with _bare_socket() as opened:
            seconds["apply bare"].append(_programmed(lambda: _bare(opened, frames)))
        seconds["apply ipvsadm"].append(_programmed(lambda: _run("ipvsadm", "-R", given=saved)))
        with Ipvs() as table:
            seconds["apply"].append(_programmed(lambda: _apply(table, plan)))
        seconds["read ipvsadm"].append(_timed(lambda: _run("ipvsadm", "-Ln", "--stats", "--exact")))
        with Ipvs() as table:
            seconds["read"].append(_timed(table.snapshot))
            seconds["read again"].append(_timed(table.snapshot))
        with ipvs_replay.moving() as table:
            for _ in range(2):
                table.snapshot()
            seconds["read moving"].append(_timed(table.snapshot))
        with Ipvs() as table:
            table.snapshot()
            seconds["one weight"].append(_timed(lambda: _apply(table, _one_weight(table.snapshot(), plan))))
            _apply(table, plan[-1:])
    (directory / "recording").write_bytes(ipvs_replay.record())
    (directory / "seconds.json").write_text(json.dumps(seconds))


def _programmed(program: Callable[[], object]) -> float:
    """Measure what fills the table, from empty; all of it has to be there afterwards."""
    _run("ipvsadm", "-C")
    seconds = _timed(program)
    found = Path("/proc/net/ip_vs").read_text().count("\n") - 3  # three lines of headings
    if found != ipvs_cluster.OBJECTS:
        raise SystemExit(f"{found} entries instead of {ipvs_cluster.OBJECTS}")
    return seconds


def _timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def _run(*command: str, given: str | None = None) -> None:
    subprocess.run(command, input=given, text=True, check=True, stdout=subprocess.DEVNULL)


def _apply(table: Ipvs, plan: Plan) -> None:
    if errors := table.apply(plan):
        raise SystemExit(f"{len(errors)} changes failed, the first: {errors[0]}")


def _one_weight(snapshot: Snapshot, plan: Plan) -> Plan:
    """Another weight for one of the destinations."""
    identity = plan[-1].identity
    before = snapshot.table.destinations[identity]
    return (Change("destination", "set", identity, before, msgspec.structs.replace(before, weight=before.weight + 1)),)


def _bare_frames(plan: Plan) -> list[bytes]:
    """All messages, ready to be sent: the yardstick does nothing else."""
    with _bare_socket() as opened:
        opened.send(_GET_FAMILY)
        answer = opened.recv(65536)
    (family,) = (int.from_bytes(found[1], "little") for found in [message.attributes(answer, 20)])
    frames = []
    for start in range(0, len(plan), _BARE_WINDOW):
        window = plan[start : start + _BARE_WINDOW]
        flags = [message.REQUEST] * (len(window) - 1) + [message.REQUEST | message.ACK]
        frames.append(
            b"".join(
                message.frame(family, flag, start + place, _body(change))
                for place, (flag, change) in enumerate(zip(flags, window, strict=True))
            )
        )
    return frames


def _body(change: Change) -> bytes:
    if isinstance(change.after, Service):
        return service_request("add", change.after)
    if isinstance(change.after, Destination):
        return destination_request("add", change.after)
    raise TypeError(change.kind)


def _bare_socket() -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_GENERIC)
    opened.setsockopt(socket.SOL_SOCKET, _FORCE, _RECEIVE_BUFFER)
    opened.connect((0, 0))
    return opened


def _bare(opened: socket.socket, frames: list[bytes]) -> None:
    for window in frames:
        opened.send(window)
        opened.recv(65536)


def _by_pyroute2(peer: IPVS, plan: Plan) -> None:
    """One call for each, as its documentation shows it."""
    services: dict[str, IPVSService] = {}
    for change in plan:
        match change.after:
            case Service() as one:
                services[one.identity] = IPVSService(addr=one.address, port=one.port, protocol=6, sched_name="rr")
                peer.service("add", service=services[one.identity])
            case Destination() as one:
                dest = IPVSDest(addr=one.address, port=one.port, weight=1, fwd_method=3)
                peer.dest("add", service=services[one.service], dest=dest)


def _read_by_pyroute2(peer: IPVS) -> int:
    count = 0
    for found in peer.service("dump"):
        service = IPVSService.from_message(found)
        for dest in peer.dest("dump", service=service):
            count += 1
            IPVSDest.from_message(dest)
    return count


if __name__ == "__main__":
    main()
