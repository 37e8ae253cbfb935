"""All kinds of resource, one line each: a new kind is one module and one line here."""

from __future__ import annotations

from typing import Final

from .address import Address
from .destination import Destination
from .keepalived import Keepalived
from .kind import Kind
from .service import Service
from .sysctl import Sysctl

# The order protects traffic. On the way in a real server must not answer ARP for a VIP before it has it (sysctls first),
# and a director must not attract traffic (keepalived) before its table can forward it. On the way out the same backwards.
KINDS: Final = (
    Kind("sysctl", Sysctl, put=10, remove=90, restores=True),
    Kind("address", Address, put=20, remove=80),
    Kind("service", Service, put=30, remove=70),
    Kind("destination", Destination, put=40, remove=60),
    Kind("keepalived", Keepalived, put=50, remove=55, restores=True),
)

KIND_OF: Final = {kind.specification: kind for kind in KINDS}
