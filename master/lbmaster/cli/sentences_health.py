"""The sentences of events about the health of real servers, as `sentences` puts them into its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from lbwire.health_events import CertificateExpiring, HealthChanged

from .text import count, seconds


def _changed(it: HealthChanged) -> str:
    server = f"{it.real_server} ({it.destination})" if it.real_server else it.destination
    if it.state == "up":
        return f"{server} answers and is in {it.service}"
    since = f" for {seconds(it.failing_seconds)}" if it.failing_seconds else ""
    return f"{server} fails{since} and is out of {it.service}: {it.reason}"


def _certificate(it: CertificateExpiring) -> str:
    when = f"ends in {it.days:.0f} days" if it.days >= 0 else f"ended {-it.days:.0f} days ago"
    return f"the certificate of {it.real_server or it.destination} for {it.service} {when}"


# fmt: off
HEALTH: Final[dict[str, Callable[[Any], str]]] = {
    "health.changed": _changed,
    "health.flapping": lambda it: f"{it.real_server or it.destination} goes up and down in {it.service}: out {it.times} times in {seconds(it.seconds)}; comes in after {count(it.rise, 'good answer')} from now on",
    "health.suspected": lambda it: f"{it.real_server or it.destination} established none of {count(it.connections, 'new connection')} of {it.service}: probed at once",
    "health.silent": lambda it: f"nothing listens here on {', '.join(it.endpoints)}",
    "health.listening": lambda it: f"something listens here again on {', '.join(it.endpoints)}",
    "pool.frozen": lambda it: f"{it.service}: {count(len(it.failing), 'real server')} fail, of which at most {it.most_out} % may be out; {', '.join(it.kept)} stay in",
    "pool.thawed": lambda it: f"{it.service}: enough real servers answer again, after {seconds(it.seconds)}",
    "pool.sorry": lambda it: f"{it.service}: no real server answers, {it.sorry} says sorry",
    "pool.recovered": lambda it: f"{it.service}: real servers answer again, after {seconds(it.seconds)}",
    "check.suspect": lambda it: f"{it.service}: the {it.kind} check has never passed anywhere, it may be wrong itself: {it.reason}",
    "check.certificate": _certificate,
}
# fmt: on
