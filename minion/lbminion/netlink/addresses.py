"""The addresses of the host's interfaces: read, add, delete. The bytes are made and read in `address_codec`.

Plain netlink and not pyroute2: importing pyroute2 costs a process 11 MB and 0.13 s, a quarter of what the whole minion
may take, for three messages. Which address belongs where is decided elsewhere.
"""

from __future__ import annotations

import errno
import socket
from typing import Final, Self

from lbminion.errors import ChangeError, NotPermitted, kernel_said
from lbstates.kinds.address import Address

from . import address_codec as codec
from . import message
from .transport import Transport

_ADD_FLAGS: Final = message.CREATE | message.EXCLUSIVE


class Addresses:
    """The addresses of the network namespace in which it was opened.

    Synchronous: a call takes well under a millisecond. Every method may raise `NoAnswer` and `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._transport = Transport(socket.NETLINK_ROUTE)

    def close(self) -> None:
        """Close the socket; the addresses stay as they are."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def dump(self) -> dict[str, Address]:
        """Read all addresses, by identity ("lo 10.0.0.1/32"): one with another prefix length is another address."""
        entries = self._transport.dump(codec.GET_ADDRESS, codec.dump_request())
        names = dict(socket.if_nameindex())
        found: dict[str, Address] = {}
        for entry in entries:
            decoded = codec.decode_address(entry)
            if decoded is not None and decoded.interface in names:
                address = Address(names[decoded.interface], decoded.address)
                found[address.identity] = address
        return found

    def interfaces(self) -> dict[str, str]:
        """Read which interface has which address: bare address -> name of the interface.

        Of an address on several interfaces (a VIP on `lo` too) the one outside the loopback counts.
        """
        found: dict[str, str] = {}
        for address in self.dump().values():
            bare = address.address.partition("/")[0]
            if address.interface != "lo" or bare not in found:
                found[bare] = address.interface
        return found

    def add(self, address: Address) -> None:
        """Add an address with its label; it is fine if it is there. Raises `ChangeError`."""
        self._change(codec.NEW_ADDRESS, _ADD_FLAGS, address, fine=errno.EEXIST)

    def delete(self, address: Address) -> None:
        """Delete an address, whatever its label; it is fine if it is not there. Raises `ChangeError`."""
        self._change(codec.DEL_ADDRESS, 0, address, fine=errno.EADDRNOTAVAIL)

    def _change(self, kind: int, flags: int, address: Address, fine: int) -> None:
        label = address.label if kind == codec.NEW_ADDRESS else ""
        try:
            index = socket.if_nametoindex(address.interface)
            body = codec.change_request(address.address, index, label)
        except OSError:
            if kind == codec.DEL_ADDRESS:
                return  # the interface took its addresses with it
            reason = f"there is no interface {address.interface!r}"
            raise ChangeError("address", address.identity, reason, errno.ENODEV) from None
        except ValueError as error:
            raise ChangeError("address", address.identity, str(error)) from None
        refusal = self._transport.change([(kind, flags, body)]).get(0)
        if refusal is None or refusal.errno == fine:
            return
        reason = kernel_said(refusal.errno, refusal.text)
        if refusal.errno == errno.EPERM:
            reason = str(NotPermitted("changing an address"))
        raise ChangeError("address", address.identity, reason, refusal.errno)
