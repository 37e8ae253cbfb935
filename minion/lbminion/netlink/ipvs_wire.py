"""The numbers of the kernel's IPVS interface (linux/ip_vs.h): commands, attributes, flags; and how numbers are written."""

from __future__ import annotations

import socket
from struct import Struct
from typing import Final

FAMILY_NAME: Final = "IPVS"
VERSION: Final = 1

NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE = 1, 2, 3, 4
NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = 5, 6, 7, 8
NEW_DAEMON, DEL_DAEMON, GET_DAEMON = 9, 10, 11
SET_CONFIG, GET_CONFIG = 12, 13
GET_INFO: Final = 15

CMD_SERVICE, CMD_DEST, CMD_DAEMON = 1, 2, 3
CMD_TIMEOUT_TCP, CMD_TIMEOUT_TCP_FIN, CMD_TIMEOUT_UDP = 4, 5, 6

SVC_AF, SVC_PROTOCOL, SVC_ADDR, SVC_PORT, SVC_FWMARK, SVC_SCHEDULER = 1, 2, 3, 4, 5, 6
SVC_FLAGS, SVC_TIMEOUT, SVC_NETMASK, SVC_STATS, SVC_PE_NAME, SVC_STATS64 = 7, 8, 9, 10, 11, 12

DEST_ADDR, DEST_PORT, DEST_FORWARDING, DEST_WEIGHT, DEST_UPPER, DEST_LOWER = 1, 2, 3, 4, 5, 6
DEST_ACTIVE, DEST_INACTIVE, DEST_STATS, DEST_AF, DEST_STATS64 = 7, 8, 10, 11, 12
DEST_TUN_TYPE, DEST_TUN_PORT, DEST_TUN_FLAGS = 13, 14, 15

DAEMON_STATE, DAEMON_INTERFACE, DAEMON_ID, DAEMON_LENGTH, DAEMON_GROUP, DAEMON_GROUP6 = 1, 2, 3, 4, 5, 6
DAEMON_PORT, DAEMON_TTL = 7, 8

GENERIC_HEADER: Final = Struct("=BBH")  # command, version, reserved
ATTRIBUTE: Final = Struct("=HH")  # length, type
U8, U16, U32 = Struct("=B"), Struct("=H"), Struct("=I")
BE16: Final = Struct(">H")

ADDRESS_BYTES: Final[dict[int, int]] = {socket.AF_INET: 4, socket.AF_INET6: 16}


def header(command: int) -> bytes:
    """Write what every message of the family begins with."""
    return GENERIC_HEADER.pack(command, VERSION, 0)


def number(layout: Struct, value: int, name: str) -> bytes:
    """Write a number. Raises `ValueError` when it does not fit."""
    if not 0 <= value < 1 << 8 * layout.size:
        raise ValueError(f"{name} {value} is out of range")
    return layout.pack(value)
