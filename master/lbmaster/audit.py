"""Who may ask what, and what is journalled of those who ask for a change. Pure, but for the report.

A verb that is not named here is one that changes something: it is journalled, and not for subscribers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from lbwire.conclusions import OperatorActed

from .control import Conversation, Verb
from .peer import Peer, Right

READS: Final = frozenset({
    "ping", "status", "stats", "events", "history", "diff", "plan", "doctor", "keys.list", "keys.rotation",
    "rollout.status",
})  # fmt: skip
SUBSCRIBERS: Final = frozenset({"ping", "status", "stats", "events", "history"})
"""Nothing that has a cluster file's text in it: that holds passwords."""
MOST_SAID: Final = 1000
_BESIDE: Final = frozenset({"text", "by", "reason", "timeout", "options"})


def may(right: Right, verb: str) -> bool:
    """Decide what a client may ask over the network; keys are managed on the master's host only."""
    return verb in SUBSCRIBERS if right == "subscriber" else not verb.startswith("keys.")


def acted(verb: str, arguments: Mapping[str, Any], peer: Peer) -> OperatorActed:
    """Describe a request: `by` is who it was proved to be, and beside it who the client says."""
    said = arguments.get("by")
    by = f"{peer.name} (says: {said})" if isinstance(said, str) and said else peer.name
    what = ", ".join(
        f"{name}={_short(value)}"
        for name, value in arguments.items()
        if name not in _BESIDE and value not in (None, "", [])
    )
    reason = arguments.get("reason")
    return OperatorActed(
        verb, by[:MOST_SAID], peer.origin, what[:MOST_SAID], str(reason)[:MOST_SAID] if isinstance(reason, str) else ""
    )


def _short(value: Any) -> str:  # noqa: ANN401 - JSON
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def audited(verbs: Mapping[str, Verb], report: Callable[[OperatorActed], object]) -> dict[str, Verb]:
    """Journal each request for a change before it is dealt with: a master that dies then has it all the same."""
    return {name: verb if name in READS else _audited(name, verb, report) for name, verb in verbs.items()}


def _audited(name: str, verb: Verb, report: Callable[[OperatorActed], object]) -> Verb:
    async def asked(arguments: dict[str, Any], conversation: Conversation) -> Any:  # noqa: ANN401 - JSON
        report(acted(name, arguments, conversation.peer))
        return await verb(arguments, conversation)

    return asked
