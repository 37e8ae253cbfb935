"""Desired states of earlier formats, said in the present one.

A database that an earlier release left holds signed states of its format: the hosts stay as they say until the next
push, so they have to be understood until then. What comes out is judged like any state that was received.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .typed import Part


class _Options(Part, frozen=True):
    advert_interval: float
    mode: str
    version: int
    auth_pass: str | None = None
    interface: str | None = None


class _Instance(Part, frozen=True):
    name: str
    virtual_router_id: int
    vips: tuple[str, ...]
    priorities: dict[str, int]


class _Destination(Part, frozen=True):
    address: str
    weight: int


class _Service(Part, frozen=True):
    protocol: str
    vip: str
    port: int
    scheduler: str
    forwarding: Literal["direct"]
    destinations: tuple[_Destination, ...]


class _Directors(Part, frozen=True, tag_field="role", tag="director"):
    cluster: str
    hosts: dict[str, str]
    instances: tuple[_Instance, ...]
    services: tuple[_Service, ...]
    vrrp: _Options
    format: Literal[1] = 1


class _RealServers(Part, frozen=True, tag_field="role", tag="realserver"):
    cluster: str
    hosts: dict[str, str]
    vips: dict[str, tuple[str, ...]]
    format: Literal[1] = 1


def from_format_1(builtins: object) -> dict[str, Any]:
    """Say a state of format 1 in format 2. Raises `msgspec.ValidationError` for what is none."""
    state = msgspec.convert(builtins, type=_Directors | _RealServers)
    common: dict[str, Any] = {
        "cluster": state.cluster,
        "hosts": {name: {"address": address} for name, address in state.hosts.items()},
        "format": 2,
    }
    return common | (_directors(state) if isinstance(state, _Directors) else _real_servers(state))


def _directors(state: _Directors) -> dict[str, Any]:
    vrrp = state.vrrp
    of_each = {
        "advert_interval": vrrp.advert_interval,
        "version": vrrp.version,
        "auth_pass": vrrp.auth_pass,
        "interface": vrrp.interface,
    }
    instances = [
        {
            "name": it.name,
            "virtual_router_id": it.virtual_router_id,
            "vips": [{"address": vip} for vip in it.vips],
            "priorities": it.priorities,
            **of_each,
        }
        for it in state.instances
    ]
    services = [
        {
            "protocol": it.protocol,
            "vip": it.vip,
            "port": it.port,
            "scheduler": it.scheduler,
            "destinations": [{"address": to.address, "port": it.port, "weight": to.weight} for to in it.destinations],
        }
        for it in state.services
    ]
    return {"role": "director", "mode": vrrp.mode, "instances": instances, "services": services}


def _real_servers(state: _RealServers) -> dict[str, Any]:
    """Which ports of a VIP are answered format 1 did not say: all of them are."""
    answers = [
        {"vip": vip, "protocol": "tcp", "ports": [], "forwarding": "direct", "hosts": dict.fromkeys(hosts, 0)}
        for vip, hosts in state.vips.items()
    ]
    return {"role": "realserver", "answers": answers}
