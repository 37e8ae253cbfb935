"""The statistics of the IPVS table: their types. How they lie in the kernel's messages is for `ipvs_layout`."""

from __future__ import annotations

import msgspec


class Traffic(msgspec.Struct, frozen=True, gc=False):
    """Totals since the entry was made, and rates per second, averaged over some seconds.

    The kernel adds both up every two seconds, so they lag by that much.
    """

    connections: int
    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    cps: int
    pps_in: int
    pps_out: int
    bps_in: int
    bps_out: int


class ServiceStatistics(Traffic, frozen=True, gc=False):
    """What went through a virtual service; `bps` is bytes per second, as the kernel counts it."""


class DestinationStatistics(Traffic, frozen=True, gc=False):
    """What went to a destination; `active` connections are established, `inactive` are all others that are known.

    These two are of the moment.
    """

    active: int
    inactive: int
