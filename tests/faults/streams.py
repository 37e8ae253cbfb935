"""Commands that run in a guest all the time while faults happen, and whose every line is heard here."""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from microvm.lab import Lab

PAUSE_SECONDS: Final = 0.5
END_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Spoken:
    """What a stream runs: the guest, its command (made anew for each start), and what is fed to it."""

    host: str
    command: Callable[[], str]
    stdin: str = ""


class Stream:
    """Runs the command, hands on its lines, and starts it again when it ended: with its guest, or killed in it.

    `heard` gets each whole line, `ended` the time at which the command was found gone; both on the stream's own thread.
    """

    def __init__(
        self, lab: Lab, spoken: Spoken, heard: Callable[[str], None], ended: Callable[[float], None] | None = None
    ) -> None:
        self._lab = lab
        self._spoken = spoken
        self._heard = heard
        self._ended = ended
        self._stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._run, name=f"stream of {spoken.host}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the command's connection, and wait for the thread."""
        self._stopped.set()
        if self._process:
            self._process.terminate()
        self._thread.join(END_SECONDS)

    def _run(self) -> None:
        guest = self._lab.guest(self._spoken.host)
        while not self._stopped.is_set():
            if guest.running():
                self._listen(self._lab.access.words(guest, self._spoken.command()))
                if self._ended:
                    self._ended(time.time())
            self._stopped.wait(PAUSE_SECONDS)

    def _listen(self, words: list[str]) -> None:
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace"
        ) as process:
            self._process = process
            if self._stopped.is_set():
                process.terminate()
            assert process.stdin
            assert process.stdout
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self._spoken.stdin)
                process.stdin.close()
            for line in process.stdout:
                # What has no end was cut off together with its guest.
                if line.endswith("\n"):
                    self._heard(line.rstrip("\n"))
