"""Who is at the other end of a conversation: proved by the kernel or by a key, never by what the peer says."""

from __future__ import annotations

import pwd
import socket
import struct
from dataclasses import dataclass
from typing import Final, Literal

Right = Literal["operator", "subscriber"]

_CREDENTIALS: Final = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Peer:
    """`name` is a user's or a key's, `origin` where it asks from ("pid 4711 on this host", "192.0.2.7")."""

    name: str
    origin: str
    right: Right


def local_peer(connection: socket.socket, right: Right) -> Peer:
    """Name the process that connected to a unix socket, as the kernel knows it (SO_PEERCRED, unix(7))."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Peer(name, f"pid {pid} on the master's host", right)
