"""What the tests of the cluster file ask of its findings."""

from __future__ import annotations

from lbstates.clusterfile import Finding, check


def doubts(text: str) -> tuple[Finding, ...]:
    """All findings but reminders."""
    return tuple(finding for finding in check(text).findings if finding.severity != "info")


def one(text: str) -> Finding:
    """The only finding."""
    findings = doubts(text)
    assert len(findings) == 1, findings
    return findings[0]
