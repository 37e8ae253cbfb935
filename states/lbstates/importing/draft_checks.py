"""The check and the pool of a service of the cluster file in the making."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from lbstates import words

from .neutral import Check, Destination, Service
from .remarks import Notebook

_SPEAKS: Final = {"tcp": ("tcp",), "http": ("tcp",), "https": ("tcp",), "dns": ("tcp", "udp"), "udp": ("udp",)}
_ALONE: Final = ("tcp", "http", "https", "udp")


def check_of(service: Service, usable: Sequence[Destination], notes: Notebook) -> object:
    """Return the one check that a service can have: what most of its real servers have. None: none of them has one."""
    found = [_asking(service, one, notes) for one in usable]
    known = Counter(check for check in found if check is not None)
    if not known:
        return None
    chosen = known.most_common(1)[0][0]
    for one, check in zip(usable, found, strict=True):
        if check is None and one.check is None:
            said = f"{one.address} had no check of this kind, and has that of the other real servers now"
            notes.guessed(one.place, "real_server", said, "a service has one check: look whether that fits")
        elif check is not None and check != chosen:
            said = f"the check of {one.address} is another than that of the other real servers, and theirs was taken"
            notes.guessed(one.place, "real_server", said, "make a virtual service of its own for it, or nothing")
    return _written(chosen)


def _asking(service: Service, one: Destination, notes: Notebook) -> Check | None:
    """Give a check a port where the service's own is none that it can ask."""
    check = one.check
    if check is None:
        return None
    own = one.port or service.port
    port = 0 if check.port == own else check.port
    speaks = service.protocol in _SPEAKS[check.kind]
    if not port and not (own and speaks):
        # Packets with a mark may be to any port, and a UDP service is not asked by TCP: then the written port says where.
        port = check.port or one.written_port
    if not port and not own:
        notes.dropped(one.place, "real_server", "there is no port that its check could ask", "name one in the `check`")
        return None
    return replace(check, port=port)


def _written(check: Check) -> object:
    """As short as a cluster file has it."""
    details = {key: list(value) if isinstance(value, tuple) else value for key, value in check.details}
    times = {"interval": check.interval, "timeout": check.timeout, "fall": check.fall, "port": check.port or None}
    entry: dict[str, Any] = {check.kind: details} | {key: value for key, value in times.items() if value is not None}
    return check.kind if entry == {check.kind: {}} and check.kind in _ALONE else entry


def pool_of(
    service: Service, method: str, usable: Sequence[Destination], names: Mapping[str, str], notes: Notebook
) -> dict[str, Any] | None:
    """Return the pool of a service that has a sorry server."""
    sorry = service.sorry
    if sorry is None:
        return None
    forwarding = sorry.forwarding or method
    port = sorry.port if forwarding == "masquerade" else 0
    if ipaddress.ip_address(sorry.address).is_loopback:
        said = "every director would answer for itself, and the sorry server of a cluster is one for all"
        notes.dropped(sorry.place, "sorry_server", said, "name another host under `pool`")
        return None
    family = "ipv6" if ":" in sorry.address else "ipv4"
    if not words.is_host_address(sorry.address) or (forwarding != "tunnel" and family != service.family):
        said = f"{sorry.address} is no address that a packet of this service can be sent to"
        notes.wrong(sorry.place, "sorry_server", f"{said}, so it is left out", "name another host")
        return None
    if any(one.address == sorry.address and one.port in (0, port or service.port) for one in usable):
        notes.dropped(sorry.place, "sorry_server", "it is one of the real servers of the service", "name another host")
        return None
    name = names.get(sorry.address)
    entry: dict[str, Any] = {"real_server": name} if name is not None else {"address": sorry.address}
    if port and port != service.port:
        entry["port"] = port
    if forwarding != method:
        entry["forwarding"] = forwarding
    return {"sorry_server": (name or sorry.address) if len(entry) == 1 else entry}
