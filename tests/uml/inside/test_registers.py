"""The guest itself: what a processor keeps in registers survives that others run, on whatever machine the guest is.

User-Mode Linux puts the registers of a process away and back, and on some processors it needs help with that
(vagrant/microvm/xstate.c). A mistake there would be taken for one of what is tested in guests.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

THREADS = 4
ROUNDS = 30
BLOCK = bytes(range(256)) * 512
"""Large enough that a thread is interrupted in the middle of it."""


def test_threads_keep_their_vector_registers_apart() -> None:
    """Digests are calculated in vector registers, by several threads of one process at once, without Python's lock."""
    expected = hashlib.sha512(BLOCK * ROUNDS).hexdigest()

    def digest(_: int) -> str:
        made = hashlib.sha512()
        for _ in range(ROUNDS):
            made.update(BLOCK)
        return made.hexdigest()

    with ThreadPoolExecutor(THREADS) as threads:
        assert set(threads.map(digest, range(THREADS * 4))) == {expected}
