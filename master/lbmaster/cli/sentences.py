"""One readable sentence per type of event, from a table; what is not in it reads as key=value."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from lbwire.conclusions import Failover, MinionLost, OperatorActed, PushFinished, PushPaused, PushRolledBack
from lbwire.event_types import decode_data
from lbwire.events import DriftContested, DriftUnhealed, EventsLost, VrrpTransition
from lbwire.messages import Step

from .page import Tone
from .render_plan import SIGNS, describe
from .sentences_health import HEALTH
from .text import count, seconds

_BAD: Final = frozenset({
    "vrrp.split_brain", "drift.unhealed", "state.refused", "keepalived.died", "keepalived.stopped", "minion.lost",
    "message.refused", "drift.contested", "pool.frozen", "pool.sorry", "check.suspect", "events.lost", "minion.duplicate",
    "push.gate", "health.silent",
})  # fmt: skip
_WARN: Final = frozenset({
    "failover", "drift.found", "ipvs.foreign", "keepalived.config_replaced", "key.pending", "health.flapping",
    "health.suspected", "check.certificate", "push.paused", "push.rolled_back", "key.rotated", "master.successor",
})  # fmt: skip
_GOOD: Final = frozenset(
    {
        "drift.healed",
        "drift.gone",
        "drift.settled",
        "state.applied",
        "minion.online",
        "vrrp.split_brain_ended",
        "pool.thawed",
        "pool.recovered",
        "health.listening",
    }
)

_FEW: Final = 5
"""So many names of a long list are said."""


def sentence(event_type: str, data: Mapping[str, Any]) -> str:
    """Say what happened. Never fails: data of an unknown type or shape is written as it is."""
    say = SENTENCES.get(event_type)
    if say is None:
        return as_pairs(data)
    try:
        return say(decode_data(event_type, dict(data)))
    except (KeyError, msgspec.ValidationError):
        return as_pairs(data)


def as_pairs(data: Mapping[str, Any]) -> str:
    """Write data as key=value, values in JSON where they are not plain words."""
    return " ".join(f"{key}={_value(value)}" for key, value in data.items())


def tone_of(event_type: str, data: Mapping[str, Any]) -> Tone:
    """Say how loud an event is."""
    if event_type == "push.finished":
        return "good" if data.get("outcome") == "converged" else "bad"
    if event_type == "health.changed":
        return "good" if data.get("state") == "up" else "bad"
    if event_type == "vrrp.transition":
        return "bad" if data.get("state") in ("FAULT", "STOP") else "bold"
    if event_type in _BAD:
        return "plain" if event_type == "minion.lost" and data.get("maintenance") else "bad"
    if event_type in _WARN:
        return "warn"
    return "good" if event_type in _GOOD else "plain"


def _value(value: object) -> str:
    return value if isinstance(value, str) and value and " " not in value else json.dumps(value)


def _steps(steps: tuple[Step, ...]) -> str:
    return "; ".join(f"{SIGNS.get(step.verb, (step.verb, ''))[0]} {describe(step)}" for step in steps) or "nothing"


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nobody"


def _transition(it: VrrpTransition) -> str:
    came = f" (was {it.previous})" if it.previous else ""
    vips = f": {', '.join(it.vips)}" if it.vips else ""
    return f"{it.instance} is {it.state}{came}, priority {it.priority}{vips}"


def _failover(it: Failover) -> str:
    came = f"from {it.source} to {it.target}" if it.source else f"to {it.target}"
    healed = {host: steps for host, steps in it.healed.items() if steps}
    repairs = "; ".join(f"healed on {host}: {_steps(steps)}" for host, steps in sorted(healed.items()))
    silent = f"; no answer from {', '.join(it.silent)}" if it.silent else ""
    vips = ", ".join(it.vips) or "no VIP"
    return f"{it.instance} ({vips}) moved {came} in {seconds(it.seconds)}; {repairs or 'nothing to heal'}{silent}"


def _unhealed(it: DriftUnhealed) -> str:
    errors = f" ({'; '.join(it.errors)})" if it.errors else ""
    return f"could not heal what {it.trigger} showed{errors}; remaining: {_steps(it.remaining)}"


def _contested(it: DriftContested) -> str:
    head = f"somebody keeps changing back {it.kind} {_some(it.identities)}"
    return f"{head}: repaired {it.times} times in {seconds(it.seconds)}; the next time after {seconds(it.pause)}"


def _some(identities: tuple[str, ...]) -> str:
    more = f" and {count(len(identities) - _FEW, 'other')}" if len(identities) > _FEW else ""
    return ", ".join(identities[:_FEW]) + more


def _push_finished(it: PushFinished) -> str:
    problems = "".join(f"; {host}: {problem}" for host, problem in sorted(it.problems.items()))
    return f"push of generation {it.generation} {it.outcome} after {seconds(it.seconds)}{problems}"


def _events_lost(it: EventsLost) -> str:
    types = ", ".join(f"{number} {name}" for name, number in sorted(it.types.items()))
    return f"{count(it.count, 'event')} of {seconds(it.until - it.since)} lost for want of room: {types}"


def _paused(it: PushPaused) -> str:
    what = f"goes on, by {it.by}" if it.resumed else f"waits after wave {it.wave} for `lbmaster rollout resume`"
    return f"push of generation {it.generation} {what}"


def _rolled_back(it: PushRolledBack) -> str:
    head = f"generation {it.generation} taken back by {it.by_generation}, with the content of {it.content_of}"
    return f"{head}: {it.outcome}; {it.reason}"


def _acted(it: OperatorActed) -> str:
    return f"{it.by} ({it.origin}): {it.verb} {it.what}" + (f", because: {it.reason}" if it.reason else "")


def _lost(it: MinionLost) -> str:
    roles = ", ".join(f"{instance} {state}" for instance, state in sorted(it.roles.items()))
    head = f"{it.host or 'minion'} was not heard of for {seconds(it.silent_seconds)}"
    worked_on = " (it is in maintenance)" if it.maintenance else ""
    return f"{head}{worked_on}; unknown from now on: {roles or 'no VRRP role'}"


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
    "minion.duplicate": lambda it: f"two minions use the key of {it.host}, at {' and '.join(it.addresses)}: one host was copied from the other",
    "events.lost": _events_lost,
    "push.wave": lambda it: f"generation {it.generation}, wave {it.number} ({it.purpose}): {', '.join(it.hosts) or 'nobody'}",
    "push.gate": lambda it: f"generation {it.generation} stopped after wave {it.wave}: {'; '.join(it.problems)}",
    "push.paused": _paused,
    "push.rolled_back": _rolled_back,
    "operator.acted": _acted,
    "key.rotated": lambda it: f"{it.host} has replaced its key {it.previous} by {it.fingerprint}",
    "master.successor": lambda it: f"the master's next key {it.fingerprint} is {it.state} here",
    "key.pending": lambda it: f"{it.host or 'a minion'} wants to join with the key {it.fingerprint}: lbmaster keys accept {it.host}",
    "key.accepted": lambda it: f"key of {it.host or 'a minion'} accepted by {it.by}: {it.fingerprint}",
    "key.revoked": lambda it: f"key of {it.host or 'a minion'} rejected or revoked: {it.fingerprint}",
} | HEALTH
# fmt: on
