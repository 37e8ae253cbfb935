"""Threads that answer at sockets, and end before these are closed.

A thread that is about to read when another one closes its socket reads from whatever gets the number of that next: it once
took the kernel's answer to a netlink request.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

LOOK_SECONDS: Final = 0.1


class Answering:
    """Calls `answer` with a socket whenever there is something to take from it, until `end`."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []

    def at(self, sock: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        thread = threading.Thread(target=self._run, args=(sock, answer), daemon=True)
        self._sockets.append(sock)
        self._threads.append(thread)
        thread.start()

    def _run(self, sock: socket.socket, answer: Callable[[socket.socket], None]) -> None:
        while not self._over.is_set():
            if select.select([sock], [], [], LOOK_SECONDS)[0]:
                with suppress(OSError):
                    answer(sock)

    def end(self) -> None:
        """Wait for the threads, then close the sockets."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        for sock in self._sockets:
            sock.close()


def greet(text: str) -> Callable[[socket.socket], None]:
    """Make an answer to connections: read once what is asked, say the text, close."""

    def answer(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(5)
            connection.recv(1000)
            connection.sendall(text.encode())

    return answer
