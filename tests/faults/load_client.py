"""Runs on the client while faults happen: sends requests to one address at a steady rate, and tells what each one met.

    python3 - ADDRESS PORT RATE <load_client.py

Each request goes out at its time, however long the ones before it take, on a connection of its own. One line of JSON for
each that has ended: [begin, seconds, real server ("" if lost), error]; `begin` is Unix time by a clock that nobody sets.
Ends when nobody reads. Standard library only: it runs where nothing is installed.
"""

import asyncio
import json
import sys
import time

TIMEOUT_SECONDS = 3.0
FLUSH_SECONDS = 0.2
REQUEST = b"GET / HTTP/1.0\r\nHost: lab\r\n\r\n"
CLOCK = time.time() - time.monotonic()


def now() -> float:
    """Unix time that goes on evenly when the host's clock is set."""
    return CLOCK + time.monotonic()


async def answer(address: str, port: int) -> str:
    """Ask once; returns what stands in the page, raises `OSError` or `ValueError`."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(REQUEST)
        head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if b" 200 " not in head.split(b"\r\n")[0]:
        raise ValueError(head.split(b"\r\n")[0].decode(errors="replace") or "closed without an answer")
    return body.decode().strip()


async def ask(address: str, port: int, ended: list[str]) -> None:
    """Ask once, and note what came of it."""
    begin, server, error = now(), "", ""
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            server = await answer(address, port)
    except TimeoutError:
        error = "timeout"
    except ValueError as wrong:
        error = str(wrong)
    except OSError as wrong:
        error = type(wrong).__name__
    ended.append(json.dumps([round(begin, 4), round(now() - begin, 4), server, error]))


async def write(ended: list[str]) -> None:
    """Hand on what has ended, a few times a second: a line at a time would cost more than the requests."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        if ended:
            sys.stdout.write("".join(f"{line}\n" for line in ended))
            sys.stdout.flush()
            ended.clear()


async def main() -> None:
    """Ask until nobody reads."""
    address, port, pause = sys.argv[1], int(sys.argv[2]), 1 / float(sys.argv[3])
    ended: list[str] = []
    writing = asyncio.create_task(write(ended))
    asking: set[asyncio.Task[None]] = set()
    due = time.monotonic()
    while not writing.done():
        task = asyncio.create_task(ask(address, port, ended))
        asking.add(task)
        task.add_done_callback(asking.discard)
        # A machine that stood still does not catch up: a burst would be another kind of load.
        due = max(due + pause, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


asyncio.run(main())
