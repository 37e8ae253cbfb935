"""The types of the fields of a cluster file that need more than a JSON type, with their own words for what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, WrapValidator
from pydantic_core import PydanticCustomError

from lbstates import words

from .findings import suggestion

OWN_ERROR: Final = "cluster_file"
"""The type of the errors that bring `wrong` and `right` with them."""

_SHOWN: Final = 60
_IPV6: Final = re.compile(r"[0-9a-fA-F.]*:[0-9a-fA-F:.]*(/[0-9]+)?")


def wrong_value(wrong: str, right: str) -> PydanticCustomError:
    """An error in our own words."""
    return PydanticCustomError(OWN_ERROR, "{wrong}; {right}", {"wrong": wrong, "right": right})


def shown(value: object) -> str:
    """Quote what stands in the file, in bounded length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _matches(pattern: str, wrong: str, right: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text):
            return text
        raise wrong_value(f"{shown(text)} {wrong}", right)

    return check


def _host_address(text: str) -> str:
    if words.is_host_address(text):
        return text
    if _IPV6.fullmatch(text):
        raise wrong_value(f"{text} is an IPv6 address", "IPv6 is not supported yet: write an IPv4 address")
    if words.is_vip(text):
        raise wrong_value(f"{text} has a prefix length", f"write {text.partition('/')[0]}")
    raise wrong_value(f"{shown(text)} is not an address that a host can have", "write one like 172.28.128.10")


def _vip(text: str) -> str:
    if words.is_vip(text):
        return text
    if _IPV6.fullmatch(text):
        raise wrong_value(f"{text} is an IPv6 address", "IPv6 is not supported yet: write an IPv4 address")
    if words.is_host_address(text):
        raise wrong_value(f"{text} has no prefix length", f"write that of the network, like {text}/24")
    raise wrong_value(f"{shown(text)} is not an address with prefix length", "write one like 172.28.128.200/24")


def _auth_pass(text: str) -> str:
    # Not shown: findings end up in CI logs.
    if len(text.encode(errors="replace")) > words.MAX_AUTH_PASS:
        wrong = f"the password has {len(text)} characters; VRRP takes 8 and would cut it silently"
        raise wrong_value(wrong, "use at most 8, or leave auth_pass out (VRRP version 3 has none)")
    if re.fullmatch(words.AUTH_PASS, text):
        return text
    raise wrong_value(
        "the password has characters that keepalived.conf cannot hold", "use letters, digits and . _ : + -"
    )


def _one_of(known: tuple[str, ...], later: dict[str, str]) -> WrapValidator:
    def check(value: object, handler: Callable[[object], str]) -> str:
        if not isinstance(value, str) or value in known:
            return handler(value)
        if value in later:
            raise wrong_value(f"{value} is not supported yet", later[value])
        raise wrong_value(f"{shown(value)} is not known", suggestion(value, known))

    return WrapValidator(check)


def _weight(value: object, handler: Callable[[object], int]) -> int:
    if isinstance(value, dict):
        raise wrong_value(
            "only a weight can be given here",
            "write `name: 1`; with direct routing a real server answers on the port of the service",
        )
    return handler(value)


def _anchored(pattern: str) -> dict[str, str]:
    return {"pattern": f"^{pattern}$"}


Name = Annotated[
    str,
    AfterValidator(
        _matches(
            words.NAME,
            "is not a name",
            "use lower-case letters, digits, dots and hyphens, 63 at most; no hyphen at an end",
        )
    ),
    Field(json_schema_extra=dict(_anchored(words.NAME))),
]
HostAddress = Annotated[str, AfterValidator(_host_address), Field(json_schema_extra={"format": "ipv4"})]
Vip = Annotated[
    str,
    AfterValidator(_vip),
    Field(json_schema_extra=dict(_anchored(r"[0-9]{1,3}(\.[0-9]{1,3}){3}/([1-9]|[12][0-9]|3[0-2])"))),
]
Interface = Annotated[
    str,
    AfterValidator(
        _matches(words.INTERFACE, "is not an interface's name", "write one like eth0, 15 characters at most")
    ),
    Field(json_schema_extra=dict(_anchored(words.INTERFACE))),
]
AuthPass = Annotated[str, AfterValidator(_auth_pass), Field(json_schema_extra=dict(_anchored(words.AUTH_PASS)))]

Weight = Annotated[int, Field(ge=0, le=words.MAX_WEIGHT), WrapValidator(_weight)]
Port = Annotated[int, Field(ge=1, le=65535)]
Protocol = Annotated[Literal["tcp", "udp"], _one_of(("tcp", "udp"), {"sctp": "use tcp or udp"})]
Forwarding = Annotated[
    Literal["direct"],
    _one_of(("direct",), {"tunnel": "use direct", "masquerade": "use direct"}),
]
Scheduler = Annotated[str, _one_of(words.SCHEDULERS, {}), Field(json_schema_extra={"enum": list(words.SCHEDULERS)})]
Mode = Annotated[Literal["multicast", "unicast"], _one_of(("multicast", "unicast"), {})]
