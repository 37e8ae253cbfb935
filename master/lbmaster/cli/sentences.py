"""One readable sentence per type of event, from a table; what is not in it reads as key=value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lbwire import events as e
from lbwire.messages import Step

from .page import Tone
from .render_plan import SIGNS, describe
from .text import count, seconds

_BAD: Final = frozenset({
    "vrrp.split_brain", "drift.unhealed", "state.refused", "keepalived.died", "keepalived.stopped", "minion.lost",
    "message.refused", "drift.contested",
})  # fmt: skip
_WARN: Final = frozenset({"failover", "drift.found", "ipvs.foreign", "keepalived.config_replaced", "key.pending"})
_GOOD: Final = frozenset(
    {"drift.healed", "drift.gone", "drift.settled", "state.applied", "minion.online", "vrrp.split_brain_ended"}
)

_FEW: Final = 5
"""So many names of a long list are said."""


def sentence(event_type: str, data: Mapping[str, Any]) -> str:
    """Say what happened. Never fails: data of an unknown type or shape is written as it is."""
    say = SENTENCES.get(event_type)
    if say is None:
        return as_pairs(data)
    try:
        return say(e.decode_data(event_type, dict(data)))
    except (KeyError, msgspec.ValidationError):
        return as_pairs(data)


def as_pairs(data: Mapping[str, Any]) -> str:
    """Write data as key=value, values in JSON where they are not plain words."""
    return " ".join(f"{key}={_value(value)}" for key, value in data.items())


def tone_of(event_type: str, data: Mapping[str, Any]) -> Tone:
    """Say how loud an event is."""
    if event_type == "push.finished":
        return "good" if data.get("outcome") == "converged" else "bad"
    if event_type == "vrrp.transition":
        return "bad" if data.get("state") in ("FAULT", "STOP") else "bold"
    if event_type in _BAD:
        return "bad"
    if event_type in _WARN:
        return "warn"
    return "good" if event_type in _GOOD else "plain"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def _steps(steps: tuple[Step, ...]) -> str:
    return "; ".join(f"{SIGNS.get(step.verb, (step.verb, ''))[0]} {describe(step)}" for step in steps) or "nothing"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nobody"


def _transition(it: e.VrrpTransition) -> str:
    came = f" (was {it.previous})" if it.previous else ""
    vips = f": {', '.join(it.vips)}" if it.vips else ""
    return f"{it.instance} is {it.state}{came}, priority {it.priority}{vips}"


def _failover(it: e.Failover) -> str:
    came = f"from {it.source} to {it.target}" if it.source else f"to {it.target}"
    healed = {host: steps for host, steps in it.healed.items() if steps}
    repairs = "; ".join(f"healed on {host}: {_steps(steps)}" for host, steps in sorted(healed.items()))
    silent = f"; no answer from {', '.join(it.silent)}" if it.silent else ""
    vips = ", ".join(it.vips) or "no VIP"
    return f"{it.instance} ({vips}) moved {came} in {seconds(it.seconds)}; {repairs or 'nothing to heal'}{silent}"


def _unhealed(it: e.DriftUnhealed) -> str:
    errors = f" ({'; '.join(it.errors)})" if it.errors else ""
    return f"could not heal what {it.trigger} showed{errors}; remaining: {_steps(it.remaining)}"


def _contested(it: e.DriftContested) -> str:
    head = f"somebody keeps changing back {it.kind} {_some(it.identities)}"
    return f"{head}: repaired {it.times} times in {seconds(it.seconds)}; the next time after {seconds(it.pause)}"


def _some(identities: tuple[str, ...]) -> str:
    more = f" and {count(len(identities) - _FEW, 'other')}" if len(identities) > _FEW else ""
    return ", ".join(identities[:_FEW]) + more


def _push_finished(it: e.PushFinished) -> str:
    problems = "".join(f"; {host}: {problem}" for host, problem in sorted(it.problems.items()))
    return f"push of generation {it.generation} {it.outcome} after {seconds(it.seconds)}{problems}"


def _lost(it: e.MinionLost) -> str:
    roles = ", ".join(f"{instance} {state}" for instance, state in sorted(it.roles.items()))
    return f"{it.host or 'minion'} was not heard of for {seconds(it.silent_seconds)}; unknown from now on: {roles or 'no VRRP role'}"


# fmt: off
SENTENCES: Final[dict[str, Callable[[Any], str]]] = {
    "vrrp.transition": _transition,
    "vrrp.split_brain": lambda it: f"SPLIT BRAIN: {_names(it.masters)} are MASTER of {it.instance} at once",
    "vrrp.split_brain_ended": lambda it: f"split brain of {it.instance} ended after {seconds(it.seconds)}; MASTER: {_names(it.masters)}",
    "failover": _failover,
    "drift.found": lambda it: f"not as it shall be (seen by {it.trigger}): {_steps(it.steps)}",
    "drift.healed": lambda it: f"healed in {seconds(it.seconds)} (seen by {it.trigger}): {_steps(it.steps)}",
    "drift.unhealed": _unhealed,
    "drift.gone": lambda it: f"as it shall be again, by somebody else: {_steps(it.steps)}",
    "drift.contested": _contested,
    "drift.settled": lambda it: f"nobody changes back {it.kind} {_some(it.identities)} any more",
    "ipvs.foreign": lambda it: f"not ours, left alone: {', '.join(it.identities)}",
    "state.adopted": lambda it: f"was there already and is ours now: {it.kind} {_some(it.identities)}",
    "state.staged": lambda it: f"generation {it.generation} staged: {count(sum(step.count for step in it.steps), 'change')} to make",
    "state.applied": lambda it: f"generation {it.generation} applied in {seconds(it.seconds)}: {_steps(it.steps)}",
    "state.refused": lambda it: f"generation {it.generation} refused ({it.phase}): {it.reason}",
    "keepalived.started": lambda it: f"keepalived started by {it.by}",
    "keepalived.stopped": lambda it: f"keepalived was stopped; given up: {', '.join(it.instances) or 'nothing'}",
    "keepalived.died": lambda it: f"keepalived died; was in charge of: {', '.join(it.instances) or 'nothing'}",
    "keepalived.config_replaced": lambda it: f"{it.path} was not ours and is replaced; the original is at {it.backup}",
    "minion.started": lambda it: f"minion started ({it.product})",
    "minion.online": lambda it: f"{it.host or 'minion'} is online ({it.product})",
    "minion.lost": _lost,
    "message.refused": lambda it: f"{count(it.count, 'message')} refused ({it.reason}): {it.text}",
    "push.started": lambda it: f"push of generation {it.generation} to {', '.join(it.hosts)} started by {it.by}",
    "push.finished": _push_finished,
    "key.pending": lambda it: f"{it.host or 'a minion'} wants to join with the key {it.fingerprint}: lbmaster keys accept {it.host}",
    "key.accepted": lambda it: f"key of {it.host or 'a minion'} accepted by {it.by}: {it.fingerprint}",
    "key.revoked": lambda it: f"key of {it.host or 'a minion'} rejected or revoked: {it.fingerprint}",
}
# fmt: on
