"""Reading and sending on real sockets: nothing is lost, nothing blocks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import zmq
import zmq.asyncio

from lbservice.sockets import MOST_BYTES, Message, drain, read, send

COUNT = 30_000
PATIENCE = 30


class Sockets:
    """Makes sockets, and keeps them until they are closed together."""

    def __init__(self) -> None:
        self.context = zmq.asyncio.Context()
        self.made: list[zmq.asyncio.Socket] = []

    def socket(self, kind: int) -> zmq.asyncio.Socket:
        self.made.append(self.context.socket(kind))
        return self.made[-1]


@pytest.fixture
async def sockets() -> AsyncIterator[Sockets]:
    sockets = Sockets()
    yield sockets
    for socket in sockets.made:
        socket.close(linger=0)
    sockets.context.term()


async def test_none_of_30000_messages_is_lost(sockets: Sockets, tmp_path: Path) -> None:
    """In order, from a sender that sends as fast as it can, while the loop has other work to do."""
    receiver, sender = sockets.socket(zmq.PULL), zmq.Socket.shadow(sockets.socket(zmq.PUSH))
    receiver.bind(f"ipc://{tmp_path}/s")
    sender.connect(f"ipc://{tmp_path}/s")
    got: list[int] = []
    sizes: list[int] = []
    done = asyncio.Event()

    def handle(batch: list[Message]) -> None:
        sizes.append(len(batch))
        got.extend(int(message[0].bytes) for message in batch)
        if len(got) >= COUNT:
            done.set()

    def send_all() -> None:
        for number in range(COUNT):
            sender.send(b"%d" % number)

    reader = asyncio.create_task(read(receiver, handle))
    await asyncio.gather(asyncio.to_thread(send_all), asyncio.wait_for(done.wait(), PATIENCE))
    reader.cancel()
    assert got == list(range(COUNT))
    assert max(sizes) <= 512


async def test_a_reader_that_is_stopped_and_started_loses_nothing(sockets: Sockets, tmp_path: Path) -> None:
    """Cancelling the reader takes no message with it: the next one goes on where it ended."""
    receiver, sender = sockets.socket(zmq.PULL), zmq.Socket.shadow(sockets.socket(zmq.PUSH))
    receiver.bind(f"ipc://{tmp_path}/s")
    sender.connect(f"ipc://{tmp_path}/s")
    got: list[int] = []
    progress = asyncio.Event()

    def handle(batch: list[Message]) -> None:
        got.extend(int(message[0].bytes) for message in batch)
        progress.set()

    def send_all() -> None:
        for number in range(COUNT):
            sender.send(b"%d" % number)

    sending = asyncio.create_task(asyncio.to_thread(send_all))
    restarts = 0
    async with asyncio.timeout(PATIENCE):
        while len(got) < COUNT:
            progress.clear()
            reader = asyncio.create_task(read(receiver, handle, most=50))
            await progress.wait()
            reader.cancel()
            await asyncio.wait([reader])
            restarts += 1
        await sending
    assert got == list(range(COUNT))
    assert restarts > 10


async def test_a_reader_that_also_sends_is_not_put_to_sleep(sockets: Sockets) -> None:
    """Request and answer on the same two sockets, one at a time: no wake-up is swallowed by a send."""
    server, client = sockets.socket(zmq.ROUTER), sockets.socket(zmq.DEALER)
    port = server.bind_to_random_port("tcp://127.0.0.1")
    client.connect(f"tcp://127.0.0.1:{port}")
    done = asyncio.Event()
    answers: list[bytes] = []

    def answer(batch: list[Message]) -> None:
        for message in batch:
            assert send(server, [frame.bytes for frame in message])

    def ask_again(batch: list[Message]) -> None:
        answers.extend(message[-1].bytes for message in batch)
        if len(answers) == 2_000:
            done.set()
        else:
            assert send(client, [b"%d" % len(answers)])

    tasks = [asyncio.create_task(read(server, answer)), asyncio.create_task(read(client, ask_again))]
    assert send(client, [b"0"])
    await asyncio.wait_for(done.wait(), PATIENCE)
    for task in tasks:
        task.cancel()
    assert answers == [b"%d" % number for number in range(2_000)]


async def test_an_error_of_the_handler_ends_the_reader(sockets: Sockets, tmp_path: Path) -> None:
    """It is not swallowed: whoever started the reader sees it."""
    receiver, sender = sockets.socket(zmq.PULL), sockets.socket(zmq.PUSH)
    receiver.bind(f"ipc://{tmp_path}/s")
    sender.connect(f"ipc://{tmp_path}/s")

    def handle(_batch: list[Message]) -> None:
        raise LookupError("a mistake of ours")

    assert send(sender, [b"x"])
    with pytest.raises(LookupError, match="a mistake of ours"):
        await asyncio.wait_for(read(receiver, handle), PATIENCE)


async def test_draining_takes_no_more_than_asked(sockets: Sockets, tmp_path: Path) -> None:
    """And nothing from an empty socket."""
    receiver, sender = sockets.socket(zmq.PULL), sockets.socket(zmq.PUSH)
    receiver.bind(f"ipc://{tmp_path}/s")
    sender.connect(f"ipc://{tmp_path}/s")
    plain: zmq.Socket[bytes] = zmq.Socket.shadow(receiver)
    assert drain(plain, 10) == []
    for number in range(5):
        assert send(sender, [b"%d" % number])
    got: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while len(got) < 5:
            await receiver.poll(flags=zmq.POLLIN)
            batch = drain(plain, 2)
            assert len(batch) <= 2
            got += [message[0].bytes for message in batch]
    assert got == [b"0", b"1", b"2", b"3", b"4"]


async def test_sending_to_nobody_says_so(sockets: Sockets) -> None:
    """A peer that is gone, a queue that is full: False, and no waiting."""
    router = sockets.socket(zmq.ROUTER)
    router.setsockopt(zmq.ROUTER_MANDATORY, 1)
    assert not send(router, [b"nobody", b"x"])
    push = sockets.socket(zmq.PUSH)
    assert not send(push, [b"x"])


async def test_another_error_of_sending_is_raised(sockets: Sockets) -> None:
    """A socket that is closed is a mistake of ours."""
    push = sockets.socket(zmq.PUSH)
    push.close()
    with pytest.raises(zmq.ZMQError):
        send(push, [b"x"])


async def test_a_batch_of_large_messages_is_short(sockets: Sockets, tmp_path: Path) -> None:
    """What is handed over at once is dealt with at once: everything else waits for so long."""
    receiver, sender = sockets.socket(zmq.PULL), sockets.socket(zmq.PUSH)
    receiver.bind(f"ipc://{tmp_path}/s")
    sender.connect(f"ipc://{tmp_path}/s")
    got: list[int] = []
    done = asyncio.Event()

    def handle(batch: list[Message]) -> None:
        got.append(sum(len(frame) for message in batch for frame in message))
        if sum(got) == 30 * 2**20:
            done.set()

    reader = asyncio.create_task(read(receiver, handle))
    for _ in range(30):
        await sender.send(bytes(2**20))
    await asyncio.wait_for(done.wait(), PATIENCE)
    reader.cancel()
    assert max(got) <= MOST_BYTES + 2**20
