"""How large a packet each network device takes."""

from __future__ import annotations

import fcntl
import socket
from struct import Struct
from typing import Final

_SIOCGIFMTU: Final = 0x8921
_REQUEST: Final = Struct("16si20x")  # the kernel's struct ifreq, which is 40 bytes


def read_mtus() -> dict[str, int]:
    """Read the MTU (bytes) of every device in this network namespace, by name. Raises `OSError`."""
    found = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFMTU, _REQUEST.pack(name.encode(), 0))
            except OSError:  # gone since it was named
                continue
            found[name] = int(_REQUEST.unpack(answer)[1])
    return found
