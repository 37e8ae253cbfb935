"""What is heard of the cluster all the time: the client's requests, a subscriber's events, the VIP on each director."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from tests.faults.figures import Request, Window
from tests.faults.streams import Spoken, Stream

from microvm.lab import Lab
from story.cast import Cast
from story.hosts import Unexpected

HERE: Final = Path(__file__).resolve().parent
RATE: Final = 25
"""Requests a second: what five guests on two processors carry beside everything else."""

Event = Mapping[str, Any]


class Load:
    """A steady load of requests through the VIP, from the client's guest."""

    def __init__(self, lab: Lab, cast: Cast) -> None:
        self._requests: list[Request] = []
        self._more = threading.Condition()
        script = (HERE / "load_client.py").read_text()
        spoken = Spoken(cast.client, lambda: f"exec python3 - {cast.vip} 80 {RATE}", script)
        self._stream = Stream(lab, spoken, self._heard)

    def _heard(self, line: str) -> None:
        with self._more:
            self._requests.append(Request(*json.loads(line)))
            self._more.notify_all()

    def all_of(self, begin: float, end: float) -> list[Request]:
        """Return what began in this time; all of it has to have ended (`past`)."""
        with self._more:
            return [request for request in self._requests if begin <= request.begin < end]

    def past(self, moment: float, within: float = 30) -> None:
        """Wait until a request that began after this moment was answered. Raises `Unexpected`."""
        with self._more:
            # The last ones are looked at only: the list grows all the time.
            heard = self._more.wait_for(
                lambda: any(request.server and request.begin > moment for request in self._requests[-200:]), within
            )
        if not heard:
            raise Unexpected(f"no request to the VIP was answered for {within:.0f} s: {self._requests[-3:]}")

    def stop(self) -> None:
        """End it."""
        self._stream.stop()


class Subscriber:
    """A subscriber who resumes where it ended: every event of the journal, from its beginning."""

    def __init__(self, lab: Lab, cast: Cast) -> None:
        self.events: list[Event] = []
        self._more = threading.Condition()
        spoken = Spoken(cast.master, lambda: f"exec lbmaster events --follow --json --since {self.cursor}")
        self._stream = Stream(lab, spoken, self._heard)

    @property
    def cursor(self) -> int:
        """The cursor of the last event."""
        return int(self.events[-1]["cursor"]) if self.events else 0

    def _heard(self, line: str) -> None:
        # While no master answers the command says so, in lines of another kind, and is started again.
        if not line.startswith('{"cursor": '):
            return
        event = json.loads(line)
        with self._more:
            self.events.append(event)
            self._more.notify_all()

    def since(self, cursor: int) -> list[Event]:
        """Return what came after a cursor."""
        with self._more:
            return [event for event in self.events if event["cursor"] > cursor]

    def wait(self, fits: Callable[[Event], bool], what: str, *, since: int, within: float) -> Event:
        """Wait for an event after a cursor. Raises `Unexpected` with what came instead."""
        found: list[Event] = []

        def look() -> bool:
            found.extend([event for event in self.events if event["cursor"] > since and fits(event)][:1])
            return bool(found)

        with self._more:
            if not self._more.wait_for(look, within):
                came = [
                    (event["minion"], event["type"], event["data"]) for event in self.events if event["cursor"] > since
                ]
                raise Unexpected(f"{what}: a subscriber did not hear of it within {within:.0f} s, but of {came}")
        return found[0]

    def stop(self) -> None:
        """End it."""
        self._stream.stop()


class Witness:
    """When a director's kernel had the VIP: from `ip monitor`, so by nobody's word."""

    def __init__(self, lab: Lab, cast: Cast, director: str) -> None:
        self._vip = cast.vip
        self._lock = threading.Lock()
        self._had: list[Window] = []
        self._since: float | None = None
        # The monitor first: what happens between two commands would be missed the other way round.
        command = (
            "ip -ts -o monitor address & sleep 0.3; "
            f'echo "now $(date +%s.%N) $(ip -br address show to {cast.vip} | wc -l)"; wait'
        )
        self._stream = Stream(lab, Spoken(director, lambda: command), self._heard, self._ended)

    def _heard(self, line: str) -> None:
        with self._lock:
            if line.startswith("now "):
                _, seconds, count = line.split()
                self._now(float(seconds), has=count != "0")
            elif f" {self._vip}/" in line:
                stamp, rest = line[1:].split("] ", 1)
                moment = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
                self._now(moment, has=not rest.startswith("Deleted"))

    def _ended(self, moment: float) -> None:
        """The guest is off, or the connection to it broke: what it had is told anew when it is back."""
        with self._lock:
            self._now(moment, has=False)

    def _now(self, moment: float, *, has: bool) -> None:
        if has and self._since is None:
            self._since = moment
        elif not has and self._since is not None:
            self._had.append(Window(self._since, moment))
            self._since = None

    def had(self, begin: float) -> list[Window]:
        """Return the times with the VIP that ended after `begin`; the last one may go on."""
        with self._lock:
            going_on = [] if self._since is None else [Window(self._since, time.time())]
            return [Window(max(begin, one.begin), one.end) for one in (*self._had, *going_on) if one.end > begin]

    def stop(self) -> None:
        """End it."""
        self._stream.stop()
