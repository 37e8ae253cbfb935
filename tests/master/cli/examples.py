"""Answers of a master about the five-VM cluster."""

from __future__ import annotations

from typing import Any

CLUSTER_FILE = """\
cluster: netology
directors:
  netology3: 172.28.128.30
  netology4: 172.28.128.40
real_servers:
  netology1: 172.28.128.10
  netology2: 172.28.128.20
vips:
  web: 172.28.128.200/24
services:
  - vip: web
    port: 80
    protocol: tcp
    scheduler: rr
    forwarding: direct
    real_servers: {netology1: 1, netology2: 1}
"""

ADD = {"kind": "address", "verb": "add", "identity": "lo 172.28.128.200/32", "before": "", "after": "", "detail": ""}
SET = {"kind": "sysctl", "verb": "set", "identity": "net/ipv4/conf/all/arp_ignore", "before": "0", "after": "1"}
REMOVE = {"kind": "service", "verb": "remove", "identity": "tcp 172.28.128.200:81", "before": "rr"}
CONFIG = {
    "kind": "keepalived", "verb": "set", "identity": "keepalived",
    "before": "running, configuration of 20 lines", "after": "running, configuration of 21 lines",
    "detail": "--- before\n+++ after\n@@ -1,2 +1,3 @@\n global_defs {\n+    vrrp_garp_master_refresh 60\n }",
}  # fmt: skip

PLAN: dict[str, Any] = {
    "cluster": "netology",
    "hosts": {
        "netology1": {"steps": [SET, ADD], "error": ""},
        "netology2": {"steps": [], "error": ""},
        "netology3": {"steps": [CONFIG, REMOVE], "error": ""},
    },
    "findings": [],
}
NO_PLAN: dict[str, Any] = {"cluster": "netology", "hosts": {"netology1": {"steps": []}}, "findings": []}

STEPS = ("netology1", "netology2", "netology3", "netology4")
PUSH_NOTES: list[dict[str, Any]] = [
    {"note": {"phase": "staging", "generation": 7, "hosts": ["netology1", "netology2"], "seconds": 0.0}},
    {"note": {"phase": "staged", "host": "netology1", "generation": 7, "steps": 2}},
    {"note": {"phase": "released", "host": "netology1", "generation": 7, "wave": 1}},
    {"note": {"phase": "applied", "host": "netology1", "generation": 7, "steps": [SET, ADD], "seconds": 0.04}},
    {"note": {"phase": "converged", "generation": 7, "seconds": 0.34}},
]
PUSHED: dict[str, Any] = {
    "cluster": "netology", "generation": 7, "outcome": "converged", "seconds": 0.34,
    "hosts": {
        "netology1": {"state": "converged", "steps": [SET, ADD], "seconds": 0.04, "problem": ""},
        "netology2": {"state": "converged", "steps": [], "seconds": 0.04, "problem": ""},
    },
}  # fmt: skip
PUSH_FAILED: dict[str, Any] = {
    "cluster": "netology", "generation": 7, "outcome": "failed", "seconds": 10.0,
    "hosts": {"netology1": {"state": "refused", "steps": [], "seconds": 0.1, "problem": "no ip_vs in this kernel"}},
}  # fmt: skip


def host(**fields: Any) -> dict[str, Any]:
    return {
        "role": "realserver", "online": True, "last_seen": 0.4, "staged": 7, "applied": 7, "drift": 0, "roles": {},
        "keepalived": "", "product": "0.1.0", "note": "", **fields,
    }  # fmt: skip


def status(vip: dict[str, Any] | None = None, **hosts: dict[str, Any]) -> dict[str, Any]:
    web = {"instance": "web", "holder": "netology3", "masters": ["netology3"]}
    return {
        "time": 1700000000.0,
        "clusters": {
            "netology": {
                "generation": 7, "released": 7, "vips": {"172.28.128.200/24": vip or web}, "rollout": None,
                "hosts": hosts or {"netology1": host()},
            }
        },
        "unassigned": [],
    }  # fmt: skip


def figures(identity: str, connections: int, **others: int) -> dict[str, Any]:
    names = ("packets_in", "packets_out", "bytes_in", "bytes_out", "cps", "pps_in", "pps_out", "bps_in", "bps_out")
    return {"identity": identity, "connections": connections, **dict.fromkeys(names, 0), **others}


SERVICE = "tcp 172.28.128.200:80"
STATS: dict[str, Any] = {
    "clusters": {
        "netology": {
            "netology3": {
                "age": 0.5,
                "services": [figures(SERVICE, 50, packets_in=300, bytes_in=20000, cps=9)],
                "destinations": [
                    figures(f"{SERVICE} -> 172.28.128.10:80", 25, active=1, inactive=24, weight=1),
                    figures(f"{SERVICE} -> 172.28.128.20:80", 25, active=2, inactive=23, weight=1),
                ],
            },
            "netology4": {
                "age": 0.5,
                "services": [figures(SERVICE, 5)],
                "destinations": [
                    figures(f"{SERVICE} -> 172.28.128.10:80", 3, inactive=3, weight=1),
                    figures(f"{SERVICE} -> 172.28.128.20:80", 2, inactive=2, weight=1),
                ],
            },
        }
    }
}
