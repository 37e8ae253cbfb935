"""The cluster files that the benchmarks push. Pure.

`extra` adds a second virtual service with a VIP of its own: pushing the file with and without it in turn gives every
real server one address to add or to remove, while the directors' keepalived.conf stays the same.
"""

from __future__ import annotations

from collections.abc import Mapping

NAME = "bench"
INSTANCE = "web"
VIPS = {"web": "10.99.250.1", "extra": "10.99.250.2"}


def cluster_file(directors: Mapping[str, str], real_servers: Mapping[str, str], *, extra: bool) -> str:
    """Write the file; hosts are given by name, with their addresses."""
    lines = [f"cluster: {NAME}"]
    for section, hosts in (("directors", directors), ("real_servers", real_servers), ("vips", _with_prefix())):
        lines += ["", f"{section}:", *(f"  {name}: {where}" for name, where in hosts.items())]
    lines += ["", "services:"]
    for vip in VIPS if extra else (INSTANCE,):
        lines += [f"  - vip: {vip}", "    port: 80", "    scheduler: rr"]
    return "\n".join(lines) + "\n"


def _with_prefix() -> dict[str, str]:
    return {name: f"{vip}/16" for name, vip in VIPS.items()}
