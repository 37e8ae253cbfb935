"""The kernel's UDP ports on which wrapped packets arrive (netlink family "fou"), as far as GUE is concerned."""

from __future__ import annotations

import errno
import socket
from struct import Struct
from typing import Final, Self

from lbminion.errors import BadKernelMessage, ChangeError, NotPermitted, kernel_said
from lbstates.kinds.gue_port import GuePort
from lbstates.kinds.service import Family

from . import generic
from .message import attribute, attributes
from .transport import Refused, Transport

_ADD, _DELETE, _GET = 1, 2, 3
_PORT, _FAMILY, _TYPE = 1, 2, 4
_LOCAL: Final = frozenset({6, 7, 8, 9, 10, 11})  # bound to an address, a peer or an interface: takes only some packets
_GUE: Final = 2
_U8, _BE16 = Struct("=B"), Struct(">H")
_FAMILIES: Final[dict[Family, int]] = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}
_FAMILY_OF: Final = {number: name for name, number in _FAMILIES.items()}

_MISSING: Final = (
    "this kernel has no fou: run `modprobe fou`; if the module is missing, install the kernel "
    "package that brings it (Debian: linux-image-amd64, not a container's or a micro-VM's kernel)"
)


class GuePorts:
    """The GUE ports of the network namespace in which it was opened; the module may be loaded later.

    Every method may raise `NoAnswer` and `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._transport = Transport(generic.PROTOCOL)

    def close(self) -> None:
        """Close the socket; the ports stay as they are."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> dict[str, GuePort]:
        """Read the ports that take GUE from everywhere, by identity; none where the module is not loaded."""
        # The number is asked for each time: it changes when the module is loaded anew.
        family = generic.family(self._transport, "fou")
        if family is None:
            return {}
        ports = (_decode(entry) for entry in self._transport.dump(family, generic.HEADER.pack(_GET, 1, 0)))
        return {port.identity: port for port in ports if port is not None}

    def add(self, port: GuePort) -> None:
        """Open a port; it is fine if it is open. Raises `ChangeError`."""
        if port.identity not in self.read():
            self._change(_ADD, port, attribute(_TYPE, _U8.pack(_GUE)))

    def delete(self, port: GuePort) -> None:
        """Close a port; it is fine if it is closed. Raises `ChangeError`."""
        if port.identity in self.read():
            self._change(_DELETE, port, b"")

    def _change(self, command: int, port: GuePort, more: bytes) -> None:
        family = generic.family(self._transport, "fou")
        if family is None:
            raise ChangeError("gue_port", port.identity, _MISSING)
        if port.family not in _FAMILIES or not 0 < port.port < 1 << 16:
            raise ChangeError("gue_port", port.identity, "is no UDP port of IPv4 or IPv6")
        body = attribute(_PORT, _BE16.pack(port.port)) + attribute(_FAMILY, _U8.pack(_FAMILIES[port.family])) + more
        try:
            self._transport.request(family, generic.HEADER.pack(command, 1, 0) + body)
        except Refused as error:
            raise ChangeError("gue_port", port.identity, _reason(error), error.errno) from None


def _reason(error: Refused) -> str:
    match error.errno:
        case errno.EPERM:
            return str(NotPermitted("opening a port for GUE"))
        case errno.EADDRINUSE | errno.EALREADY:
            return (
                "another socket has this port: choose another `port` under `tunnel`, or end that program (`ss -ulnp`)"
            )
        case number:
            return kernel_said(number or errno.EIO, error.strerror or "")


def _decode(payload: bytes) -> GuePort | None:
    found = attributes(payload, generic.HEADER.size)
    sort, family, port = found.get(_TYPE, b""), found.get(_FAMILY, b""), found.get(_PORT, b"")
    if len(sort) != _U8.size or len(family) != _U8.size or len(port) != _BE16.size:
        raise BadKernelMessage("a fou port without port, family or type")
    if sort[0] != _GUE or family[0] not in _FAMILY_OF or any(any(found.get(kind, b"")) for kind in _LOCAL):
        return None
    return GuePort(int(_BE16.unpack(port)[0]), _FAMILY_OF[family[0]])
