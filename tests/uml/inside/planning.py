"""Plans and applies with one handler as the reconciler does, on the guest's kernel."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from lbminion.errors import ChangeError
from lbminion.handlers.handler import Handler, Watchful
from lbstates.kinds.kind import Resource
from lbstates.plan import Owned, Plan, Resources, diff, index


def observe(handler: Handler, *resources: Resource) -> Resources:
    """What the handler finds when these are wanted."""
    wanted = {kind: of_kind.keys() for kind, of_kind in index(resources).items()}
    found = asyncio.run(handler.observe(wanted))
    assert isinstance(handler, Watchful)
    assert not handler.changed(wanted, found)
    return found


def plan(
    handler: Handler, desired: Sequence[Resource], owned: Sequence[Resource] = (), prior: Owned | None = None
) -> Plan:
    """The changes that make these, and take away what else is owned; `prior` is put back where a kind restores it."""
    ours = prior or {kind: dict.fromkeys(of_kind) for kind, of_kind in index(owned).items()}
    return diff(index(desired), observe(handler, *desired, *owned), ours)


def apply(handler: Handler, changes: Plan) -> list[ChangeError]:
    return asyncio.run(handler.apply(changes))


def make(handler: Handler, *resources: Resource) -> None:
    """Apply, and see that nothing is left to do."""
    errors = apply(handler, plan(handler, resources))
    assert errors == [], [str(error) for error in errors]
    assert plan(handler, resources) == ()


def remove(handler: Handler, *resources: Resource) -> None:
    """Take away what is ours, and see that it is gone."""
    assert apply(handler, plan(handler, (), resources)) == []
    assert plan(handler, (), resources) == ()
