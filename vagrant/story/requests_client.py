"""Runs on the client: sends HTTP requests one after the other, each on a new connection, and prints what came of them.

    python3 requests_client.py ADDRESS PORT COUNT

One JSON object: sent, answered (body -> count), failed (error -> count), and the slowest answer in seconds.
Standard library only: it runs where nothing is installed.
"""

import http.client
import json
import sys
import time
from collections import Counter

TIMEOUT_SECONDS = 5.0


def main() -> None:
    """Send the requests."""
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    answered: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    slowest = 0.0
    begin = time.monotonic()
    for _ in range(count):
        start = time.monotonic()
        connection = http.client.HTTPConnection(address, port, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            answered[connection.getresponse().read().decode().strip()] += 1
        except (OSError, http.client.HTTPException) as error:
            failed[type(error).__name__] += 1
        finally:
            connection.close()
        slowest = max(slowest, time.monotonic() - start)
    seconds = time.monotonic() - begin
    print(json.dumps({"sent": count, "answered": answered, "failed": failed, "slowest": slowest, "seconds": seconds}))


main()
