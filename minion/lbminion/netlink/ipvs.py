"""The kernel's IPVS table: read it, read its statistics, change it. The bytes are made and read in the other modules `ipvs_*`.

What to change is decided elsewhere (`lbstates.plan`); what is not named in a change is left alone.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, Self

from lbminion.errors import BadKernelMessage, ChangeError, HostError, NoIpvs, NotPermitted, kernel_said
from lbstates.kinds.destination import Destination
from lbstates.kinds.service import Service
from lbstates.kinds.sync_daemon import SyncDaemon, SyncRole
from lbstates.kinds.timeouts import Timeouts
from lbstates.plan import Change, Verb

from . import generic, ipvs_destination, ipvs_service
from . import ipvs_settings as settings
from . import ipvs_wire as wire
from .ipvs_key import can_be_asked_for
from .ipvs_layout import Reader
from .ipvs_refusal import why_refused
from .ipvs_table import (
    Destinations,
    Services,
    Snapshot,
    Statistics,
    Table,
    destination_listing,
    service_listing,
    statistics_of,
    table_of,
)
from .message import Refusal
from .transport import Question, Refused, Transport

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


class _Dump(NamedTuple):
    """The question for the destinations of a service, and what was answered last."""

    question: Question
    listing: Destinations


class Ipvs:
    """The table of the network namespace in which it was opened. Synchronous: a call takes microseconds per entry.

    Raises `NoIpvs` and `NotPermitted` when opened; every method may raise `NoAnswer` and `BadKernelMessage`.
    """

    def __init__(self) -> None:
        self._transport = Transport(generic.PROTOCOL)
        try:
            self._family = _family(self._transport)
            self._transport.request(self._family, settings.info_request())
        except Refused as error:
            self._transport.close()
            raise _said(error) from None
        except BaseException:
            self._transport.close()
            raise
        self._readers = Reader(ipvs_service.SHAPE), Reader(ipvs_destination.SHAPE)
        self._begin()

    def _begin(self) -> None:
        """Know nothing of an earlier reading."""
        self._services: Services = service_listing(self._readers[0])
        self._services_question = self._transport.question(self._family, ipvs_service.services_request())
        self._dumps: dict[str, _Dump] = {}
        self._last = Snapshot(Table({}, {}, {}), Statistics({}, {}))

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
        """Read the whole table with its statistics, which cost nothing more: the kernel sends both at once.

        What the kernel says in the same bytes as the last time is not decoded again, and is the same object: a table
        that has not changed is the last `Table`, counters that stand still are the last `Statistics`.
        """
        try:
            with _no_garbage():
                return self._snapshot()
        except Refused as error:
            self._begin()
            raise _said(error) from None
        except BaseException:
            self._begin()  # a reading that was broken off is no ground for the next one
            raise

    def _snapshot(self) -> Snapshot:
        specified, counted = self._read()
        table, statistics = self._last
        listings = [dump.listing for dump in self._dumps.values()]
        if specified:
            table = table_of(self._services, listings)
        if counted:
            statistics = statistics_of(self._services, listings)
        if specified or counted:
            self._last = Snapshot(table, statistics)
        return self._last

    def _read(self) -> tuple[bool, bool]:
        """Ask for everything; tell whether another table is specified than before, and whether anything was counted."""
        specified = counted = self._transport.ask(self._services_question)
        if counted:
            specified = self._services.read(self._services_question.pieces)
            if specified:
                self._dumps = {
                    identity: self._dumps.get(identity) or self._dump(identity)
                    for identity in self._services.identities
                    if can_be_asked_for(identity)
                }
        for dump in self._dumps.values():
            if self._transport.ask(dump.question):
                counted = True
                specified |= dump.listing.read(dump.question.pieces)
        return specified, counted

    def _dump(self, service: str) -> _Dump:
        request = ipvs_destination.destinations_request(service)
        return _Dump(self._transport.question(self._family, request), destination_listing(self._readers[1], service))

    def read_timeouts(self) -> Timeouts:
        """Read the timeouts of connections."""
        return settings.decode_timeouts(self._ask(settings.timeouts_request())[0])

    def set_timeouts(self, timeouts: Timeouts) -> None:
        """Set the timeouts; one of 0 stays as it is. Raises `ChangeError`."""
        self._set("timeouts", timeouts.identity, partial(settings.set_timeouts_request, timeouts))

    def read_daemons(self) -> dict[str, SyncDaemon]:
        """Read which synchronisation daemons run, by identity."""
        question = self._transport.question(self._family, settings.daemons_request())
        try:
            self._transport.ask(question)
        except Refused as error:
            raise _said(error) from None
        daemons = (settings.decode_daemon(datagram[start:end]) for datagram, start, end in question.entries())
        return {daemon.identity: daemon for daemon in daemons}

    def start_daemon(self, daemon: SyncDaemon) -> None:
        """Start a daemon; one of its role that runs already must be stopped first. Raises `ChangeError`."""
        self._set("sync_daemon", daemon.identity, partial(settings.start_daemon_request, daemon))

    def stop_daemon(self, role: SyncRole) -> None:
        """Stop a daemon; that there is none is fine. Raises `ChangeError`."""
        # Of a thread that is stopped before it ran at all the kernel says EINTR, which netlink takes for "say nothing":
        # so that not this request is acknowledged, but a question that follows it.
        requests = [settings.stop_daemon_request(role), settings.info_request()]
        refused = self._transport.change([(self._family, 0, request) for request in requests])
        refusal = refused.get(0)
        if refusal is not None and refusal.errno != errno.ESRCH:
            raise ChangeError("sync_daemon", role, why_refused("sync_daemon", None, refusal), refusal.errno)

    def _ask(self, payload: bytes) -> list[bytes]:
        try:
            answers = self._transport.request(self._family, payload)
        except Refused as error:
            raise _said(error) from None
        if not answers:
            raise BadKernelMessage("IPVS answered nothing")
        return answers

    def _set(self, kind: str, identity: str, write: Callable[[], bytes]) -> None:
        try:
            self._transport.request(self._family, write())
        except ValueError as error:
            raise ChangeError(kind, identity, str(error)) from None
        except Refused as refused:
            number = refused.errno or 0
            why = why_refused(kind, None, Refusal(number, refused.strerror or ""))
            raise ChangeError(kind, identity, why, number) from None

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

        def requests() -> Iterator[tuple[int, int, bytes]]:
            for change, verb in changes:
                try:
                    request = _request(change, verb)
                except _Unwritable as error:
                    errors.append(ChangeError(change.kind, change.identity, str(error)))
                    continue
                sent.append(change)
                yield self._family, 0, request

        # Written while they are sent: all at once they would take megabytes.
        refusals = self._transport.change(requests())
        refused = [(sent[at], refusal) for at, refusal in refusals.items()]
        return [
            (change, refusal)
            for change, refusal in refused
            if not (change.verb == "remove" and (change.kind, refusal.errno) in _GONE)
        ]


@contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the garbage collector out: of a large table it would take a quarter of the time, and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Unwritable(Exception):
    """The specification does not fit into the kernel's message."""


def _request(change: Change, verb: Verb) -> bytes:
    specification = change.before if verb == "remove" else change.after
    try:
        if type(specification) is Destination:
            return ipvs_destination.destination_request(verb, specification)
        if type(specification) is Service:
            return ipvs_service.service_request(verb, specification)
    except ValueError as error:
        raise _Unwritable(str(error)) from None
    raise ValueError(f"{change.verb} {change.kind} {change.identity} is no change of the IPVS table")


def _error(change: Change, refusal: Refusal) -> ChangeError:
    return ChangeError(change.kind, change.identity, why_refused(change.kind, change.after, refusal), refusal.errno)


def _said(error: Refused) -> HostError:
    """Say what it means that a question was refused."""
    if error.errno == errno.EPERM:
        return NotPermitted("reading the IPVS table")
    if error.errno == errno.ENOENT:
        return NoIpvs()  # the module was taken out since the family's number was asked for
    return HostError(f"reading the IPVS table: {kernel_said(error.errno or 0, error.strerror or '')}")


def _family(transport: Transport) -> int:
    number = generic.family(transport, wire.FAMILY_NAME)
    if number is None:
        raise NoIpvs
    return number
