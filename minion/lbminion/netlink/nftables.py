"""The generation of the nftables ruleset: a number that every change of it moves. The rules themselves are nft's."""

from __future__ import annotations

from struct import Struct
from typing import Final

from .message import attributes
from .transport import Transport

_NETLINK_NETFILTER: Final = 12
_GET_GENERATION: Final = 10 << 8 | 16  # the subsystem nf_tables, and its message
_HEADER: Final = Struct("=BBH")  # family, version, resource
_GENERATION_ID: Final = 1


class Generations:
    """Of the network namespace in which it is first read."""

    def __init__(self) -> None:
        self._transport: Transport | None = None

    def read(self) -> bytes:
        """Return the generation, to be compared with another; b"" where there is no nftables (yet).

        Raises `NoAnswer` and `BadKernelMessage`.
        """
        try:
            if self._transport is None:
                self._transport = Transport(_NETLINK_NETFILTER)
            answers = self._transport.request(_GET_GENERATION, _HEADER.pack(0, 0, 0))
        except OSError:  # without rights or nf_tables nothing is known, and nft says why
            return b""
        return attributes(answers[0], _HEADER.size).get(_GENERATION_ID, b"") if answers else b""

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
