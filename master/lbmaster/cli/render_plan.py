"""A plan or an applied push as a page: per host what is added, set and removed, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lbwire.messages import Step

from .answers import Finding, Plan, Push, Reconciled
from .page import Line, Page, Tone
from .text import count, seconds

SIGNS: Final[dict[str, tuple[str, Tone]]] = {"add": ("+", "good"), "set": ("~", "warn"), "remove": ("-", "bad")}
_DETAIL_TONES: Final[dict[str, Tone]] = {"+": "good", "-": "bad", "@": "dim"}

STEP_INDENT: Final = 2
DETAIL_INDENT: Final = 8


def plan_page(plan: Plan, file: str) -> Page:
    """Show what a push of this file would change; `file` names it."""
    lines = list(finding_lines(plan.findings, file))
    for name, host in sorted(plan.hosts.items()):
        if host.error:
            lines += [Line(f"{name}: cannot plan: {host.error}", "bad"), Line()]
        elif host.steps:
            lines += [Line(f"{name}:", "bold"), *step_lines(host.steps), Line()]
    lines.append(Line(plan_summary(plan), "bold"))
    return tuple(lines)


def plan_summary(plan: Plan) -> str:
    """Write the last line: what to add, change and remove, and who could not say."""
    planned = {name: host.steps for name, host in plan.hosts.items() if not host.error}
    mute = len(plan.hosts) - len(planned)
    if any(planned.values()):
        text = f"Plan: {_counts(planned, 'to add', 'to change', 'to remove')}"
    elif mute:
        text = f"No changes on {count(len(planned), 'host')}"
    else:
        return "No changes: every host is as the file says."
    return f"{text}; {count(mute, 'host')} cannot plan." if mute else f"{text}."


_DONE: Final = ("applied", "converged")


def push_page(push: Push, file: str) -> Page:
    """Show what a push has changed, or only planned, and what went wrong; `file` names what warnings are about."""
    lines = list(finding_lines(push.findings, file))
    for name, host in sorted(push.hosts.items()):
        if host.steps:
            made = "" if host.state in _DONE else " planned, but not known to be made"
            lines += [Line(f"{name}:{made}", "bold"), *step_lines(host.steps), Line()]
    for name, host in sorted(push.hosts.items()):
        if host.problem:
            lines.append(Line(f"{name}: {host.state}: {host.problem}", "bad"))
        elif host.state not in _DONE:
            lines.append(Line(f"{name}: {host.state}", "bad"))
    converged = push.outcome == "converged"
    lines.append(Line(push_summary(push), "good" if converged else "bad"))
    return tuple(lines)


def push_summary(push: Push) -> str:
    """Write the last line of a push."""
    changed = {name: host.steps for name, host in push.hosts.items()}
    if push.outcome != "converged":
        return f"Failed: generation {push.generation} of {push.cluster} is not in force on every host."
    what = _counts(changed, "added", "changed", "removed") if any(changed.values()) else "no changes"
    hosts = "" if any(changed.values()) else f" on {count(len(changed), 'host')}"
    return f"Converged: generation {push.generation} of {push.cluster} in {seconds(push.seconds)}: {what}{hosts}."


def reconciled_page(reconciled: Reconciled) -> Page:
    """Show what every host healed."""
    lines: list[Line] = []
    for name, host in sorted(reconciled.hosts.items()):
        if host.silent:
            lines.append(Line(f"{name}: SILENT: it did not answer in time", "bad"))
        elif host.remaining:
            undone = count(host.remaining, "change")
            lines += [Line(f"{name}: DRIFT: {undone} could not be made", "bad"), *step_lines(host.healed)]
        elif host.healed:
            lines += [Line(f"{name}: healed", "warn"), *step_lines(host.healed)]
        else:
            lines.append(Line(f"{name}: as it shall be", "good"))
    return tuple(lines)


def step_lines(steps: Iterable[Step]) -> Iterator[Line]:
    """Show changes in the order in which they are made, each with its detail below it."""
    for step in steps:
        sign, tone = SIGNS.get(step.verb, (step.verb, "plain"))
        yield Line(f"{sign} {describe(step)}", tone, STEP_INDENT)
        for detail in step.detail.splitlines():
            heading = detail.startswith(("--- ", "+++ "))
            yield Line(detail, "dim" if heading else _DETAIL_TONES.get(detail[:1], "plain"), DETAIL_INDENT)


def describe(step: Step) -> str:
    """Write a change in one line, without its sign: kind, identity, and what it was and will be."""
    named = step.kind if step.identity == step.kind else f"{step.kind} {step.identity}"
    match step.verb:
        case "set" if step.before or step.after:
            return f"{named}: {step.before or 'nothing'} -> {step.after or 'nothing'}"
        case "add" if step.after:
            return f"{named}: {step.after}"
        case "remove" if step.before:
            return f"{named}: {step.before}"
        case _:
            return named


def finding_lines(findings: Iterable[Finding], file: str = "") -> Iterator[Line]:
    """Show findings as compilers do: place, severity, what is wrong, what would be right."""
    for finding in findings:
        place = f"{file}:{finding.line}" if finding.line else file
        parts = [part for part in (place, finding.severity, finding.field, finding.wrong) if part]
        right = f"; {finding.right}" if finding.right else ""
        yield Line(": ".join(parts) + right, "warn" if finding.severity == "warning" else "bad")


def _counts(steps: Mapping[str, tuple[Step, ...]], added: str, changed: str, removed: str) -> str:
    verbs = Counter[str]()
    for step in (step for host in steps.values() for step in host):
        verbs[step.verb] += step.count
    hosts = count(sum(1 for host in steps.values() if host), "host")
    return f"{verbs['add']} {added}, {verbs['set']} {changed}, {verbs['remove']} {removed} on {hosts}"
