"""Generic netlink: finding a family of messages by its name. What the messages say is for the family's own module."""

from __future__ import annotations

import errno
from struct import Struct
from typing import Final

from lbminion.errors import BadKernelMessage

from .message import attribute, attributes
from .transport import Refused, Transport

PROTOCOL: Final = 16
HEADER: Final = Struct("=BBH")  # command, version, reserved

_CONTROL: Final = 16
_GET_FAMILY: Final = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_U16: Final = Struct("=H")


def family(transport: Transport, name: str) -> int | None:
    """Ask for the number of a family, which the kernel gives when its module is loaded (None: it is not there).

    Raises `NoAnswer`, `BadKernelMessage` and `Refused`.
    """
    wanted = attribute(_FAMILY_NAME, name.encode() + b"\0")
    try:
        answers = transport.request(_CONTROL, HEADER.pack(_GET_FAMILY, 1, 0) + wanted)
    except Refused as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    number = attributes(answers[0], HEADER.size).get(_FAMILY_ID, b"") if answers else b""
    if len(number) != _U16.size:
        raise BadKernelMessage(f"the kernel named no number for the netlink family {name}")
    return int(_U16.unpack(number)[0])
