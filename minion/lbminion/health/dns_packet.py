"""A DNS query, and what has to be known of the answer to it (RFC 1035). Pure."""

from __future__ import annotations

from struct import Struct
from typing import Final

from lbstates.checks import DnsCheck

from .outcome import ProbeFailed

TYPES: Final = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
_HEAD: Final = Struct(">HHHHHH")
_QUESTION: Final = Struct(">HH")
_INTERNET: Final = 1
_LONGEST_LABEL: Final = 63
_ANSWERS, _RECURSE, _OPCODE, _TRUNCATED, _CODE = 0x8000, 0x0100, 0x7800, 0x0200, 0x000F
_CODES: Final = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def query(check: DnsCheck, number: int) -> bytes:
    """Write the query `number`, as it goes over UDP. Raises `ProbeFailed` for a name that cannot be asked for."""
    labels = [label.encode("ascii") for label in check.name.split(".") if label]
    if any(len(label) > _LONGEST_LABEL for label in labels):
        raise ProbeFailed(f"{check.name} is no name that DNS knows: a label has more than 63 characters")
    name = b"".join(bytes((len(label),)) + label for label in labels) + b"\0"
    return _HEAD.pack(number, _RECURSE, 1, 0, 0, 0) + name + _QUESTION.pack(TYPES[check.type], _INTERNET)


def answers(query: bytes, packet: bytes) -> bool:
    """Tell whether a packet is the answer to this query, and not to an earlier one, or noise."""
    if len(packet) < len(query) or packet[:2] != query[:2]:
        return False
    _, flags, questions, *_ = _HEAD.unpack_from(packet)
    asked = packet[_HEAD.size : len(query)].lower() == query[_HEAD.size :].lower()
    return bool(flags & _ANSWERS) and not flags & _OPCODE and questions == 1 and asked


def judge(packet: bytes) -> str:
    """Say what passed. Raises `ProbeFailed` for an error, and for an answer without a record."""
    _, flags, _, records, *_ = _HEAD.unpack_from(packet)
    code = flags & _CODE
    if code:
        raise ProbeFailed(f"the answer is {_CODES.get(code, f'error {code}')}")
    if not records and not flags & _TRUNCATED:
        raise ProbeFailed("the answer holds no record")
    return f"{records} records"
