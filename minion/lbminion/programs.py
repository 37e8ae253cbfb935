"""Running another program: without a shell, bounded in time, with what it said.

What its code and its words mean, and which error that is, is the caller's business.
"""

from __future__ import annotations

import asyncio


async def run(*command: str, seconds: float) -> tuple[int, str]:
    """Run a program with nothing to read; return its code and what it wrote to either output.

    The code is negative when a signal ended it. Raises `OSError` when it cannot be run, and `TimeoutError` when it did
    not end within that many seconds; it is killed then, and also when the caller is cancelled.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), seconds)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")
