"""Writes docs/reliability.md anew from a run's table: ``python -m tests.faults.document FAULTS.json``.

FAULTS.json comes from ``LB_TEST_FAULTS=FAULTS.json tests/run --soak``. What stands above the first heading of a family, and
below the last table, is kept as it is.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "reliability.md"
BEGIN: Final = "<!-- tables: written by tests/faults/document.py -->\n"
END: Final = "<!-- end of the tables -->\n"


def rewritten(page: str, tables: str) -> str:
    """Put the tables between the marks of a page. Raises `ValueError` when the marks are not there."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} has no place for the tables: the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{tables}{END}{after}"


def main(arguments: list[str]) -> int:
    """Write the page; returns the exit code."""
    if len(arguments) != 1:
        sys.stderr.write((__doc__ or "") + "\n")
        return 2
    sys.path.insert(0, str(ROOT / "vagrant"))
    from tests.faults import table
    from tests.faults.catalogue import FAMILIES

    try:
        found = table.from_json(Path(arguments[0]).read_text())
        PAGE.write_text(rewritten(PAGE.read_text(), table.markdown(FAMILIES, found)))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"tests.faults.document: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
