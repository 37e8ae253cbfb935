"""What a check is given beside the cluster, and what it yields."""

from __future__ import annotations

from dataclasses import dataclass

from lbstates.clusterfile.findings import Path, Severity


@dataclass(frozen=True, slots=True)
class Remark:
    """A finding that does not know its line yet; `warning` means that the file can be used as it is, `info` just reminds."""

    path: Path
    wrong: str
    right: str
    warning: bool = False
    info: bool = False

    @property
    def severity(self) -> Severity:
        """How much it weighs."""
        return "warning" if self.warning else "info" if self.info else "error"


@dataclass(frozen=True, slots=True)
class Declared:
    """The names in the file, also of those entries whose value is wrong: a typo in an address makes no host unknown.

    `broken` are the sections that have no names, because they are no mappings.
    """

    directors: frozenset[str]
    real_servers: frozenset[str]
    vips: frozenset[str]
    instances: frozenset[str]
    broken: frozenset[str] = frozenset()
