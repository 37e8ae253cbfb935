"""Asks who has an address, by ARP on one interface, and collects the answers. Judges nothing."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Collection
from contextlib import closing
from typing import Final

from lbminion import arp_frames

_ETH_P_ARP: Final = 0x0806
_ASK_AGAIN_SECONDS: Final = 0.3
_ASK_TIMES: Final = 2


def ask(interface: str, addresses: Collection[str], seconds: float = 1.0) -> dict[str, set[str]]:
    """Ask for every address; return address -> the MACs that answered within `seconds` (none: an empty set).

    Needs CAP_NET_RAW. Raises `OSError`.
    """
    answers: dict[str, set[str]] = {address: set() for address in addresses}
    with closing(socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ARP))) as opened:
        opened.bind((interface, _ETH_P_ARP))
        mac = opened.getsockname()[4]
        end, asked, ask_at = time.monotonic() + seconds, 0, 0.0
        while (now := time.monotonic()) < end:
            if asked < _ASK_TIMES and now >= ask_at:
                asked, ask_at = asked + 1, now + _ASK_AGAIN_SECONDS
                for address in addresses:
                    opened.send(arp_frames.probe(mac, address))
            until = min(end, ask_at) if asked < _ASK_TIMES else end
            if select.select([opened], [], [], max(0.0, until - now))[0]:
                found = arp_frames.answer(opened.recv(2048))
                if found is not None and found[0] in answers:
                    answers[found[0]].add(found[1])
    return answers
