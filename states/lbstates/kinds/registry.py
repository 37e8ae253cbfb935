"""All kinds of resource, one line each: a new kind is one module and one line here."""

from __future__ import annotations

from typing import Final

from .address import Address
from .clamp import Clamp
from .destination import Destination
from .gue_port import GuePort
from .keepalived import Keepalived
from .kind import Kind
from .link import Link
from .mark import Mark
from .module import Module
from .priority import Priority
from .service import Service
from .sync_daemon import SyncDaemon
from .sysctl import Sysctl
from .timeouts import Timeouts

# The order protects traffic. A module brings the sysctls and devices of its own, so it comes first. On the way in a real server must not answer ARP for a VIP before it has it (sysctls first),
# and a director must not attract traffic (keepalived) before its table can forward it. On the way out the same backwards.
KINDS: Final = (
    Kind("module", Module, put=5, remove=95),
    Kind("sysctl", Sysctl, put=10, remove=90, restores=True, stays=True),
    Kind("link", Link, put=15, remove=85, restores=True),
    Kind("gue_port", GuePort, put=16, remove=84, restores=True),
    Kind("address", Address, put=20, remove=80),
    Kind("clamp", Clamp, put=22, remove=78),
    Kind("mark", Mark, put=25, remove=75),
    Kind("service", Service, put=30, remove=70),
    Kind("timeouts", Timeouts, put=32, remove=68, restores=True, stays=True),
    Kind("destination", Destination, put=40, remove=60),
    Kind("sync_daemon", SyncDaemon, put=45, remove=57),
    # Before keepalived: one that starts begins with the priority that it shall have. A file that nobody reads does nothing.
    Kind("priority", Priority, put=48, remove=56),
    Kind("keepalived", Keepalived, put=50, remove=55, restores=True),
)

KIND_OF: Final = {kind.specification: kind for kind in KINDS}
