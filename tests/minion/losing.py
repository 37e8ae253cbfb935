"""A program: a link whose broadcast connection ends while libzmq has read a message by half. Run by test_link.

A mistake there is an assertion of libzmq, which ends the whole process, so it gets a process of its own. The argument says
how the connection ends; what the link has then received goes to standard output, a line each.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import zmq
import zmq.asyncio
from zmq.utils.monitor import recv_monitor_message

from lbminion.config import Config, Master
from lbminion.link import Link
from lbservice import sockets
from lbservice.keys import CurvePair, fingerprint
from lbwire import topics

PATIENCE = 20
AFTER = b"after"


def _broadcasting(context: zmq.asyncio.Context, keys: CurvePair) -> zmq.asyncio.Socket:
    """Make what stands in for the master's broadcast socket."""
    socket = context.socket(zmq.XPUB)
    socket.setsockopt(zmq.LINGER, 0)
    socket.curve_server, socket.curve_secretkey = True, keys.secret
    return socket


async def _bind_again(socket: zmq.asyncio.Socket, address: str) -> None:
    """libzmq closes in a thread of its own: the port is free a moment later."""
    while True:
        with suppress(zmq.ZMQError):
            socket.bind(address)
            return
        await asyncio.sleep(0.01)


async def _subscribed(master: zmq.asyncio.Socket, broadcast: zmq.asyncio.Socket) -> None:
    """Wait for the subscription, which libzmq sends when somebody asks the other socket for something."""
    while not await master.poll(10):
        broadcast.getsockopt(zmq.EVENTS)
    assert (await master.recv())[1:] == topics.BEACON


async def _main(how: str) -> None:
    context, keys, own = zmq.asyncio.Context(), CurvePair(*zmq.curve_keypair()), CurvePair(*zmq.curve_keypair())
    master = _broadcasting(context, keys)
    port = master.bind_to_random_port("tcp://127.0.0.1")
    received: list[bytes] = []
    where = Master("127.0.0.1", port, port, fingerprint(keys.public), "00" * 32)
    link = Link(Config("r1", where), own, received.append, lambda: None, lambda: None)
    broadcast = link._broadcast
    monitor = broadcast.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    link._connect(broadcast)
    await _subscribed(master, broadcast)
    for number in range(3):
        await master.send_multipart([topics.BEACON, b"before %d" % number])
    # Whoever asks whether there is something to read has libzmq take the first frame.
    await broadcast.poll()
    if how == "rekey":
        link.rekey(own, keys.public)
        link._connect(broadcast)
        master.close()
    else:
        master.close()
        while (await recv_monitor_message(monitor))["event"] != zmq.EVENT_DISCONNECTED:
            pass
    # At once: libzmq gives up the rest of the message in the steps of its next calls.
    reading = asyncio.create_task(sockets.read(broadcast, link._handle))
    master = _broadcasting(context, keys)
    await _bind_again(master, f"tcp://127.0.0.1:{port}")
    await _subscribed(master, broadcast)
    await master.send_multipart([topics.BEACON, AFTER])
    while AFTER not in received:
        await asyncio.sleep(0.01)
    sys.stdout.writelines(f"{message.decode()}\n" for message in received)
    reading.cancel()
    link._context.destroy(0)
    context.destroy(0)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(_main(sys.argv[1]), PATIENCE))
