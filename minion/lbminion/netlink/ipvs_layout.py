"""How the entries of one kernel's dumps are laid out: walked once, then read at one stroke. Pure.

A dump of 10,000 destinations has 10,000 entries with the same attributes in the same places, but which ones, and
whether there is padding among them, differs between kernels. So an entry of a length that was not met before is walked
attribute by attribute, and what was found becomes a layout: one `struct` that reads all values, and a mask that leaves
of an entry only the headers between them. These are compared each time, as one large number, which costs a third of
comparing them one by one: an entry that merely has the same length is walked again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from operator import itemgetter
from struct import Struct
from typing import Any, Final, NamedTuple

from lbminion.errors import BadKernelMessage

from .ipvs_wire import ATTRIBUTE, GENERIC_HEADER
from .message import spans

Values = tuple[Any, ...]
TEXT: Final = "s"
"""The format of an attribute of any length."""

_NUMBERS: Final = range(1, 11)  # the statistics: connections, packets and bytes in and out, and the rates of the same
_WIDE: Final = dict.fromkeys(_NUMBERS, "Q")
_BYTES: Final = (4, 5)
_NARROW: Final = {kind: "Q" if kind in _BYTES else "I" for kind in _NUMBERS}
_MOST_LAYOUTS: Final = 64


class Shape(NamedTuple):
    """What is wanted of an entry: the attributes inside the outer one, by their formats (see `struct`).

    `specification` and `counts` name, in the order in which they are wanted, those that specify and those that are
    counted; `defaults` has what is taken where a kernel leaves an attribute out. `narrow` and `wide` are the nested
    attributes of the ten statistics, of 32 and (since Linux 4.1) of 64 bits: these are read where there are any, for 32
    bits of packets wrap within a day.
    """

    outer: int
    formats: Mapping[int, str]
    specification: tuple[int, ...]
    counts: tuple[int, ...]
    defaults: Mapping[int, object]
    narrow: int
    wide: int


class Reader:
    """Reads the entries of one shape, and remembers the layouts that it met."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._layouts: dict[int, list[_Layout]] = {}
        self._known = 0
        self.walked = 0
        """How many entries were walked."""

    def read(self, data: bytes, start: int, end: int) -> tuple[Values, Values]:
        """Read the entry between two places: what specifies it, and what is counted (the ten statistics first).

        Raises `BadKernelMessage`.
        """
        layouts = self._layouts.get(end - start)
        if layouts is not None:
            entry = int.from_bytes(data[start:end], "little")
            for layout in layouts:
                if entry & layout.mask == layout.headers:
                    found = layout.struct.unpack_from(data, start) + layout.defaults
                    return layout.specification(found), layout.counts(found)
        return self._walk(data, start, end)

    def _walk(self, data: bytes, start: int, end: int) -> tuple[Values, Values]:
        self.walked += 1
        if self._known >= _MOST_LAYOUTS:
            self._layouts.clear()
            self._known = 0
        self._layouts.setdefault(end - start, []).append(_learn(data[start:end], self._shape))
        self._known += 1
        return self.read(data, start, end)


class _Layout(NamedTuple):
    """`mask` covers the headers of all values that `struct` reads."""

    struct: Struct
    mask: int
    headers: int
    defaults: Values
    specification: itemgetter[Values]
    counts: itemgetter[Values]


def _learn(entry: bytes, shape: Shape) -> _Layout:
    builder = _Builder(entry)
    outer = next((span for span in spans(entry, GENERIC_HEADER.size, len(entry)) if span[0] == shape.outer), None)
    if outer is None:
        raise BadKernelMessage(f"an IPVS message without attribute {shape.outer}")
    inner = list(spans(entry, outer[1], outer[2]))
    statistics = shape.wide if any(kind == shape.wide for kind, _, _ in inner) else shape.narrow
    places: dict[tuple[int, int], int] = {}
    for kind, start, end in inner:
        if kind == statistics:
            for number, wanted in builder.nested(start, end, _WIDE if kind == shape.wide else _NARROW):
                places[kind, number] = wanted
        elif kind in shape.formats:
            places[0, kind] = builder.value(start, end, shape.formats[kind], kind)
    wanted_statistics = [(statistics, number) for number in _NUMBERS]
    specification = [(0, kind) for kind in shape.specification]
    counts = wanted_statistics + [(0, kind) for kind in shape.counts]
    missing = [place for place in specification + counts if place not in places]
    for place in missing:
        if place[1] not in shape.defaults or place[0]:
            raise BadKernelMessage(f"an IPVS entry without attribute {place[1]}")
    places |= {place: builder.values + at for at, place in enumerate(missing)}
    return _Layout(
        Struct("=" + "".join(builder.formats)),
        int.from_bytes(builder.mask, "little"),
        int.from_bytes(entry, "little") & int.from_bytes(builder.mask, "little"),
        tuple(shape.defaults[kind] for _, kind in missing),
        itemgetter(*(places[place] for place in specification)),
        itemgetter(*(places[place] for place in counts)),
    )


class _Builder:
    """Collects the format of a struct that reads values, and the mask of their headers."""

    def __init__(self, entry: bytes) -> None:
        self._entry = entry
        self._end = 0
        self.formats: list[str] = []
        self.mask = bytearray(len(entry))
        self.values = 0

    def value(self, start: int, end: int, layout: str, kind: int) -> int:
        """Take a value; return its place among all that are read."""
        size = end - start
        if layout == TEXT:
            layout = f"{size}s"
        if Struct("=" + layout).size != size:
            raise BadKernelMessage(f"IPVS attribute {kind} has {size} bytes")
        self.formats.append(f"{start - self._end}x{layout}")
        self.mask[start - ATTRIBUTE.size : start] = b"\xff" * ATTRIBUTE.size
        self._end = end
        self.values += 1
        return self.values - 1

    def nested(self, start: int, end: int, formats: Mapping[int, str]) -> Iterator[tuple[int, int]]:
        """Take the values inside an attribute; yield the type and the place of each."""
        for kind, begin, until in spans(self._entry, start, end):
            if kind in formats:
                yield kind, self.value(begin, until, formats[kind], kind)
