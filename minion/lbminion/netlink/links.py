"""Network devices: of which sort one is, whether it is up, and setting it up or down.

Nothing is made or deleted here: the devices that lbmaster needs come with a kernel module.
"""

from __future__ import annotations

import errno
import re
from struct import Struct
from typing import Final, NamedTuple, Self

from lbminion.errors import BadKernelMessage, ChangeError, NotPermitted, kernel_said
from lbstates import words

from .message import attribute, attributes
from .transport import Refused, Transport

_NETLINK_ROUTE: Final = 0
_NEW_LINK, _GET_LINK = 16, 18
_IFNAME, _LINKINFO, _INFO_KIND = 3, 18, 1
_INTERFACE: Final = Struct("=BxHiII")  # family, type, index, flags, a mask of those that are meant
_UP: Final = 0x1


class LinkState(NamedTuple):
    """A network device: its sort in the kernel's words ("ipip"; "" of hardware), and whether it is up."""

    sort: str
    up: bool


class Links:
    """The devices of the network namespace in which it was opened.

    Every method may raise `NoAnswer` and `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._transport = Transport(_NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket; the devices stay as they are."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, name: str) -> LinkState | None:
        """Read one device; None if there is none of this name."""
        if not re.fullmatch(words.INTERFACE, name):
            return None
        try:
            answers = self._transport.request(_GET_LINK, _INTERFACE.pack(0, 0, 0, 0, 0) + _name(name))
        except Refused as error:
            if error.errno == errno.ENODEV:
                return None
            raise
        if not answers or len(answers[0]) < _INTERFACE.size:
            raise BadKernelMessage(f"no answer about the interface {name}")
        flags = _INTERFACE.unpack_from(answers[0])[3]
        information = attributes(attributes(answers[0], _INTERFACE.size).get(_LINKINFO, b""))
        return LinkState(information.get(_INFO_KIND, b"").rstrip(b"\0").decode("ascii", "replace"), bool(flags & _UP))

    def set_up(self, name: str) -> None:
        """Set a device up; it is fine if it is. Raises `ChangeError`."""
        self._set(name, _UP)

    def set_down(self, name: str) -> None:
        """Set a device down; it is fine if it is, or is not there. Raises `ChangeError`."""
        if self.read(name) is not None:
            self._set(name, 0)

    def _set(self, name: str, flags: int) -> None:
        if not re.fullmatch(words.INTERFACE, name):
            raise ChangeError("link", name, "is no name of an interface")
        try:
            self._transport.request(_NEW_LINK, _INTERFACE.pack(0, 0, 0, flags, _UP) + _name(name))
        except Refused as error:
            reason = kernel_said(error.errno or errno.EIO, error.strerror or "")
            if error.errno == errno.EPERM:
                reason = str(NotPermitted("setting an interface up or down"))
            raise ChangeError("link", name, reason, error.errno) from None


def _name(name: str) -> bytes:
    return attribute(_IFNAME, name.encode() + b"\0")
