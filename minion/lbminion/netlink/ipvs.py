"""The kernel's IPVS table: read it, read its statistics, change it. The bytes are made and read in `ipvs_codec`.

What to change is decided elsewhere (`lbstates.plan`); what is not named in a change is left alone.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from struct import Struct
from typing import Final, NamedTuple, Self

from lbminion.errors import BadKernelMessage, ChangeError, NoIpvs, NotPermitted, kernel_said
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.plan import Change, Verb

from . import ipvs_codec as codec
from .ipvs_codec import Foreign
from .ipvs_statistics import DestinationStatistics, ServiceStatistics
from .message import Refusal, attribute, attributes
from .transport import Refused, Transport

_NETLINK_GENERIC: Final = 16
_GENERIC_CONTROL: Final = 16
_GET_FAMILY: Final = 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_GENERIC_HEADER: Final = Struct("=BBH")
_U16: Final = Struct("=H")

# What a second attempt makes of a refusal, when somebody else changed the table since it was read. (A *service* that
# is refused with ENOENT has an unknown scheduler; a missing service is ESRCH, a missing destination ENOENT.)
_INSTEAD: Final[dict[tuple[str, Verb, int], Verb]] = {
    ("service", "add", errno.EEXIST): "set",
    ("service", "set", errno.ESRCH): "add",
    ("destination", "add", errno.EEXIST): "set",
    ("destination", "set", errno.ESRCH): "add",
    ("destination", "set", errno.ENOENT): "add",
}
_GONE: Final = {("service", errno.ESRCH), ("destination", errno.ESRCH), ("destination", errno.ENOENT)}


class Table(NamedTuple):
    """The IPVS table by identity; `foreign` is what lbstates cannot express, and is not in the other two."""

    services: dict[str, Service]
    destinations: dict[str, Destination]
    foreign: dict[str, Foreign]


class Statistics(NamedTuple):
    """The statistics of the whole table by identity, foreign entries too (not the destinations of firewall marks)."""

    services: dict[str, ServiceStatistics]
    destinations: dict[str, DestinationStatistics]


class Snapshot(NamedTuple):
    """One reading of the table. The kernel sends it service by service: it is not of one instant."""

    table: Table
    statistics: Statistics


class Ipvs:
    """The table of the network namespace in which it was opened. Synchronous: a call takes microseconds per entry.

    Raises `NoIpvs` and `NotPermitted` when opened; every method may raise `NoAnswer` and `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._transport = Transport(_NETLINK_GENERIC)
        try:
            self._family = _family(self._transport)
            self._transport.request(self._family, codec.info_request())
        except Refused as error:
            self._transport.close()
            if error.errno == errno.EPERM:
                raise NotPermitted("reading the IPVS table") from None
            raise
        except BaseException:
            self._transport.close()
            raise

    def close(self) -> None:
        """Close the socket; the table stays as it is."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> Table:
        """Read what the table says, without its statistics."""
        return self.snapshot().table

    def snapshot(self) -> Snapshot:
        """Read the whole table with its statistics, which cost nothing more: the kernel sends both at once."""
        table, statistics = Table({}, {}, {}), Statistics({}, {})
        for entry in self._transport.dump(self._family, codec.services_request()):
            key, service, service_statistics = codec.decode_service(entry)
            statistics.services[service.identity] = service_statistics
            if isinstance(service, Foreign):
                table.foreign[service.identity] = service
            else:
                table.services[service.identity] = service
            if key is None:
                continue
            for item in self._transport.dump(self._family, codec.destinations_request(key)):
                destination, destination_statistics = codec.decode_destination(item, key)
                statistics.destinations[destination.identity] = destination_statistics
                if isinstance(destination, Foreign):
                    table.foreign[destination.identity] = destination
                else:
                    table.destinations[destination.identity] = destination
        return Snapshot(table, statistics)

    def apply(self, changes: Sequence[Change]) -> list[ChangeError]:
        """Make changes of the kinds service and destination, in their order; return those that failed.

        What is already so is no failure: an entry that appeared meanwhile is set, one that vanished is added, and one
        that is to be removed and is not there is fine. Raises `ValueError` for a change of another kind.
        """
        errors: list[ChangeError] = []
        refused = self._send([(change, change.verb) for change in changes], errors)
        second = [
            (change, instead)
            for change, refusal in refused
            if (instead := _INSTEAD.get((change.kind, change.verb, refusal.errno))) is not None
        ]
        final = [pair for pair in refused if (pair[0].kind, pair[0].verb, pair[1].errno) not in _INSTEAD]
        errors += [_error(change, refusal) for change, refusal in final + self._send(second, errors)]
        return errors

    def _send(self, changes: Sequence[tuple[Change, Verb]], errors: list[ChangeError]) -> list[tuple[Change, Refusal]]:
        """Send what can be written (what cannot goes to `errors`), and return what the kernel refused."""
        sent: list[Change] = []
        requests: list[tuple[int, int, bytes]] = []
        for change, verb in changes:
            try:
                requests.append((self._family, 0, _request(change, verb)))
                sent.append(change)
            except _Unwritable as error:
                errors.append(ChangeError(change.kind, change.identity, str(error)))
        refused = [(sent[at], refusal) for at, refusal in self._transport.change(requests).items()]
        return [
            (change, refusal)
            for change, refusal in refused
            if not (change.verb == "remove" and (change.kind, refusal.errno) in _GONE)
        ]


class _Unwritable(Exception):
    """The specification does not fit into the kernel's message."""


def _request(change: Change, verb: Verb) -> bytes:
    specification = change.before if verb == "remove" else change.after
    try:
        match specification:
            case Service():
                return codec.service_request(verb, specification)
            case Destination():
                return codec.destination_request(verb, specification)
    except ValueError as error:
        raise _Unwritable(str(error)) from None
    raise ValueError(f"{change.verb} {change.kind} {change.identity} is no change of the IPVS table")


def _error(change: Change, refusal: Refusal) -> ChangeError:
    reason = kernel_said(refusal.errno, refusal.text)
    if refusal.errno == errno.EPERM:
        reason = str(NotPermitted("changing the IPVS table"))
    elif isinstance(change.after, Service) and refusal.errno == errno.ENOENT:
        scheduler = change.after.scheduler
        reason = f"this kernel has no scheduler {scheduler!r}: try `modprobe ip_vs_{scheduler}`"
    elif change.kind == "destination" and refusal.errno == errno.ESRCH:
        reason = "its virtual service is not in the table"
    return ChangeError(change.kind, change.identity, reason, refusal.errno)


def _family(transport: Transport) -> int:
    """Ask the kernel for the number of the IPVS family; it is given when the module is loaded."""
    name = attribute(_FAMILY_NAME, codec.FAMILY_NAME.encode() + b"\0")
    try:
        answers = transport.request(_GENERIC_CONTROL, _GENERIC_HEADER.pack(_GET_FAMILY, 1, 0) + name)
    except Refused as error:
        if error.errno == errno.ENOENT:
            raise NoIpvs from None
        raise
    number = attributes(answers[0], _GENERIC_HEADER.size).get(_FAMILY_ID, b"") if answers else b""
    if len(number) != _U16.size:
        raise BadKernelMessage("the kernel named no number for the netlink family IPVS")
    return int(_U16.unpack(number)[0])
