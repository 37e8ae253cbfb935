"""The types of the fields of a cluster file that need more than a JSON type, with their own words for what is wrong."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WrapValidator
from pydantic_core import PydanticCustomError

from lbstates import words

from .findings import suggestion

OWN_ERROR: Final = "cluster_file"
"""The type of the errors that bring `wrong` and `right` with them."""

_SHOWN: Final = 60


def wrong_value(wrong: str, right: str) -> PydanticCustomError:
    """An error in our own words."""
    return PydanticCustomError(OWN_ERROR, "{wrong}; {right}", {"wrong": wrong, "right": right})


def shown(value: object) -> str:
    """Quote what stands in the file, in bounded length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def matching(pattern: str, wrong: str, right: str) -> Callable[[str], str]:
    """Return what lets a text through that the whole pattern matches."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if compiled.fullmatch(text):
            return text
        raise wrong_value(f"{shown(text)} {wrong}", right)

    return check


def _host_address(text: str) -> str:
    if words.is_host_address(text):
        return text
    if words.is_vip(text):
        raise wrong_value(f"{text} has a prefix length", f"write {text.partition('/')[0]}")
    raise _no_address(text, "is not an address that a host can have", "write one like 172.28.128.10 or 2001:db8::10")


def _host_address6(text: str) -> str:
    if ":" not in text:
        raise wrong_value(f"{shown(text)} is not an IPv6 address", "write one like 2001:db8::10")
    return _host_address(text)


def _vip(text: str) -> str:
    if words.is_vip(text):
        return text
    if words.is_host_address(text):
        length = "64" if ":" in text else "24"
        raise wrong_value(f"{text} has no prefix length", f"write that of the network, like {text}/{length}")
    raise _no_address(
        text, "is not an address with prefix length", "write one like 172.28.128.200/24 or 2001:db8::200/64"
    )


def _no_address(text: str, wrong: str, right: str) -> PydanticCustomError:
    """An error for what is no address, or one that the kernel would write otherwise."""
    address, slash, length = text.partition("/")
    try:
        canonical = f"{ipaddress.ip_address(address)}{slash}{length}"
    except ValueError:
        canonical = text
    if canonical != text and ":" in text:
        return wrong_value(f"{shown(text)} is not written in the usual way", f"write {canonical}")
    return wrong_value(f"{shown(text)} {wrong}", right)


def _network(text: str) -> str:
    if words.is_network(text):
        return text
    try:
        right = f"write {ipaddress.ip_network(text, strict=False)}"
    except ValueError:
        right = "write one like 10.9.0.0/16, or default"
    raise wrong_value(f"{shown(text)} is not a network", right)


def _group(text: str) -> str:
    if words.is_multicast_group(text):
        return text
    raise wrong_value(f"{shown(text)} is not an IPv4 multicast group", "write one like 224.0.0.81")


def _ranges(value: object) -> object:
    """Numbers and ranges, in a list or alone -> texts in rising order; a number of a range is checked by `_range`."""
    found = value if isinstance(value, list) else [value]
    return tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in found)


def _range(largest: int) -> Callable[[str], str]:
    def check(text: str) -> str:
        try:
            found = words.port_range(text)
        except ValueError:
            found = range(0)
        if not found or found[-1] > largest:
            raise wrong_value(
                f"{shown(text)} is no number and no range", f"write one between 1 and {largest}, or like 10-20"
            )
        return text

    return check


def _sysctl_value(value: object) -> object:
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, int) else value


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


def one_of(known: tuple[str, ...]) -> WrapValidator:
    """Refuse a text that is none of these with a guess which one was meant."""

    def check(value: object, handler: Callable[[object], str]) -> str:
        if not isinstance(value, str) or value in known:
            return handler(value)
        raise wrong_value(f"{shown(value)} is not known", suggestion(value, known))

    return WrapValidator(check)


def _firewall_mark(value: int | str) -> int | str:
    if value == "auto" or (isinstance(value, int) and 1 <= value <= words.MAX_MARK):
        return value
    raise wrong_value(f"{shown(value)} is no firewall mark", f"write a number between 1 and {words.MAX_MARK}, or auto")


def anchored(pattern: str) -> dict[str, Any]:
    """Return a pattern as JSON Schema has it."""
    return {"pattern": f"^{pattern}$"}


Name = Annotated[
    str,
    AfterValidator(
        matching(
            words.NAME,
            "is not a name",
            "use lower-case letters, digits, dots and hyphens, 63 at most; no hyphen at an end",
        )
    ),
    Field(json_schema_extra=anchored(words.NAME)),
]
HostAddress = Annotated[str, AfterValidator(_host_address), Field(json_schema_extra={"format": "ip"})]
HostAddress6 = Annotated[str, AfterValidator(_host_address6), Field(json_schema_extra={"format": "ipv6"})]
Vip = Annotated[
    str,
    AfterValidator(_vip),
    Field(json_schema_extra=anchored(r"[0-9a-f.:]+/([1-9]|[1-9][0-9]|1[01][0-9]|12[0-8])")),
]
Network = Annotated[
    str, AfterValidator(_network), Field(json_schema_extra=anchored(r"(default|[0-9a-f.:]+/[0-9]{1,3})"))
]
MulticastGroup = Annotated[str, AfterValidator(_group), Field(json_schema_extra={"format": "ipv4"})]
Interface = Annotated[
    str,
    AfterValidator(
        matching(words.INTERFACE, "is not an interface's name", "write one like eth0, 15 characters at most")
    ),
    Field(json_schema_extra=anchored(words.INTERFACE)),
]
AuthPass = Annotated[str, AfterValidator(_auth_pass), Field(json_schema_extra=anchored(words.AUTH_PASS))]

SysctlName = Annotated[
    str,
    AfterValidator(matching(words.SYSCTL_NAME, "is no name of a setting", "write it as below /proc/sys/net/ipv4/vs")),
    Field(json_schema_extra=anchored(words.SYSCTL_NAME)),
]
SysctlValue = Annotated[
    str,
    BeforeValidator(_sysctl_value, json_schema_input_type=int | str),
    AfterValidator(matching(words.SYSCTL_VALUE, "is no value of such a setting", "write numbers, separated by blanks")),
]

Weight = Annotated[int, Field(ge=0, le=words.MAX_WEIGHT)]
Port = Annotated[int, Field(ge=1, le=words.MAX_PORT)]
_RANGES: Final = list[int | Annotated[str, Field(json_schema_extra=anchored(words.PORTS))]]
Ports = Annotated[
    tuple[Annotated[str, AfterValidator(_range(words.MAX_PORT))], ...],
    Field(min_length=1),
    BeforeValidator(_ranges, json_schema_input_type=_RANGES),
]
Numbers = Annotated[
    tuple[Annotated[str, AfterValidator(_range(words.MAX_VRID))], ...],
    BeforeValidator(_ranges, json_schema_input_type=_RANGES),
]
FirewallMark = Annotated[
    int | str,
    AfterValidator(_firewall_mark),
    Field(
        json_schema_extra={"anyOf": [{"type": "integer", "minimum": 1, "maximum": words.MAX_MARK}, {"const": "auto"}]}
    ),
]
Family = Annotated[Literal["ipv4", "ipv6"], one_of(("ipv4", "ipv6"))]
TunnelType = Annotated[Literal["ipip", "gre", "gue"], one_of(("ipip", "gre", "gue"))]
Checksum = Annotated[Literal["none", "full", "remote"], one_of(("none", "full", "remote"))]
Engine = Annotated[Literal["sip"], one_of(words.ENGINES)]
DriftPolicy = Annotated[Literal["heal", "report"], one_of(("heal", "report"))]
Protocol = Annotated[Literal["tcp", "udp", "sctp"], one_of(("tcp", "udp", "sctp"))]
Forwarding = Annotated[Literal["direct", "tunnel", "masquerade"], one_of(("direct", "tunnel", "masquerade"))]
Scheduler = Annotated[str, one_of(words.SCHEDULERS), Field(json_schema_extra={"enum": list(words.SCHEDULERS)})]
SchedulerFlag = Annotated[
    str, one_of(words.SCHEDULER_FLAGS), Field(json_schema_extra={"enum": list(words.SCHEDULER_FLAGS)})
]
SchedulerFlags = Annotated[tuple[SchedulerFlag, ...], Field(strict=False)]
Mode = Annotated[Literal["multicast", "unicast"], one_of(("multicast", "unicast"))]
