"""The newest figures of this host: the IPVS statistics and the VRRP roles, and what they say about the table.

Reading the counters every second also shows which entries there are: the kernel tells nobody when one is removed, so
this is how an emptied table is noticed within a second.
"""

from __future__ import annotations

import msgspec

from lbstates.plan import Resources
from lbwire.messages import Statistics

from .netlink.ipvs_statistics import DestinationStatistics, Traffic
from .netlink.ipvs_table import Snapshot

Lists = tuple[tuple[Statistics, ...], tuple[Statistics, ...]]


def table_differs(desired: Resources, snapshot: Snapshot) -> bool:
    """Tell whether an entry that shall be there is missing, or is not as it shall be."""
    table = snapshot.table
    return any(table.services.get(identity) != wanted for identity, wanted in desired["service"].items()) or any(
        table.destinations.get(identity) != wanted for identity, wanted in desired["destination"].items()
    )


def statistics(snapshot: Snapshot) -> Lists:
    """Turn what the kernel counts into what travels: services and destinations, in the table's order."""
    table, counted = snapshot
    weights = {identity: destination.weight for identity, destination in table.destinations.items()}
    return (
        tuple(_entry(identity, traffic) for identity, traffic in counted.services.items()),
        tuple(
            _of_destination(identity, traffic, weights.get(identity, 0))
            for identity, traffic in counted.destinations.items()
        ),
    )


def _entry(identity: str, traffic: Traffic) -> Statistics:
    return Statistics(
        identity=identity,
        connections=traffic.connections,
        packets_in=traffic.packets_in,
        packets_out=traffic.packets_out,
        bytes_in=traffic.bytes_in,
        bytes_out=traffic.bytes_out,
        cps=traffic.cps,
        pps_in=traffic.pps_in,
        pps_out=traffic.pps_out,
        bps_in=traffic.bps_in,
        bps_out=traffic.bps_out,
    )


def _of_destination(identity: str, traffic: DestinationStatistics, weight: int) -> Statistics:
    entry = _entry(identity, traffic)
    return msgspec.structs.replace(entry, active=traffic.active, inactive=traffic.inactive, weight=weight)
