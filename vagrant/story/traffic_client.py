"""Runs on the client while something happens: asks every VIP all the time, and tells what each request met.

    python3 traffic_client.py REPORT ADDRESS...

A thread for each address sends HTTP requests one after the other, each on a new connection. SIGTERM ends it; then REPORT
holds one JSON object, address -> {sent, failed: [[begin, end, error], ...], slowest, gap: [begin, end]}; times are of the
host's clock, `gap` is the longest time without an answer. Standard library only: it runs where nothing is installed.
"""

import http.client
import json
import signal
import sys
import threading
import time
from pathlib import Path

TIMEOUT_SECONDS = 5.0
PAUSE_SECONDS = 0.03


class Traffic:
    """What came of the requests to one address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.sent = 0
        self.failed: list[tuple[float, float, str]] = []
        self.slowest = 0.0
        self.gap = (0.0, 0.0)
        self._answered = time.time()

    def run(self, ended: threading.Event) -> None:
        """Send requests until the end is told."""
        while not ended.wait(PAUSE_SECONDS):
            self._send()

    def _send(self) -> None:
        begin = time.time()
        connection = http.client.HTTPConnection(self.address, 80, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            self.failed.append((begin, time.time(), type(error).__name__))
        else:
            now = time.time()
            self.gap = max(self.gap, (self._answered, now), key=lambda gap: gap[1] - gap[0])
            self._answered = now
        finally:
            connection.close()
        self.sent += 1
        self.slowest = max(self.slowest, time.time() - begin)

    def report(self) -> dict[str, object]:
        """The figures of this address."""
        return {"sent": self.sent, "failed": self.failed, "slowest": self.slowest, "gap": self.gap}


def main() -> None:
    """Ask all addresses until SIGTERM, then write the report under its name in one step."""
    target, addresses = Path(sys.argv[1]), sys.argv[2:]
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    all_traffic = [Traffic(address) for address in addresses]
    threads = [threading.Thread(target=traffic.run, args=(ended,)) for traffic in all_traffic]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps({traffic.address: traffic.report() for traffic in all_traffic}))
    partial.rename(target)


main()
