"""How the real servers of a service are watched, and how many of them may be out: `check` and `pool` of a cluster file."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from lbstates import checks, words

from .fields import Forwarding, HostAddress, Name, Port, anchored, matching, one_of, shown, wrong_value
from .findings import suggestion
from .short import Section, ShortSection

KINDS: Final = ("tcp", "http", "https", "dns", "udp", "exec")
NONE: Final = "none"
"""Written instead of a kind: nobody watches, whatever the file says for all services."""
_STATUS: Final = re.compile(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?")


def _statuses(value: object) -> object:
    """Numbers and ranges, in a list or alone -> texts."""
    found = value if isinstance(value, list) else [value]
    return tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in found)


def _status(text: str) -> str:
    found = _STATUS.fullmatch(text)
    if found is None or int(found[1]) > int(found[2] or found[1]):
        raise wrong_value(f"{shown(text)} is no HTTP status", "write one like 200, or a range like 200-299")
    return text


_STATUS_FORMS: Final = list[int | Annotated[str, Field(json_schema_extra=anchored(_STATUS.pattern))]] | int | str

HttpPath = Annotated[
    str,
    AfterValidator(
        matching(checks.PATH, "is no path of a request", "begin with /, without blanks; escape what is not ASCII (%20)")
    ),
    Field(json_schema_extra=anchored(checks.PATH)),
]
HostHeader = Annotated[
    str,
    AfterValidator(matching(checks.HOST, "is no name of a host", "write one like shop.example, without http://")),
    Field(json_schema_extra=anchored(checks.HOST)),
]
DnsName = Annotated[
    str,
    AfterValidator(matching(checks.DNS_NAME, "is no name in the DNS", "write one like example.org")),
    Field(json_schema_extra=anchored(checks.DNS_NAME)),
]
Program = Annotated[
    str,
    AfterValidator(
        matching(
            checks.PROGRAM,
            "is no name of a program",
            "write the bare name of a file in the directory of checks on the directors: lower-case letters, digits, _ and -",
        )
    ),
    Field(json_schema_extra=anchored(checks.PROGRAM)),
]
Statuses = Annotated[
    tuple[Annotated[str, AfterValidator(_status)], ...],
    Field(min_length=1, max_length=32),
    BeforeValidator(_statuses, json_schema_input_type=_STATUS_FORMS),
]
Text = Annotated[str, Field(max_length=checks.LONGEST_PAYLOAD)]
Method = Annotated[Literal["GET", "HEAD", "OPTIONS", "POST"], one_of(("GET", "HEAD", "OPTIONS", "POST"))]
DnsType = Annotated[
    Literal["A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT"],
    one_of(("A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")),
]
Interval = Annotated[float, Field(ge=0.1, le=3600)]
Timeout = Annotated[float, Field(ge=0.05, le=3600)]
Times = Annotated[int, Field(ge=1, le=100)]


class TcpProbe(Section):
    """A connection is accepted; it is closed at once, and nothing is sent."""


class HttpProbe(ShortSection):
    """A request is answered as it should be. The path may stand alone. Redirects are not followed."""

    SHORT = "path"

    path: HttpPath = Field(default="/", description="What is asked for.")
    host: HostHeader = Field(default="", description="The Host header. Left out: the VIP.")
    method: Method = Field(default="GET", description="The method of the request.")
    status: Statuses = Field(
        default=("200-399",), description="Which answers are right: a status, a range, or a list of them."
    )
    body: Text = Field(default="", description="A text that the first 64 KiB of the body have to hold.")


class HttpsProbe(HttpProbe):
    """The same over TLS. The path may stand alone."""

    sni: HostHeader = Field(
        default="", description="The name that the server is asked for in the handshake. Left out: as `host`."
    )
    verify: bool = Field(
        default=False,
        description="Whether the certificate has to be valid for that name, and from an authority that the director trusts.",
    )
    expiry_days: Annotated[int, Field(ge=0, le=365)] = Field(
        default=14,
        description="A certificate that ends within so many days is said, once a day (0: never); the check passes all the "
        "same.",
    )


class DnsProbe(ShortSection):
    """A query is answered without error. The name may stand alone."""

    SHORT = "name"

    name: DnsName = Field(description="The name to ask for: one that the server answers itself, like that of its zone.")
    type: DnsType = Field(default="SOA", description="The type of record.")


class UdpProbe(Section):
    """A datagram is not refused; or it is answered, if `expect` is given."""

    send: Text = Field(default="", description="What is sent.")
    expect: Text = Field(
        default="", description="How the answer has to begin. Left out: an ICMP refusal alone lets the check fail."
    )


class ExecProbe(ShortSection):
    """A program ends with 0. Its name may stand alone."""

    SHORT = "program"

    program: Program = Field(
        description="A file in the directory of checks on every director, which its operator puts there."
    )


class CheckEntry(Section):
    """One kind of check with what it asks, and how often. A kind that needs nothing more may stand alone."""

    tcp: TcpProbe | None = Field(default=None, description="A connection is accepted (`tcp: {}`, or `check: tcp`).")
    http: HttpProbe | None = Field(default=None, description="An HTTP request is answered.")
    https: HttpsProbe | None = Field(default=None, description="The same over TLS.")
    dns: DnsProbe | None = Field(
        default=None, description="A DNS query is answered without error and with a record; over TCP in a TCP service."
    )
    udp: UdpProbe | None = Field(
        default=None, description="A datagram is not refused, or is answered as expected (`udp: {}`, or `check: udp`)."
    )
    exec: ExecProbe | None = Field(
        default=None, description="A program ends with 0, which lies on the directors; the file can name no other one."
    )
    interval: Interval = Field(default=2.0, description="Seconds from one probe of a real server to the next.")
    timeout: Timeout | None = Field(
        default=None,
        description="Seconds after which a probe has failed; at most the interval. Left out: 1, or the interval if that is "
        "shorter.",
    )
    rise: Times = Field(
        default=2,
        description="So many probes in a row have to pass before a real server comes in again; twice as many with each time "
        "that it went out lately.",
    )
    fall: Times = Field(default=3, description="So many in a row have to fail before it is taken out.")
    port: Port | None = Field(
        default=None,
        description="The port to ask. Left out: that of the service, or its first one; of a real server with a port of its "
        "own, that.",
    )
    by_vip: bool = Field(
        default=True,
        description="Whether a real server of direct routing or a tunnel is asked at the VIP, as traffic reaches it; false: "
        "at its own address, as one behind masquerading always is.",
    )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Which kind it is of: one, or none at all if nobody shall watch."""
        return tuple(kind for kind in KINDS if getattr(self, kind) is not None)

    @property
    def longest(self) -> float:
        """Seconds that a probe may take."""
        return min(1.0, self.interval) if self.timeout is None else self.timeout

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: object) -> object:
        if isinstance(value, (dict, cls)):
            return value
        if value not in KINDS:
            raise wrong_value(f"{shown(value)} is no kind of check", suggestion(str(value), (*KINDS, NONE)))
        return {str(value): {}}

    @model_validator(mode="after")
    def _one_kind(self) -> CheckEntry:
        if self is OFF:
            return self
        if len(self.kinds) > 1:
            wrong = f"{' and '.join(self.kinds)} are several kinds of check"
            raise wrong_value(wrong, "keep one of them; a service has one check")
        if not self.kinds:
            raise wrong_value("no kind of check is named", f"add one of {', '.join(KINDS)}, like `tcp: {{}}`")
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler.resolve_ref_schema(handler(core_schema))
        long = dict(described) | {"oneOf": [{"required": [kind]} for kind in KINDS]}
        described.clear()
        short = {"enum": ["tcp", "http", "https", "udp", NONE]}
        described.update({"anyOf": [short, long], "title": long["title"]})
        return described


OFF: Final = CheckEntry.model_construct()
"""Of no kind at all: what `check: none` means."""


def _off(value: object) -> object:
    return OFF if value == NONE else value


Check = Annotated[CheckEntry, BeforeValidator(_off)]


class SorryEntry(ShortSection):
    """Who answers when no real server does. The name of a real server or an address may stand alone."""

    SHORT = "real_server"

    real_server: Name | None = Field(default=None, description="One of the real servers, by name.")
    address: HostAddress | None = Field(default=None, description="Or an address; VIPs are not put on such a host.")
    port: Port | None = Field(
        default=None,
        description="Where it answers, if not on the service's port; only masquerading can change the port.",
    )
    forwarding: Forwarding | None = Field(default=None, description="As in the service, where it differs.")

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: object) -> object:
        if isinstance(value, str) and words.is_host_address(value):
            return {"address": value}
        return value if isinstance(value, (dict, cls)) else {cls.SHORT: value}

    @model_validator(mode="after")
    def _one_of_two(self) -> SorryEntry:
        if (self.real_server is None) == (self.address is None):
            wrong = "neither a real server nor an address is named"
            if self.address is not None:
                wrong = "a real server and an address are both given"
            raise wrong_value(wrong, "write one of the two")
        return self


class PoolEntry(Section):
    """How many real servers of a service may be out, and how they come in."""

    most_out: Annotated[int, Field(ge=0, le=100)] = Field(
        default=50,
        description="Per cent of a service's real servers that checks, drains and edits together may take out; who fails "
        "beyond that stays in, and `pool.frozen` is raised.",
    )
    slow_start: Annotated[int, Field(ge=0, le=86400)] = Field(
        default=0,
        description="Seconds in which a real server that comes in gets its weight, in ten steps (0: at once).",
    )
    sorry_server: SorryEntry | None = Field(
        default=None, description="Who answers when every real server fails or is drained. Left out: nobody."
    )
