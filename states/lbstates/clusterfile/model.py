"""The cluster file's model: every field with its type, its default and what it means.

The editor's JSON Schema and the reference come out of it. What concerns several fields at once is in `checks`; the
smaller parts of a file (`vrrp`, `ipvs`, ...) are in `sections`, `services` and `watching`.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from lbstates.words import MAX_DIRECTORS, MAX_VRID

from .fields import DriftPolicy, Name
from .sections import DirectorEntry, InstanceEntry, Ipvs, RealServerEntry, VipEntry, Vrrp
from .services import ServiceEntry
from .short import Section
from .watching import Check, PoolEntry


class Cluster(Section):
    """A load-balanced cluster: its hosts, its VIPs and its virtual services."""

    cluster: Name = Field(description="The cluster's name.")
    directors: dict[Name, DirectorEntry] = Field(
        min_length=1,
        max_length=MAX_DIRECTORS,
        description="The hosts that balance, by name, with their address. They share the VIPs as homes.",
    )
    real_servers: dict[Name, RealServerEntry] = Field(
        default_factory=dict, description="The hosts that answer the connections, by name, with their address."
    )
    vips: dict[Name, VipEntry] = Field(
        default_factory=dict,
        max_length=MAX_VRID,
        description="The virtual addresses, by name, with the prefix length of their network.",
    )
    # Not strict: a list in the file becomes a tuple here.
    services: Annotated[tuple[ServiceEntry, ...], Field(strict=False)] = Field(
        default=(), description="The virtual services."
    )
    check: Check | None = Field(
        default=None,
        description="How the real servers of all services are watched that say nothing else. Left out: not at all.",
    )
    pool: PoolEntry | None = Field(
        default=None, description="How many real servers may be out in all services that say nothing else."
    )
    instances: dict[Name, InstanceEntry] = Field(
        default_factory=dict,
        description="What differs from `vrrp` for single VRRP instances, by name. An instance has the name of its VIP, "
        "unless the VIP names another.",
    )
    vrrp: Vrrp = Field(default=Vrrp(), description="How the directors elect the holder of a VIP.")
    ipvs: Ipvs = Field(default=Ipvs(), description="Options of IPVS that concern the whole kernel of a director.")
    drift: DriftPolicy = Field(
        default="heal",
        description="What happens when a host is not as it shall be although nothing was pushed: heal repairs it at "
        "once, report only says so.",
    )
    exclusive: bool = Field(
        default=False,
        description="Whether IPVS services and destinations that somebody else made on a director are removed. "
        "Without it they are reported once and left alone.",
    )

    def instance_of(self, vip: str) -> str:
        """Name the VRRP instance of a VIP."""
        return self.vips[vip].instance or vip


def schema() -> dict[str, Any]:
    """The JSON Schema of a cluster file, for editors."""
    described = Cluster.model_json_schema(mode="validation")
    for section in (described, *described["$defs"].values()):
        for field in section.get("properties", {}).values():
            if "patternProperties" in field:  # pydantic lets names that match no pattern pass there, and nowhere else
                field["additionalProperties"] = False
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return described
