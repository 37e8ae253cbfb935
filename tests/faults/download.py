"""Runs in the guests: a download that takes its time, and who fetches it.

    python3 - serve PORT <download.py
    python3 - fetch ADDRESS PORT SECONDS <download.py

`serve` sends numbered blocks, ten a second, for as many seconds as the first line asks for. `fetch` prints one JSON object:
blocks, the longest pause in seconds, and what was wrong ("": nothing). Standard library only.
"""

import asyncio
import json
import sys
import time

BLOCK = 4096
PAUSE_SECONDS = 0.1
PATIENCE_SECONDS = 15.0


def block(number: int) -> bytes:
    """Every block is another one: none can be missing, or come twice, unseen."""
    return number.to_bytes(8, "big") * (BLOCK // 8)


async def send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one connection."""
    count = int(float(await reader.readline()) / PAUSE_SECONDS)
    for number in range(count):
        writer.write(block(number))
        await writer.drain()
        await asyncio.sleep(PAUSE_SECONDS)
    writer.close()


async def serve(port: int) -> None:
    """Answer until killed."""
    server = await asyncio.start_server(send, port=port)
    await server.serve_forever()


async def fetch(address: str, port: int, seconds: float) -> dict[str, object]:
    """Fetch it all; what goes wrong is part of the answer."""
    got, gap, error = 0, 0.0, ""
    try:
        reader, writer = await asyncio.open_connection(address, port)
        writer.write(f"{seconds}\n".encode())
        last = time.monotonic()
        while got < int(seconds / PAUSE_SECONDS):
            if await asyncio.wait_for(reader.readexactly(BLOCK), PATIENCE_SECONDS) != block(got):
                error = f"block {got} is another one"
                break
            got, gap, last = got + 1, max(gap, time.monotonic() - last), time.monotonic()
        writer.close()
    except (OSError, TimeoutError, EOFError) as wrong:
        error = f"{type(wrong).__name__}: {wrong}"
    return {"blocks": got, "gap": round(gap, 2), "error": error}


if sys.argv[1] == "serve":
    asyncio.run(serve(int(sys.argv[2])))
else:
    sys.stdout.write(json.dumps(asyncio.run(fetch(sys.argv[2], int(sys.argv[3]), float(sys.argv[4])))) + "\n")
