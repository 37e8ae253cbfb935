"""How the real servers of a virtual service are watched, as it travels: one type per kind of check.

Nothing here can make a director run anything but what its own operator put there: an `exec` check carries the name of a
program in a directory of that host, never a path or an argument. What ends in the head of a request that is sent to real
servers can hold no line break.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from .typed import Part, PortOrAll

MOST_INTERVAL: Final = 3600.0
LONGEST_PAYLOAD: Final = 1024
# The cluster file has the same patterns: see `words` for how they are anchored. Printable ASCII without space, as a request
# line and a header need it.
PATH: Final = r"/[!-~]{0,1023}"
HOST: Final = r"[A-Za-z0-9.:\[\]_-]{0,255}"
DNS_NAME: Final = r"[A-Za-z0-9._-]{1,253}"
PROGRAM: Final = r"[a-z0-9][a-z0-9_-]{0,62}"

Interval = Annotated[float, Meta(ge=0.1, le=MOST_INTERVAL)]
Timeout = Annotated[float, Meta(ge=0.05, le=MOST_INTERVAL)]
Times = Annotated[int, Meta(ge=1, le=100)]
Path = Annotated[str, Meta(pattern=rf"\A{PATH}\Z")]
HostHeader = Annotated[str, Meta(pattern=rf"\A{HOST}\Z")]
Method = Annotated[str, Meta(pattern=r"\A(GET|HEAD|OPTIONS|POST)\Z")]
Status = Annotated[int, Meta(ge=100, le=599)]
DnsName = Annotated[str, Meta(pattern=rf"\A{DNS_NAME}\Z")]
DnsType = Annotated[str, Meta(pattern=r"\A(A|AAAA|CNAME|MX|NS|PTR|SOA|SRV|TXT)\Z")]
Payload = Annotated[str, Meta(max_length=LONGEST_PAYLOAD)]
Program = Annotated[str, Meta(pattern=rf"\A{PROGRAM}\Z")]


class _Check(Part, frozen=True, tag_field="kind"):
    """What all checks have: seconds between two probes and for one; how many of them in a row take in and out.

    `port` 0 is the port of the destination. `by_vip`: a real server of direct routing or a tunnel is asked as traffic
    reaches it, at the VIP; else at its own address (as one behind masquerading always is).
    """

    interval: Interval = 2.0
    timeout: Timeout = 1.0
    rise: Times = 2
    fall: Times = 3
    port: PortOrAll = 0
    by_vip: bool = True

    def __post_init__(self) -> None:
        if self.timeout > self.interval:
            raise ValueError(f"a probe of {self.timeout} s does not end before the next one, after {self.interval} s")

    @property
    def kind(self) -> str:
        """Its kind, as the cluster file has it: "tcp"."""
        return str(self.__struct_config__.tag)


class TcpCheck(_Check, frozen=True, tag="tcp"):
    """A connection is accepted."""


class HttpCheck(_Check, frozen=True, tag="http"):
    """A request is answered with one of `status`; the body holds `body` ("": whatever it is), in its first 64 KiB."""

    method: Method = "GET"
    path: Path = "/"
    host: HostHeader = ""
    status: tuple[tuple[Status, Status], ...] = ((200, 399),)
    body: Payload = ""


class HttpsCheck(HttpCheck, frozen=True, tag="https"):
    """The same over TLS. `sni` "": that of `host`. `verify`: the certificate has to be one that the director trusts.

    Fewer than `expiry_days` before a certificate ends that is said (0: never).
    """

    sni: HostHeader = ""
    verify: bool = False
    expiry_days: Annotated[int, Meta(ge=0, le=365)] = 14


class DnsCheck(_Check, frozen=True, tag="dns"):
    """A query is answered without error, and with at least one record; over TCP where the service is."""

    name: DnsName = "."
    type: DnsType = "SOA"


class UdpCheck(_Check, frozen=True, tag="udp"):
    """A datagram is not refused by ICMP; with `expect`, an answer comes that begins with it."""

    send: Payload = ""
    expect: Payload = ""


class ExecCheck(_Check, frozen=True, tag="exec"):
    """A program of the director's operator, by its name, ends with 0."""

    program: Program = "check"


Check: TypeAlias = TcpCheck | HttpCheck | HttpsCheck | DnsCheck | UdpCheck | ExecCheck
