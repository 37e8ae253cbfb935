"""What somebody asked of a cluster, from its first generation to its last: who watches, and what came of it.

Most need one generation. What leaves is drained in one of its own before; what hurts is taken back by one more.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from lbwire.messages import Step

from .push import Note, Push
from .requests import Request
from .rollout import Finish

Stays: TypeAlias = Literal["", "not_released", "kept", "no_rollback", "first", "damaged"]
"""Why a generation that failed was not taken back: no host was told to apply it, it was asked for (`rollout abort --keep`,
`--no-rollback`), nothing of the cluster ever converged, or what did is damaged."""


@dataclass(slots=True)
class Errand:
    """`result` is done when nothing more follows. `started` is on the loop's clock; `left`: connections, after a drain."""

    cluster: str
    request: Request
    result: asyncio.Future[dict[str, Any]]
    started: float
    missing: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    warnings: tuple[dict[str, Any], ...] = ()
    skipped: str = ""
    notes: list[Note] = field(default_factory=list)
    generation: int = 0
    outcome: str = ""
    gate: tuple[str, ...] = ()
    problems: dict[str, str] = field(default_factory=dict)
    rollback: dict[str, Any] | None = None
    left: int | None = None
    stays: Stays = ""
    _hosts: dict[str, dict[str, Any]] = field(default_factory=dict)

    def tell(self, note: dict[str, Any]) -> None:
        """Tell everybody who watches."""
        for watcher in self.notes:
            watcher(note)

    def took(self, push: Push, finish: Finish) -> None:
        """Note how a generation of it ended."""
        if push.course.undoes:
            self.rollback = {
                "generation": push.generation,
                "content_of": push.course.base,
                "outcome": finish.outcome,
                "problems": push.problems,
            }
            self.outcome = "rolled_back" if finish.outcome == "converged" else "failed"
            return
        self.generation, self.outcome, self.gate, self.problems = (
            push.generation, finish.outcome, finish.gate, push.problems,
        )  # fmt: skip
        self.left = self.left if push.left is None else push.left
        for host, progress in push.hosts.items():
            before: tuple[Step, ...] = self._hosts.get(host, {}).get("steps", ())
            self._hosts[host] = {
                "state": progress.state,
                "steps": (*before, *(progress.steps or ())),
                "seconds": progress.seconds,
                "problem": progress.problem,
            }

    @property
    def reason(self) -> str:
        """Say in one line why it failed."""
        if self.gate:
            return "; ".join(self.gate)
        if self.outcome == "aborted":
            return "aborted by an operator"
        real = {host: problem for host, problem in self.problems.items() if not problem.startswith("not released")}
        return "; ".join(f"{host}: {problem}" for host, problem in sorted(real.items()))

    def end(self, now: float, released: int) -> None:
        """Give the answer to whoever waits; `released` is the generation in force now."""
        if not self.result.done():
            self.result.set_result(self._answer(now, released))

    def _answer(self, now: float, released: int) -> dict[str, Any]:
        return {
            "cluster": self.cluster,
            "generation": self.generation,
            "outcome": self.outcome,
            "seconds": round(now - self.started, 4),
            "hosts": dict(sorted(self._hosts.items())),
            "findings": self.warnings,
            "missing": self.missing,
            "dropped": self.dropped,
            "gate": self.gate,
            "left": self.left,
            "rollback": self.rollback,
            "stays": self.stays,
            "released": released,
        }
