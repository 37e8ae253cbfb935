"""The cluster files that are pushed while faults happen, and what each makes of a host. Pure."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

from story.cast import Cast

SECOND_VIP: Final = "172.28.128.201"
SCHEDULERS: Final = ("rr", "wrr", "lc", "wlc")
PORTS: Final = (8080, 8443)
"""Of services that come and go beside the one that the client asks."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One desired state: the scheduler of the service that is asked, whether there is a second VIP, further ports.

    `refresh`: seconds between two announcements of a VIP, for a keepalived.conf that differs in nothing else.
    """

    scheduler: str = "rr"
    second_vip: bool = False
    ports: tuple[int, ...] = ()
    refresh: int = 60

    def text(self, cast: Cast) -> str:
        """Write the cluster file: the lab's own one, changed. JSON is YAML."""
        file: dict[str, Any] = yaml.safe_load(cast.cluster_file.read_text())
        name, address = next(iter(file["vips"].items()))
        # http: a frozen nginx still takes connections.
        service = file["services"][0] | {"scheduler": self.scheduler, "check": "http"}
        file["services"] = [service, *(service | {"port": port, "check": "none"} for port in self.ports)]
        if self.second_vip:
            file["vips"]["second"] = f"{SECOND_VIP}/{address.partition('/')[2]}"
            file["services"].append(service | {"vip": "second"})
            # Both at home on one director: the client's VIP shall not move because another one comes or goes.
            file["instances"] = {vip: {"home": cast.directors[0]} for vip in (name, "second")}
        return json.dumps(file | {"ipvs": {"sync": {}}, "vrrp": {"garp": {"refresh": self.refresh}}})

    def vips(self, cast: Cast) -> tuple[str, ...]:
        """The VIPs, as bare addresses."""
        return (cast.vip, SECOND_VIP) if self.second_vip else (cast.vip,)

    def table(self, addresses: Mapping[str, str], cast: Cast) -> set[str]:
        """The IPVS table of every director, as `ipvsadm -Sn` prints it; `addresses` are those of the hosts."""
        services = [(cast.vip, port) for port in (80, *self.ports)]
        services += [(SECOND_VIP, 80)] if self.second_vip else []
        lines = set()
        for vip, port in services:
            lines.add(f"-A -t {vip}:{port} -s {self.scheduler}")
            lines |= {f"-a -t {vip}:{port} -r {addresses[host]}:{port} -g -w 1" for host in cast.real_servers}
        return lines


def any_variant(chance: random.Random) -> Variant:
    """Choose one."""
    ports = tuple(port for port in PORTS if chance.random() < 0.5)
    return Variant(chance.choice(SCHEDULERS), chance.random() < 0.3, ports)
