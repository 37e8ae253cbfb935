"""The types of what a desired state is made of, checked wherever one is decoded, and the base of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from . import words

Name = Annotated[str, Meta(pattern=rf"\A{words.NAME}\Z")]
NameOrNone = Annotated[str, Meta(pattern=rf"\A({words.NAME})?\Z")]
Interface = Annotated[str, Meta(pattern=rf"\A{words.INTERFACE}\Z")]
AuthPass = Annotated[str, Meta(pattern=rf"\A{words.AUTH_PASS}\Z")]
Scheduler = Annotated[str, Meta(pattern=rf"\A({'|'.join(words.SCHEDULERS)})\Z")]
SchedulerFlag = Annotated[str, Meta(pattern=rf"\A({'|'.join(words.SCHEDULER_FLAGS)})\Z")]
PortRange = Annotated[str, Meta(pattern=rf"\A{words.PORTS}\Z")]
SysctlName = Annotated[str, Meta(pattern=rf"\A{words.SYSCTL_NAME}\Z")]
SysctlValue = Annotated[str, Meta(pattern=rf"\A{words.SYSCTL_VALUE}\Z")]
Port = Annotated[int, Meta(ge=1, le=words.MAX_PORT)]
PortOrAll = Annotated[int, Meta(ge=0, le=words.MAX_PORT)]
FirewallMark = Annotated[int, Meta(ge=0, le=words.MAX_MARK)]
Weight = Annotated[int, Meta(ge=0, le=words.MAX_WEIGHT)]
Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Announcements = Annotated[int, Meta(ge=1, le=words.MAX_ANNOUNCEMENTS)]
AnnouncementsOrNone = Annotated[int, Meta(ge=0, le=words.MAX_ANNOUNCEMENTS)]
GarpDelay = Annotated[int, Meta(ge=0, le=words.MAX_GARP_DELAY)]
Seconds = Annotated[int, Meta(ge=0, le=31 * 86400)]
Vrid = Annotated[int, Meta(ge=1, le=words.MAX_VRID)]
Priority = Annotated[int, Meta(ge=1, le=254)]
Adjustment = Annotated[int, Meta(ge=-253, le=253)]
AdvertInterval = Annotated[float, Meta(ge=0.01, le=40.95)]


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One part of a desired state."""


def check_addresses(addresses: Iterable[str]) -> None:
    """Raise `ValueError` for what is no address of a host."""
    _check(addresses, words.is_host_address, "an IP address of a host")


def check_networks(networks: Iterable[str]) -> None:
    """Raise `ValueError` for what is no network."""
    _check(networks, words.is_network, "a network with prefix length")


def _check(texts: Iterable[str], right: Callable[[str], bool], what: str) -> None:
    for text in texts:
        if not right(text):
            raise ValueError(f"{text!r} is not {what}")


def check_unique(what: str, values: Sequence[object]) -> None:
    """Raise `ValueError` when one of the values is there twice."""
    if len(set(values)) != len(values):
        raise ValueError(f"the same {what} twice")
