"""The uplink: what minions say, each under the name that its key was accepted for, and how each one is reached.

A sender is known by the CURVE key of its connection (the frame's User-Id). The routing id that a peer chose, and
whatever a message says of its sender, count for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
import zmq
import zmq.asyncio

from lbservice import sockets
from lbservice.keys import CurvePair
from lbwire.errors import Malformed, Refused
from lbwire.messages import MINION_MESSAGE, Events, decode

from .config import Config
from .endpoints import MINION, UPLINK_QUEUE, bind, prepare, property_of
from .keyring import Enrolment
from .routes import Doubled, Routes

FRAMES: Final = 2


class Received(msgspec.Struct, frozen=True):
    """One message of a minion whose key is accepted; `message` is a refusal if it could not be read.

    `key` is the one of the connection: the sender's, or the one that is to take its place.
    """

    sender: Enrolment
    address: str
    message: MINION_MESSAGE | Refused
    key: str = ""


class Receiver(Protocol):
    """Takes batches, in order."""

    def __call__(self, batch: list[Received]) -> None: ...


class Uplink:
    """`accepted`: CURVE public key (Z85, text) -> enrolment, as it is at the moment.

    Set `doubled` before it runs: it is told of keys that two hosts use. `shut_out` counts messages that did not count.
    """

    def __init__(
        self, context: zmq.asyncio.Context, keys: CurvePair, config: Config, accepted: Mapping[str, Enrolment]
    ) -> None:
        self._accepted = accepted
        self.routes = Routes()
        self._acks: dict[str, bytes] = {}
        self.shut_out = 0
        self.doubled: Callable[[Doubled], None]
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.SNDHWM, UPLINK_QUEUE)
        self._socket.setsockopt(zmq.RCVHWM, UPLINK_QUEUE)
        prepare(self._socket, keys, MINION, config)
        self.port = bind(self._socket, "minions", "uplink_port", config.uplink_port, config)

    async def run(self, receive: Receiver) -> None:
        """Read until cancelled."""
        await sockets.read(self._socket, lambda batch: receive(self._sorted_out(batch)))

    def send(self, host: str, raw: bytes) -> bool:
        """Send to one minion without waiting; False if it is not connected, or its queue is full."""
        route = self.routes.of(host)
        return route is not None and sockets.send(self._socket, [route, raw])

    def acknowledge(self, host: str, raw: bytes) -> None:
        """Send an acknowledgement. The last one is kept: it can be sent again without harm, to see who is still there."""
        self._acks[host] = raw
        self.send(host, raw)

    def forget(self, host: str) -> None:
        self.routes.forget(host)
        self._acks.pop(host, None)

    def close(self) -> None:
        self._socket.close(0)

    def _sorted_out(self, batch: list[sockets.Message]) -> list[Received]:
        received = []
        for frames in batch:
            key = property_of(frames[-1], "User-Id")
            sender = self._accepted.get(key)
            if sender is None:
                # Its key was revoked after the handshake.
                self.shut_out += 1
                continue
            address = property_of(frames[-1], "Peer-Address")
            route = frames[0].bytes
            self._look_for(sender.name, route)
            counts, doubled = self.routes.heard(sender.name, route, address, time.monotonic())
            if doubled is not None:
                self.doubled(doubled)
            message = _decoded(frames)
            if counts == "nothing" or (counts == "not events" and isinstance(message, Events)):
                self.shut_out += 1
            else:
                received.append(Received(sender, address, message, key))
        return received

    def _look_for(self, name: str, route: bytes) -> None:
        """Before another connection of a minion is heard: whether the one until now is still there."""
        before, ack = self.routes.of(name), self._acks.get(name)
        if before not in (None, route) and ack is not None and not sockets.send(self._socket, [before, ack]):
            self.routes.gone(name, before)


def _decoded(frames: sockets.Message) -> MINION_MESSAGE | Refused:
    if len(frames) != FRAMES:
        return Malformed(f"{len(frames) - 1} frames instead of one")
    try:
        return decode(frames[1].bytes)
    except Refused as refusal:
        return refusal
