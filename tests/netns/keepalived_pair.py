"""Two nodes on one wire: network namespaces with a veth pair between them, each with a keepalived of its own.

The test's own thread enters the first node's namespace (the minion's code runs there, as on a director); the second
node, the peer, runs keepalived and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lbminion.keepalived.paths import KeepalivedPaths

VIP = "10.77.0.100"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)

_CONFIG = """\
# Written by lbmaster: do not edit
global_defs {{
    router_id test
    enable_script_security
    script_user root
    vrrp_notify_fifo {fifo}
    vrrp_version 3
}}

vrrp_instance web {{
    state BACKUP
    interface v{number}
    virtual_router_id 51
    priority {priority}
    advert_int 0.2
    unicast_src_ip 10.77.0.{number}
    unicast_peer {{
        10.77.0.{peer}
    }}
    virtual_ipaddress {{
        {vip}/32 dev v{number}
    }}
}}
"""


@dataclass(frozen=True)
class Node:
    """Node 1 or 2: its namespace, and where its keepalived's things lie."""

    number: int
    namespace: str
    paths: KeepalivedPaths

    def config(self, priority: int = 200) -> str:
        """The configuration of this node."""
        return _CONFIG.format(
            fifo=self.paths.fifo, number=self.number, peer=3 - self.number, priority=priority, vip=VIP
        )

    def ip(self, *arguments: str) -> str:
        """Run `ip ARGUMENTS...` in the node's namespace."""
        command = ["ip", "-n", self.namespace, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def has_vip(self) -> bool:
        """Whether the VIP is on the node's interface now."""
        return f" {VIP}/32 " in self.ip("-o", "addr", "show")

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start keepalived as an operator would: nothing of the minion's is told."""
        command = ["ip", "netns", "exec", self.namespace, "keepalived", "-n", "-l", "--vrrp"]
        pids = ["-p", str(self.paths.pid), "-r", str(self.paths.children[0])]
        with self.paths.log.open("ab") as log:
            return subprocess.Popen(
                [*command, "-f", str(self.paths.config), *pids],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, "TMPDIR": str(self.paths.dump.parent)},
            )

    def pids(self) -> list[int]:
        """Every living process in the namespace but this one."""
        place = Path("/run/netns", self.namespace).stat().st_ino
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (folder / "ns" / "net").stat().st_ino == place and int(folder.name) != os.getpid():
                    found.append(int(folder.name))
        return found

    def kill_all(self) -> None:
        """End all of it before any of it can act: a child whose parent dies first would clean up."""
        pids = self.pids()
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)


@contextlib.contextmanager
def pair(folder: Path) -> Iterator[tuple[Node, Node]]:
    """Make both nodes, enter the first one's namespace, and undo all of it whatever happens."""
    suffix = secrets.token_hex(4)
    nodes = tuple(_node(number, f"lbka-{suffix}-{number}", folder / str(number)) for number in (1, 2))
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    made: list[Node] = []
    try:
        for node in nodes:
            subprocess.run(["ip", "netns", "add", node.namespace], check=True)
            made.append(node)
        nodes[0].ip("link", "add", "v1", "type", "veth", "peer", "name", "v2", "netns", nodes[1].namespace)
        for node in nodes:
            node.ip("link", "set", "lo", "up")
            node.ip("addr", "add", f"10.77.0.{node.number}/24", "dev", f"v{node.number}")
            node.ip("link", "set", f"v{node.number}", "up")
        inside = os.open(f"/run/netns/{nodes[0].namespace}", os.O_RDONLY)
        _enter(inside)
        os.close(inside)
        yield nodes[0], nodes[1]
    finally:
        _enter(home)
        os.close(home)
        for node in made:
            node.kill_all()
            subprocess.run(["ip", "netns", "del", node.namespace], check=True)


def _node(number: int, namespace: str, folder: Path) -> Node:
    folder.mkdir()
    return Node(number, namespace, KeepalivedPaths.under(folder, folder / "keepalived.conf"))


def _enter(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
