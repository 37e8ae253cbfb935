"""Targets: what a real server, which may be somebody else's by now, answers to a probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from lbminion.health import dns_packet
from lbminion.health.http_answer import Answer
from lbminion.health.outcome import ProbeFailed
from lbminion.health.tls import end_of
from lbstates.checks import DnsCheck, HttpCheck

_CHECKS: Final = (HttpCheck(body="ok"), HttpCheck(), HttpCheck(method="HEAD", body="ok"))
_QUERY: Final = dns_packet.query(DnsCheck(name="web.example", type="A"), 0x1234)
_MOST_KEPT: Final = 256 * 1024


def _judge(check: HttpCheck, pieces: list[bytes]) -> str:
    """Say what passed, or "" for what failed: a probe that is at its end has one of the two."""
    answer = Answer(check)
    try:
        for piece in (*pieces, b""):
            if said := answer.take(piece):
                return said
            body = answer._body
            assert len(answer._raw) + (0 if body is None else len(body.text) + len(body._raw)) < _MOST_KEPT
    except ProbeFailed as failure:
        assert str(failure).isprintable()
        return ""
    raise AssertionError("an answer that ended has no verdict")


def _http(check: HttpCheck, data: bytes) -> None:
    """However the reads fall, the verdict is the same."""
    at = len(data) // 3
    verdict = _judge(check, [data])
    assert _judge(check, [data[:at], data[at:]]) == verdict
    assert _judge(check, [data[i : i + 7] for i in range(0, len(data), 7)]) == verdict


def _dns(data: bytes) -> None:
    if dns_packet.answers(_QUERY, data):
        try:
            assert dns_packet.judge(data)
        except ProbeFailed as failure:
            assert str(failure).isprintable()


def _certificate(data: bytes) -> None:
    ends = end_of(data)
    assert ends is None or ends.tzinfo is UTC or ends.utcoffset() == timedelta(0)


_READERS: Final[tuple[Callable[[bytes], None], ...]] = (
    *((lambda data, check=check: _http(check, data)) for check in _CHECKS),
    _dns,
    _certificate,
)


def probes(data: bytes) -> None:
    """The first byte says which of the readers is meant."""
    if data:
        _READERS[data[0] % len(_READERS)](data[1:])


def probes_seeds() -> Iterator[bytes]:
    head = b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Type: text/plain\r\n"
    for answer in (
        head + b"Content-Length: 5\r\n\r\nit ok",
        head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nit \r\n2;x=y\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 204 No Content\n\n",
        b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\nsorry",
    ):
        yield from (bytes([reader]) + answer for reader in range(len(_CHECKS)))
    address = b"\xc0\x0c\0\1\0\1\0\0\0\5\0\4\x0a\0\0\1"
    yield b"\3" + _QUERY[:2] + b"\x81\x80\0\1\0\1" + _QUERY[8:] + address
    yield b"\3" + _QUERY[:2] + b"\x81\x83\0\1\0\0" + _QUERY[8:]
    yield b"\4" + _signed_by_itself()


@lru_cache(1)
def _signed_by_itself() -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(b"\x03" * 32)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "web.example")])
    begins = datetime(2020, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, begins, begins + timedelta(days=3650))
    return builder.sign(key, None).public_bytes(Encoding.DER)
