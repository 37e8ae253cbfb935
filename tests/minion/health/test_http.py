"""The checks `http` and `https`: what passes, what does not, and what a hostile answer can do (nothing)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from lbminion.health import tls
from lbminion.health.http_answer import MOST_BODY, Answer, request
from lbminion.health.outcome import ProbeFailed, Target
from lbstates.checks import HttpCheck, HttpsCheck

from .answering import answer, ask, refused, serving

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n"
LATER = b"HTTP/1.1 100 Continue\r\n\r\n"


def check(**fields: Any) -> HttpCheck:
    return HttpCheck(timeout=1, interval=1, **fields)


def judged(raw: bytes, step: int = 0, **fields: Any) -> str:
    """Judge an answer that comes in pieces of `step` bytes (0: in one)."""
    taking = Answer(check(**fields))
    for start in range(0, len(raw), step or len(raw) or 1):
        if said := taking.take(raw[start : start + (step or len(raw))]):
            return said
    return taking.take(b"")


# --- the request -----------------------------------------------------------------------------------------------------


def test_the_request_says_who_asks_for_what() -> None:
    """One request per connection."""
    sent = request(check(path="/health?x=1", host="shop.example"), Target("10.0.0.1", 80), 80).decode()
    assert sent.startswith("GET /health?x=1 HTTP/1.1\r\nHost: shop.example\r\n")
    assert "\r\nConnection: close\r\n" in sent
    assert sent.endswith("\r\n\r\n")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        (Target("10.0.0.1", 80), "10.0.0.1"),
        (Target("10.0.0.1", 8080), "10.0.0.1:8080"),
        (Target("10.0.0.1", 80, vip="10.0.0.100"), "10.0.0.100"),
        (Target("fd00::1", 80), "[fd00::1]"),
    ],
)
def test_without_a_host_the_vip_is_named(target: Target, host: str) -> None:
    """As by a browser: with the port where that is not the usual one."""
    assert f"\r\nHost: {host}\r\n" in request(check(), target, 80).decode()


# --- the answer ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 7])
@pytest.mark.parametrize(
    "raw", [OK, CHUNKED, LATER + OK, OK.replace(b"\r\n", b"\n"), OK.replace(b"Content-Length: 5\r\n", b"")]
)
def test_an_answer_with_status_and_body_passes(raw: bytes, step: int) -> None:
    """However it is framed, and in whatever pieces it comes."""
    assert judged(raw, step, body="ready") == "status 200, the body holds 'ready'"


def test_without_a_body_to_look_for_the_head_is_enough() -> None:
    """What follows is not waited for."""
    assert Answer(check()).take(b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n") == "status 204"


@pytest.mark.parametrize(
    ("raw", "fields", "reason"),
    [
        (b"HTTP/1.1 503 Busy\r\n\r\n", {}, "status 503"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", {"status": ((200, 299),)}, "status 302"),
        (OK, {"body": "healthy"}, "does not hold 'healthy'"),
        (OK[:-5] + b"re", {"body": "ready"}, "does not hold 'ready'"),
        (OK + b"healthy", {"body": "healthy"}, "does not hold 'healthy'"),
        (b"", {}, "without an answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", {}, "is not HTTP: it begins with b'SSH-2.0-OpenSSH_9.2"),
        (b"HTTP/1.1 200", {}, "is not HTTP"),
        (b"HTTP/1.1 999 Odd\r\n\r\n", {}, "is not HTTP"),
        (CHUNKED.replace(b"3;x=y", b"zz"), {"body": "ready"}, "chunk without size"),
        (CHUNKED.replace(b"3;x=y", b"-3"), {"body": "ready"}, "chunk without size"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20000, {}, "is not HTTP"),
        (OK.replace(b": 5", b": 999999") + b"x" * MOST_BODY + b"ready", {"body": "yready"}, "does not hold"),
    ],
)
@pytest.mark.parametrize("step", [0, 5])
def test_any_other_answer_fails(raw: bytes, fields: dict[str, Any], reason: str, step: int) -> None:
    """The reason says what came."""
    with pytest.raises(ProbeFailed, match=reason.replace("(", r"\(")):
        judged(raw, step, **fields)


@pytest.mark.parametrize("step", [0, 1])
def test_how_much_is_read_at_once_does_not_change_the_verdict(step: int) -> None:
    """What was wanted came before what is broken."""
    assert judged(CHUNKED.replace(b"0\r\n\r\n", b"zz\r\n"), step, body="ready").startswith("status 200")


def test_an_answer_of_nothing_but_ends_of_lines_takes_no_memory() -> None:
    """Where the size of a chunk should stand."""
    taking = Answer(check(body="x"))
    taking.take(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100):
        assert taking.take(b"\r\n" * 8192) == ""
    assert taking._body is not None
    assert len(taking._body._raw) < 16


def test_a_certificate_of_a_version_that_is_none_has_no_end() -> None:
    """Nor has what is no certificate; that is for TLS to judge, if it is to be verified."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    now = datetime.now(UTC).replace(microsecond=0)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 5, now, now + timedelta(days=5))
    good = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert tls.end_of(good) == now + timedelta(days=5)
    version_3 = bytes.fromhex("a003020102")
    assert version_3 in good
    assert tls.end_of(good.replace(version_3, bytes.fromhex("a003020107"))) is None
    assert tls.end_of(b"") is None


@given(st.lists(st.binary(max_size=200), max_size=20), st.booleans())
def test_no_answer_can_do_anything_but_pass_or_fail(pieces: list[bytes], head: bool) -> None:
    """Whatever a real server that was broken into sends."""
    taking = Answer(check(body="x"))
    try:
        for piece in ([b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] if head else []) + pieces + [b""]:
            if taking.take(piece):
                return
    except ProbeFailed:
        return
    raise AssertionError("neither passed nor failed at its end")


# --- over the network -------------------------------------------------------------------------------------------------


async def test_a_server_that_answers_passes() -> None:
    async with serving(answer(OK)) as target:
        assert (await ask(target, check(body="ready"))).reason == "status 200, the body holds 'ready'"


async def test_a_server_that_accepts_and_stays_silent_ends_by_the_timeout() -> None:
    """Which a check by TCP does not see."""

    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(handle) as target:
        with pytest.raises(TimeoutError):
            await ask(target, check())


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    """After 64 KiB it is judged."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 4096)
            await writer.drain()

    async with serving(handle) as target:
        assert "does not hold" in await refused(target, check(body="ready"))


@pytest.mark.parametrize(
    ("head", "piece"),
    [(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"\r\n")],
    ids=["not yet", "ends of lines"],
)
async def test_an_answer_that_never_gets_anywhere_is_given_up(head: bytes, piece: bytes) -> None:
    """Long before the timeout, which a fast sender would use to keep the director busy."""

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while True:
            writer.write(piece * 500)
            await writer.drain()

    async with serving(handle) as target:
        assert await refused(target, check(body="ready")) == "the answer does not end within 1024 KiB"


# --- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def certificate(tmp_path: Path) -> Any:
    """Make a server's context by name and days; the first is also its own authority."""

    def make(name: str = "shop.example", days: float = 300) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ip_address("127.0.0.1"))]
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), 1)
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        file = tmp_path / "server.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    return make


@pytest.fixture
async def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A director that trusts the authority that `certificate` made last."""
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "server.pem"))
    tls._context.cache_clear()
    yield
    tls._context.cache_clear()


def https(**fields: Any) -> HttpsCheck:
    return HttpsCheck(timeout=2, interval=2, **fields)


async def test_https_passes_with_any_certificate_by_default(certificate: Any) -> None:
    """Real servers often have one that only they and the director know; one that lasts is not spoken of."""
    async with serving(answer(OK), tls=certificate()) as target:
        outcome = await ask(target, https(body="ready"))
    assert (outcome.passed, outcome.days) == (True, None)


@pytest.mark.parametrize(("days", "expected"), [(10, 10), (-2, -2)])
async def test_a_certificate_that_ends_is_said(certificate: Any, days: int, expected: int) -> None:
    """And one that has ended; the check passes all the same."""
    async with serving(answer(OK), tls=certificate(days=days)) as target:
        outcome = await ask(target, https())
    assert outcome.days == pytest.approx(expected, abs=0.01)


async def test_nobody_asks_when_a_certificate_ends_if_that_is_not_wanted(certificate: Any) -> None:
    async with serving(answer(OK), tls=certificate(days=1)) as target:
        assert (await ask(target, https(expiry_days=0))).days is None


@pytest.mark.usefixtures("trusting")
async def test_a_trusted_certificate_passes_where_it_is_verified(certificate: Any) -> None:
    """For the name of `sni`, or that of the host header, or else the address."""
    async with serving(answer(OK), tls=certificate()) as target:
        for fields in ({"sni": "shop.example"}, {"host": "shop.example:8443"}, {}):
            assert (await ask(target, https(verify=True, **fields))).passed


@pytest.mark.usefixtures("trusting")
@pytest.mark.parametrize(
    ("days", "name", "reason"), [(300, "other.example", "mismatch"), (-1, "shop.example", "expired")]
)
async def test_a_wrong_certificate_fails_where_it_is_verified(
    certificate: Any, days: int, name: str, reason: str
) -> None:
    """It says why."""
    async with serving(answer(OK), tls=certificate(days=days)) as target:
        assert reason in await refused(target, https(verify=True, sni=name))


async def test_the_server_is_asked_for_by_its_name(certificate: Any) -> None:
    """SNI, without the port of the host header."""
    context, named = certificate(), []
    context.sni_callback = lambda _, name, __: named.append(name)
    async with serving(answer(OK), tls=context) as target:
        await ask(target, https(host="shop.example:8443"))
        await ask(target, https(host="shop.example", sni="other.example"))
        await ask(target, https())
    assert named == ["shop.example", "other.example", None]


async def test_a_server_that_does_not_speak_tls_fails() -> None:
    """Whatever it says instead."""
    async with serving(answer(OK)) as target:
        assert "tls" in (await refused(target, https())).lower()


async def test_a_server_that_closes_within_the_handshake_fails() -> None:
    async with serving(answer(b"")) as target:
        assert await refused(target, https())


async def test_a_name_that_tls_does_not_know_fails() -> None:
    """And does not end the minion."""
    async with serving(answer(OK)) as target:
        assert "no name of a TLS server" in await refused(target, https(sni="."))
