"""The check `tcp`, and what all that connect have in common."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import Iterator

import pytest

from lbminion.health.outcome import CannotProbe, Target
from lbminion.health.sockets import opened
from lbstates.checks import TcpCheck

from .answering import ask, nobody, refused, serving, silent

TCP = TcpCheck(timeout=0.3, interval=1)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_port_that_is_listened_on_passes(address: str) -> None:
    """Of either family."""
    accepted = asyncio.Event()

    async def handle(*_: object) -> None:
        accepted.set()

    async with serving(handle, address) as target:
        assert (await ask(target, TCP)).passed
        async with asyncio.timeout(5):
            await accepted.wait()


async def test_a_closed_port_fails_at_once() -> None:
    """By the reset, not by the timeout."""
    assert await refused(nobody(), TCP) == "connection refused"


async def test_a_port_that_drops_every_syn_ends_by_the_timeout() -> None:
    """It is for the scheduler to end it; nothing is left behind."""
    with silent() as target, pytest.raises(TimeoutError):
        await ask(target, TCP)


async def test_the_connection_ends_with_a_reset() -> None:
    """So that nobody keeps a TIME_WAIT of it."""
    ended: asyncio.Future[type[BaseException] | None] = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        try:
            await reader.read()
            ended.set_result(None)
        except ConnectionResetError as error:
            ended.set_result(type(error))

    async with serving(handle) as target, asyncio.timeout(5):
        await ask(target, TCP)
        assert await ended is ConnectionResetError


async def test_the_source_address_is_the_one_that_is_asked_for() -> None:
    """The answer of a real server has to come back to this very host."""
    seen: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.set_result(writer.get_extra_info("peername")[0])

    async with serving(handle) as target, asyncio.timeout(5):
        await ask(target._replace(source="127.0.0.9"), TCP)
        assert await seen == "127.0.0.9"


async def test_a_source_that_this_host_does_not_have_says_nothing_about_the_real_server() -> None:
    """It is this host that cannot ask."""
    with pytest.raises(CannotProbe, match="assign requested address"):
        await ask(Target("127.0.0.1", 1, source="192.0.2.1"), TCP)


@pytest.fixture
def no_more_files() -> Iterator[None]:
    """A process that has as many open files as it may."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("no_more_files")
def test_a_host_without_descriptors_says_nothing_about_the_real_server() -> None:
    """Otherwise all real servers would fail at once."""
    with pytest.raises(CannotProbe, match="open files"), opened(Target("127.0.0.1", 1), socket.SOCK_STREAM):
        pass


def test_what_the_kernel_says_is_the_reason() -> None:
    """In words."""
    with pytest.raises(Exception, match="host unreachable"), opened(Target("127.0.0.1", 1), socket.SOCK_STREAM):
        raise OSError(errno.EHOSTUNREACH, "No route to host")
