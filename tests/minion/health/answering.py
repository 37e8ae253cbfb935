"""Real servers for probes: they listen on loopback addresses, and answer as they are told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from lbminion.health.outcome import Outcome, ProbeFailed, Target
from lbminion.health.probes import asker
from lbstates.checks import Check

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def ask(target: Target, check: Check, directory: Path = Path("/nonexistent")) -> Outcome:
    """Probe once, as the scheduler would, with its timeout."""
    async with asyncio.timeout(check.timeout):
        return await asker(directory)(target, check)


async def refused(target: Target, check: Check, directory: Path = Path("/nonexistent")) -> str:
    """Probe once, and say why it failed."""
    try:
        outcome = await ask(target, check, directory)
    except ProbeFailed as failure:
        return str(failure)
    raise AssertionError(f"it passed: {outcome}")


def answer(text: bytes) -> Handler:
    """Read a request, write this, and close."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(text)
        await writer.drain()

    return handle


@asynccontextmanager
async def serving(
    handler: Handler, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Target]:
    """Serve TCP on a free port."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (OSError, ssl.SSLError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, address, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    async with server:
        yield Target(address, port)


@contextmanager
def datagrams(address: str = "127.0.0.1") -> Iterator[tuple[socket.socket, Target]]:
    """Take datagrams on a free port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind((address, 0))
        made.setblocking(False)
        yield made, Target(address, made.getsockname()[1], "udp")


def nobody(kind: socket.SocketKind = socket.SOCK_STREAM) -> Target:
    """A port on which nobody listens."""
    with socket.socket(socket.AF_INET, kind) as made:
        made.bind(("127.0.0.1", 0))
        return Target("127.0.0.1", made.getsockname()[1], "tcp" if kind == socket.SOCK_STREAM else "udp")


@contextmanager
def silent() -> Iterator[Target]:
    """A port whose queue of connections is full: a further SYN is dropped, as by a host that is gone."""
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        made.listen(0)
        with socket.create_connection(made.getsockname()):
            yield Target("127.0.0.1", made.getsockname()[1])
