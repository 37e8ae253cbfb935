"""What a real server finds out about itself: whether something takes what clients are sent here for.

Where the doctor looks only when it is asked, this looks every few seconds, in the kernel's list of sockets, and connects
to the VIP on this very host: a full queue of a service that hangs is seen by that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Final

from lbminion.doctor import sock_diag
from lbminion.doctor.listeners import Listener, Wanted, asked, covers
from lbminion.errors import HostError
from lbstates.checks import TcpCheck
from lbstates.desired import RealServerState, RoleState
from lbstates.kinds.service import service_identity
from lbwire import events, health_events

from . import tcp
from .outcome import CannotProbe, ProbeFailed, Target

logger = logging.getLogger(__name__)

INTERVAL: Final = 5.0
_TIMEOUT: Final = 2.0
_TIMES: Final = 2
"""So many looks in a row have to find the same before it is said: a service may be just restarting."""
_CHECK: Final = TcpCheck(timeout=_TIMEOUT)


class Listening:
    """Of the host named `host`; `report` raises an event (data, cluster)."""

    def __init__(self, host: str, report: Callable[[events.Data, str], object], interval: float = INTERVAL) -> None:
        self._host, self._report, self._interval = host, report, interval
        self._wanted: dict[str, list[Wanted]] = {}
        self._missed: dict[tuple[str, Wanted], int] = {}
        self._error = ""

    def follow(self, states: Iterable[RoleState]) -> None:
        """Look after what these states say that this host answers."""
        self._wanted = {}
        for state in states:
            if isinstance(state, RealServerState) and self._host in state.hosts:
                self._wanted.setdefault(state.cluster, []).extend(asked((state,), self._host))
        wanted = {(cluster, want) for cluster, wants in self._wanted.items() for want in wants}
        self._missed = {key: count for key, count in self._missed.items() if key in wanted}

    @property
    def silent(self) -> tuple[str, ...]:
        """Where nothing takes what comes: "tcp VIP:port"."""
        return tuple(sorted({_named(want) for (_, want), count in self._missed.items() if count >= _TIMES}))

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            await self.look()

    async def look(self) -> None:
        """Look once, and tell what has changed."""
        wanted = {cluster: tuple(wants) for cluster, wants in self._wanted.items()}
        every = {want for wants in wanted.values() for want in wants}
        if not every:
            return
        try:
            listeners = await asyncio.to_thread(_listeners, every)
        except (OSError, HostError) as error:
            self._note(str(error))
            return
        self._note("")
        missing = {want for want in every if not any(covers(it, want) for it in listeners)}
        missing |= await _unanswered(want for want in every - missing if want.protocol == "tcp" and want.port)
        for cluster, wants in wanted.items():
            # What was looked at may have been taken from this host meanwhile.
            self._judge(cluster, [want for want in wants if want in self._wanted.get(cluster, ())], missing)

    def _judge(self, cluster: str, wants: Iterable[Wanted], missing: Collection[Wanted]) -> None:
        silent, listening = [], []
        for want in wants:
            missed = self._missed.pop((cluster, want), 0)
            if want in missing:
                self._missed[cluster, want] = min(missed + 1, _TIMES)
                if missed + 1 == _TIMES:
                    silent.append(_named(want))
            elif missed >= _TIMES:
                listening.append(_named(want))
        if silent:
            self._report(health_events.ServiceSilent(tuple(sorted(silent))), cluster)
        if listening:
            self._report(health_events.ServiceListening(tuple(sorted(listening))), cluster)

    def _note(self, error: str) -> None:
        if error and error != self._error:
            logger.warning("cannot tell whether the services of this host listen: %s", error)
        self._error = error


def _listeners(wanted: Iterable[Wanted]) -> list[Listener]:
    return sock_diag.listeners(sorted({want.protocol for want in wanted}))


async def _unanswered(wanted: Iterable[Wanted]) -> set[Wanted]:
    """Connect to each from the very address, so that it can be nobody but this host who answers."""
    wants = list(wanted)
    answered = await asyncio.gather(*map(_answered, wants))
    return {want for want, ok in zip(wants, answered, strict=True) if not ok}


async def _answered(want: Wanted) -> bool:
    target = Target(want.vip, want.port, source=want.vip)
    try:
        async with asyncio.timeout(_TIMEOUT):
            await tcp.probe(target, _CHECK)
    except (ProbeFailed, TimeoutError):
        return False
    except CannotProbe:
        return True  # the address is not here: the reconciler says so
    return True


def _named(want: Wanted) -> str:
    return service_identity(want.protocol, want.vip, want.port)
