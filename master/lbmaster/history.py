"""The generations of a cluster as an operator thinks of them: one line for each thing that somebody asked for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from .records import Made


def folded(rows: Sequence[Made]) -> list[Made]:
    """Leave out the first half of a push in two, where the second one followed; `rows` are newest first.

    A half that was not followed by the other one stays: something went wrong with it. What takes it back is part of it,
    too, and repeats another generation than it does.
    """
    followed = {(row.part_of, row.content_of) for row in rows}
    return [row for row in rows if not (row.kind == "settle" and (row.generation, row.content_of) in followed)]
