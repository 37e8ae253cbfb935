"""A small real server on unix sockets that speaks the control protocol: scripted answers, and a journal of events."""

from __future__ import annotations

import fnmatch
import json
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = dict[str, Any]
Answer = list[Json] | Callable[[Json], list[Json]]


@dataclass
class Master:
    """What it knows: answers by verb, the journal, and the requests that were made."""

    folder: Path
    answers: dict[str, Answer] = field(default_factory=dict)
    journal: list[Json] = field(default_factory=list)
    requests: list[Json] = field(default_factory=list)
    grown: threading.Condition = field(default_factory=threading.Condition)
    stopping: bool = False
    serving: list[socket.socket] = field(default_factory=list)
    followers: int = 0

    @property
    def socket(self) -> Path:
        return self.folder / "control.sock"

    @property
    def events_socket(self) -> Path:
        return self.folder / "events.sock"

    def happens(self, event_type: str, minion: str = "netology3", cluster: str = "netology", **data: Any) -> int:
        """Journal an event, and wake those who follow; returns its cursor."""
        with self.grown:
            cursor = len(self.journal) + 1
            self.journal.append({
                "cursor": cursor, "minion": minion, "boot": 1, "sequence": cursor, "type": event_type,
                "time": 1700000000.25, "received": 1700000000.5, "cluster": cluster, "data": data,
            })  # fmt: skip
            self.grown.notify_all()
        return cursor

    @contextmanager
    def running(self) -> Iterator[Master]:
        """Serve on both sockets until the end of the block, then hang up on everybody, as a killed master does."""
        self.stopping = False
        self.serving.clear()
        servers = [self._server(path) for path in (self.socket, self.events_socket)]
        threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for server in servers:
                server.shutdown()
            with self.grown:
                self.stopping = True
                self.grown.notify_all()
            for connection in self.serving:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for server, thread in zip(servers, threads, strict=True):
                server.server_close()
                thread.join()

    def _server(self, path: Path) -> socketserver.ThreadingUnixStreamServer:
        master = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                master.serving.append(self.connection)
                with suppress(OSError, ValueError):
                    line = self.rfile.readline()
                    if line:
                        for answer in master._answer(json.loads(line)):
                            self.wfile.write(json.dumps(answer).encode() + b"\n")

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = False

        path.unlink(missing_ok=True)
        return Server(str(path), Handler)

    def _answer(self, request: Json) -> Iterator[Json]:
        with self.grown:
            self.requests.append(request)
            self.grown.notify_all()
        verb = request["verb"]
        if verb in self.answers:
            answer = self.answers[verb]
            yield from answer(request) if callable(answer) else answer
        elif verb == "events":
            yield from self._events(request)
        else:
            yield {"error": {"kind": "bad_request", "text": f"unknown verb {verb}"}}

    def _events(self, request: Json) -> Iterator[Json]:
        if not request.get("follow"):
            found = [event for event in self.journal if _passes(event, request)]
            limit, since = request.get("limit", len(found)), request.get("since")
            chosen = found[len(found) - limit :] if since is None else [e for e in found if e["cursor"] > since][:limit]
            yield from ({"note": event} for event in chosen)
            yield {"result": {"cursor": len(self.journal)}}
            return
        position = request.get("since", len(self.journal))
        with self.grown:
            self.followers += 1
            self.grown.notify_all()
        while new := self._after(position):
            position += len(new)
            yield from ({"note": event} for event in new if _passes(event, request))

    def _after(self, position: int) -> list[Json]:
        """Wait for events; none: the server stops."""
        with self.grown:
            self.grown.wait_for(lambda: self.stopping or len(self.journal) > position)
            return [] if self.stopping else self.journal[position:]

    def wait_for_follower(self, number: int = 1) -> None:
        """Wait until so many subscriptions have been made since the beginning."""
        with self.grown:
            assert self.grown.wait_for(lambda: self.followers >= number, timeout=10)


def _passes(event: Json, request: Json) -> bool:
    types, hosts = request.get("types") or ["*"], request.get("hosts") or [event["minion"]]
    return (
        any(fnmatch.fnmatchcase(event["type"], glob) for glob in types)
        and event["minion"] in hosts
        and request.get("cluster") in (None, event["cluster"])
    )
