"""The join endpoint: a key that nobody knows asks for a name, and is accepted by a token or has to wait.

Anybody can reach it, so: small messages, a bounded list of those who wait, one answer per request, and nothing that an
unknown key says changes what is known of another.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from typing import Final

import zmq
import zmq.asyncio

from lbservice import sockets
from lbservice.keys import CurvePair, fingerprint
from lbwire import join
from lbwire.conclusions import KeyAccepted, KeyPending
from lbwire.errors import Refused
from lbwire.events import Data
from lbwire.join import JoinAnswer, JoinRequest

from .config import Config
from .endpoints import JOIN, bind, prepare
from .keyring import Enrolment, Keyring

logger = logging.getLogger(__name__)

QUEUE: Final = 200
FRAMES: Final = 2
PER_PASS: Final = 20
"""Requests that are dealt with before the minions get their turn again."""


class JoinEndpoint:
    """`welcome` is the answer to those who are accepted; `report` raises an event."""

    def __init__(
        self,
        context: zmq.asyncio.Context,
        keys: CurvePair,
        config: Config,
        keyring: Keyring,
        welcome: Callable[[], JoinAnswer],
        report: Callable[[Data], object],
    ) -> None:
        self._keyring, self._welcome, self._report = keyring, welcome, report
        self._socket = context.socket(zmq.ROUTER)
        self._socket.setsockopt(zmq.SNDHWM, QUEUE)
        self._socket.setsockopt(zmq.RCVHWM, QUEUE)
        prepare(self._socket, keys, JOIN, config)
        self._socket.setsockopt(zmq.MAXMSGSIZE, join.LIMIT)
        self.port = bind(self._socket, "joining minions", "join_port", config.join_port, config)

    async def run(self) -> None:
        """Answer until cancelled."""
        await sockets.read(self._socket, self._handle, most=PER_PASS)

    def close(self) -> None:
        self._socket.close(0)

    def _handle(self, batch: list[sockets.Message]) -> None:
        for frames in batch:
            try:
                public = str(frames[-1].get("User-Id")).encode()
                address = str(frames[-1].get("Peer-Address"))
                answer = self._answer(frames, public, address)
            except (sqlite3.Error, zmq.ZMQError):
                logger.exception("a request to join could not be dealt with")
                continue
            sockets.send(self._socket, [frames[0].bytes, join.encode(answer)])

    def _answer(self, frames: sockets.Message, public: bytes, address: str) -> JoinAnswer:
        if len(frames) != FRAMES:
            return _rejected("the request is not understood: it has one frame")
        try:
            request = join.decode_request(frames[1].bytes)
        except Refused as refusal:
            return _rejected(f"the request is not understood: {refusal}")
        known = self._keyring.by_public(public)
        if known is not None and (known.name != request.name or known.state in ("rejected", "revoked")):
            return _rejected(self._why_not(known, request))
        if known is not None and known.state == "accepted":
            return self._welcome()
        holder = self._keyring.by_name(request.name)
        if holder is not None:
            return _rejected(
                f"{request.name} has joined with another key: if that one is gone, `lbmaster keys revoke {request.name}`"
                " at the master, then join again; else choose another name"
            )
        return (
            self._by_token(request, known, public, address)
            if request.token
            else self._wait(request, known, public, address)
        )

    @staticmethod
    def _why_not(known: Enrolment, request: JoinRequest) -> str:
        if known.name != request.name:
            return f"this key belongs to {known.name}: join under that name, or make a new key"
        return f"this key was {known.state}: make a new key to join again"

    def _by_token(self, request: JoinRequest, known: Enrolment | None, public: bytes, address: str) -> JoinAnswer:
        wrong = self._keyring.use_token(request.token, request.name)
        if wrong:
            return _rejected(f"{wrong}: make another with `lbmaster keys token`, or join without one and wait")
        if known is None:
            self._keyring.add(request.name, public, "accepted", address)
        else:
            self._keyring.set_state(known, "accepted")
        self._report(KeyAccepted(fingerprint(public), "token", request.name))
        return self._welcome()

    def _wait(self, request: JoinRequest, known: Enrolment | None, public: bytes, address: str) -> JoinAnswer:
        if known is None:
            if self._keyring.is_full():
                return _rejected("too many keys wait to be accepted: accept or reject some at the master first")
            self._keyring.add(request.name, public, "pending", address)
            self._report(KeyPending(fingerprint(public), request.name))
        return JoinAnswer("pending", f"waits for `lbmaster keys accept {request.name}` at the master")


def _rejected(text: str) -> JoinAnswer:
    return JoinAnswer("rejected", text[:1000])
