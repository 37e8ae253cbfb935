"""TLS over the socket of a probe, and what a probe has to know of the certificate."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeVar

from cryptography import x509

from lbstates.checks import HttpsCheck

from .outcome import ProbeFailed, Target
from .sockets import Stream

T = TypeVar("T")
_READ: Final = 16 * 1024
_DAY: Final = 86400.0


@lru_cache(maxsize=2)
def _context(*, verify: bool) -> ssl.SSLContext:
    """Make what all probes share; reading the trusted certificates takes a while."""
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def server_name(check: HttpsCheck, target: Target) -> str | None:
    """Tell what the real server is called in the handshake (SNI); None: nothing, since nobody gave it a name."""
    named = check.sni or check.host
    host = named.rpartition(":")[0] if not named.endswith("]") and named.count(":") == 1 else named
    return host or (target.address if check.verify else None)


class Tls:
    """Reads and writes over TLS. Raises `OSError`, and `ProbeFailed` for what is wrong with it."""

    def __init__(self, stream: Stream, check: HttpsCheck, target: Target) -> None:
        self._stream = stream
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        try:
            self._tls = _context(verify=check.verify).wrap_bio(
                self._in, self._out, server_hostname=server_name(check, target)
            )
        except ValueError as error:
            raise ProbeFailed(f"{server_name(check, target)!r} is no name of a TLS server: {error}") from error

    async def handshake(self) -> None:
        """Agree on keys; judges the certificate if that is wanted."""
        await self._doing(self._tls.do_handshake)

    async def send(self, data: bytes) -> None:
        """Write all of it."""
        await self._doing(lambda: self._tls.write(data))

    async def receive(self, most: int) -> bytes:
        """Read what there is, b"" at the end."""
        return await self._doing(lambda: self._tls.read(most))

    def days_left(self) -> float | None:
        """Tell in how many days the real server's certificate ends; None if that cannot be read."""
        ends = end_of(self._tls.getpeercert(binary_form=True) or b"")
        return None if ends is None else (ends - datetime.now(UTC)).total_seconds() / _DAY

    async def _doing(self, step: Callable[[], T]) -> T:
        """Take a step as soon as what it needs has come."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                await self._flush()
                await self._more()
            except ssl.SSLEOFError as error:
                raise ProbeFailed("the connection was closed within TLS") from error
            except ssl.SSLZeroReturnError:
                return step()
            except ssl.SSLCertVerificationError as error:
                raise ProbeFailed(f"its certificate is not trusted: {error.verify_message}") from error
            except ssl.SSLError as error:
                raise ProbeFailed(f"TLS: {(error.reason or str(error)).lower().replace('_', ' ')}") from error
            else:
                await self._flush()
                return done

    async def _flush(self) -> None:
        if data := self._out.read():
            await self._stream.send(data)

    async def _more(self) -> None:
        data = await self._stream.receive(_READ)
        if data:
            self._in.write(data)
        else:
            self._in.write_eof()


def end_of(certificate: bytes) -> datetime | None:
    """Tell until when a certificate (DER) is valid; None for what cannot be read as one."""
    try:
        return x509.load_der_x509_certificate(certificate).not_valid_after_utc
    except (ValueError, x509.InvalidVersion):
        return None
