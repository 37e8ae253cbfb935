"""What verbs have in common: the parts of the master that they ask, and how their arguments are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from lbmaster.broadcast import Broadcast
from lbmaster.bus import Bus
from lbmaster.clusters import Clusters
from lbmaster.errors import RequestError
from lbmaster.identity import Identity
from lbmaster.master import Master
from lbmaster.pushes import Pushes
from lbmaster.store import Store
from lbmaster.uplink import Uplink
from lbmaster.view import View

Answer = dict[str, Any]
Seconds = Annotated[float, Meta(gt=0, le=3600)]
Text = Annotated[str, Meta(max_length=4096)]
Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class Parts:
    """What verbs work with. `now` is the event loop's clock, `ports` are those of the endpoints.

    `identity` are the master's keys, below `state_dir`; `again` has it begin anew with what is there then.
    """

    product: str
    ports: dict[str, int]
    fingerprint: str
    store: Store
    clusters: Clusters
    view: View
    bus: Bus
    master: Master
    pushes: Pushes
    broadcast: Broadcast
    uplink: Uplink
    now: Callable[[], float]
    identity: Identity
    state_dir: Path
    again: Callable[[], None]

    def names(self, cluster: str | None) -> list[str]:
        """Name the one cluster that is asked for, or all. Raises `RequestError`."""
        # A cluster whose first push never got further has numbers, and nothing to show.
        known = sorted(name for name, it in self.store.generations.clusters.items() if it.generation)
        if cluster is None:
            return known
        if cluster not in known:
            raise RequestError("unknown_cluster", f"no cluster {cluster}; there are: {', '.join(known) or 'none yet'}")
        return [cluster]


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The arguments of a verb; this one has none."""


def read(arguments: dict[str, Any], shape: type[Shape]) -> Shape:
    """Read the arguments of a request; raises `RequestError`."""
    try:
        return msgspec.convert(arguments, shape)
    except msgspec.ValidationError as error:
        raise RequestError("bad_request", f"the arguments are not understood: {error}") from None
