"""Small pure functions for text on a terminal: making it harmless, durations, counts."""

from __future__ import annotations

import re
import time
from typing import Final

import click

_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION: Final = re.compile(r"([0-9]+)([smhd]?)")
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECOND_ROUNDED, _MINUTE_ROUNDED = 0.9995, 59.95


def safe(text: str) -> str:
    """Escape what could act on a terminal or forge a line: control, format, surrogate and separator characters.

    Names and texts come from the network; a newline in one must not look like a second event.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def count(number: int, noun: str, plural: str = "") -> str:
    """Write "1 host", "2 hosts"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """Write a duration with as many digits as matter: "34 ms", "1.2 s", "3 min", "5 h", "2 d"."""
    if value < _SECOND_ROUNDED:
        return f"{max(value, 0) * 1000:.0f} ms"
    if value < _MINUTE_ROUNDED:
        return f"{value:.1f} s"
    if value < _HOUR:
        return f"{value / _MINUTE:.0f} min"
    if value < _DAY:
        return f"{value / _HOUR:.0f} h"
    return f"{value / _DAY:.0f} d"


def clock(unix: float) -> str:
    """Write a time (Unix, seconds) in local time with milliseconds and offset; "-" for one that no calendar has."""
    try:
        local = time.localtime(unix)
    except (OverflowError, ValueError, OSError):
        return "-"
    milliseconds = int((unix % 1) * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', local)}.{milliseconds:03d}{time.strftime('%z', local)}"


def duration(text: str) -> float:
    """Read an option's value such as 90, 90s, 30m, 1h, 2d, in seconds; a function as click takes them for a type."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not (number := int(match[1])):
        raise click.BadParameter(f"{text!r} is no duration; write for example 30s, 15m, 1h or 2d")
    return float(number * _UNITS[match[2]])
