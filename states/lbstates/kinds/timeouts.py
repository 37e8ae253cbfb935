"""How long IPVS keeps the entry of a connection that is silent."""

from __future__ import annotations

from .kind import Resource


class Timeouts(Resource, frozen=True, tag="timeouts"):
    """Seconds: of an established TCP connection, of one after its FIN, of UDP. There is one such set per kernel."""

    tcp: int
    tcpfin: int
    udp: int

    @property
    def identity(self) -> str:
        return "timeouts"

    def describe(self) -> str:
        return f"tcp {self.tcp} s, tcpfin {self.tcpfin} s, udp {self.udp} s"
