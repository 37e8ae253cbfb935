"""The cluster file's model: every field with its type, its default and what it means.

The editor's JSON Schema and the reference come out of it. What concerns several fields at once is in `checks`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lbstates.words import MAX_DIRECTORS, MAX_VRID

from .fields import AuthPass, Forwarding, HostAddress, Interface, Mode, Name, Port, Protocol, Scheduler, Vip, Weight


class _Section(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Vrrp(_Section):
    """How the directors elect the holder of a VIP. Everything here may be left out."""

    advert_interval: Annotated[float, Field(ge=0.01, le=40.95)] = Field(
        default=1,
        description="Seconds between two advertisements of a master. A dead director is noticed after three of them. "
        "Whole seconds if auth_pass is given.",
    )
    mode: Mode = Field(
        default="multicast",
        description="How directors reach each other: multicast, or unicast to the addresses of the other directors.",
    )
    auth_pass: AuthPass | None = Field(
        default=None,
        description="Password in clear text in every advertisement, 8 characters at most. It is no security, and it "
        "forces VRRP version 2; leave it out unless something on the network demands it.",
    )
    interface: Interface | None = Field(
        default=None,
        description="The directors' interface for VRRP and the VIPs. Left out: the one with the director's address.",
    )

    @property
    def version(self) -> Literal[2, 3]:
        """Version 3, which has no password, unless one is asked for."""
        return 3 if self.auth_pass is None else 2


class ServiceEntry(_Section):
    """A virtual service: what clients connect to, and the real servers that answer."""

    vip: Name = Field(description="The name of one of the VIPs.")
    port: Port = Field(description="The port of the VIP. With direct routing real servers answer on the same port.")
    protocol: Protocol = Field(default="tcp", description="The transport protocol.")
    scheduler: Scheduler = Field(
        default="wlc",
        description="How the kernel chooses the real server of a new connection: rr takes turns, wlc prefers the least "
        "loaded one, sh keeps a client on its real server; see ipvsadm(8) for all of them.",
    )
    forwarding: Forwarding = Field(
        default="direct",
        description="How packets get to a real server. direct: unchanged, to its MAC address; it answers the client itself.",
    )
    real_servers: dict[Name, Weight] = Field(
        default_factory=dict,
        min_length=1,
        description="Weight by real server, 0 to 65535; 0 takes no new connections. Left out: all, with weight 1.",
    )


class Cluster(_Section):
    """A load-balanced cluster: its hosts, its VIPs and its virtual services."""

    cluster: Name = Field(description="The cluster's name.")
    directors: dict[Name, HostAddress] = Field(
        min_length=1,
        max_length=MAX_DIRECTORS,
        description="The hosts that balance, by name, with their address. They take turns as home of the VIPs.",
    )
    real_servers: dict[Name, HostAddress] = Field(
        min_length=1, description="The hosts that answer the connections, by name, with their address."
    )
    vips: dict[Name, Vip] = Field(
        min_length=1,
        max_length=MAX_VRID,
        description="The virtual addresses, by name, with the prefix length of their network.",
    )
    # Not strict: a list in the file becomes a tuple here.
    services: Annotated[tuple[ServiceEntry, ...], Field(strict=False)] = Field(
        min_length=1, description="The virtual services."
    )
    vrrp: Vrrp = Field(default=Vrrp(), description="How the directors elect the holder of a VIP.")


def schema() -> dict[str, Any]:
    """The JSON Schema of a cluster file, for editors."""
    described = Cluster.model_json_schema(mode="validation")
    for section in (described, *described["$defs"].values()):
        for field in section["properties"].values():
            if "patternProperties" in field:  # pydantic lets names that match no pattern pass there, and nowhere else
                field["additionalProperties"] = False
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return described
