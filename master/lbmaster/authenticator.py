"""Which keys get past the handshake: accepted ones to the minions' endpoints, any to the join endpoint (ZAP, RFC 27)."""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Any

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from .endpoints import JOIN, MINION

logger = logging.getLogger(__name__)


class _Accepted:
    """An exception in a callback would end the authenticator, and every later handshake with it: it means no."""

    def __init__(self, accepted: Container[str]) -> None:
        self._accepted = accepted

    def callback(self, domain: str, key: bytes) -> bool:
        try:
            return domain == MINION and key.decode("ascii") in self._accepted
        except Exception:
            logger.exception("deciding on a handshake failed, so it is refused")
            return False


class _Anybody:
    def callback(self, domain: str, _key: bytes) -> bool:
        return domain == JOIN


def start(context: zmq.asyncio.Context, accepted: Container[str]) -> AsyncioAuthenticator:
    """Start answering handshakes, before any socket is bound; `stop()` it after the sockets are closed.

    `accepted` holds CURVE public keys (Z85, text) and may change at any time.
    """
    authenticator = AsyncioAuthenticator(context)
    authenticator.start()
    providers: dict[str, Any] = {MINION: _Accepted(accepted), JOIN: _Anybody()}
    for domain, provider in providers.items():
        authenticator.configure_curve_callback(domain, provider)
    return authenticator
