"""The uplink: what minions say, each under the name that its key was accepted for, and how each one is reached.

A sender is known by the CURVE key of its connection (the frame's User-Id). The routing id that a peer chose, and
whatever a message says of its sender, count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
import zmq
import zmq.asyncio

from lbservice import sockets
from lbservice.keys import CurvePair
from lbwire.errors import Malformed, Refused
from lbwire.messages import MINION_MESSAGE, decode

from .config import Config
from .endpoints import MINION, UPLINK_QUEUE, bind, prepare
from .keyring import Enrolment

FRAMES: Final = 2


class Received(msgspec.Struct, frozen=True):
    """One message of a minion whose key is accepted; `message` is a refusal if it could not be read."""

    sender: Enrolment
    address: str
    message: MINION_MESSAGE | Refused


class Receiver(Protocol):
    """Takes batches, in order."""

    def __call__(self, batch: list[Received]) -> None: ...


class Uplink:
    """`accepted`: CURVE public key (Z85, text) -> enrolment, as it is at the moment."""

    def __init__(
        self, context: zmq.asyncio.Context, keys: CurvePair, config: Config, accepted: Mapping[str, Enrolment]
    ) -> None:
        self._accepted = accepted
        self._routes: dict[str, bytes] = {}
        self.shut_out = 0
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
        route = self._routes.get(host)
        return route is not None and sockets.send(self._socket, [route, raw])

    def forget(self, host: str) -> None:
        self._routes.pop(host, None)

    def close(self) -> None:
        self._socket.close(0)

    def _sorted_out(self, batch: list[sockets.Message]) -> list[Received]:
        received = []
        for frames in batch:
            sender = self._accepted.get(_property(frames[-1], "User-Id"))
            if sender is None:
                # Its key was revoked after the handshake.
                self.shut_out += 1
                continue
            self._routes[sender.name] = frames[0].bytes
            received.append(Received(sender, _property(frames[-1], "Peer-Address"), _decoded(frames)))
        return received


def _decoded(frames: sockets.Message) -> MINION_MESSAGE | Refused:
    if len(frames) != FRAMES:
        return Malformed(f"{len(frames) - 1} frames instead of one")
    try:
        return decode(frames[1].bytes)
    except Refused as refusal:
        return refusal


def _property(frame: zmq.Frame, name: str) -> str:
    try:
        return str(frame.get(name))
    except zmq.ZMQError:
        return ""
