"""A plan or an applied push as a page: per host what is added, set and removed, and a summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from lbwire.messages import Step

from .answers import Finding, Plan, Reconciled
from .answers_rollout import Push
from .page import Line, Page, Tone
from .text import count, seconds

SIGNS: Final[dict[str, tuple[str, Tone]]] = {"add": ("+", "good"), "set": ("~", "warn"), "remove": ("-", "bad")}
_DETAIL_TONES: Final[dict[str, Tone]] = {"+": "good", "-": "bad", "@": "dim"}
_TONES: Final[dict[str, Tone]] = {"info": "dim", "warning": "warn"}

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


_WHY_STAYS: Final = {
    "kept": "that was asked for. Push again, or lbmaster rollback to a generation of lbmaster history",
    "no_rollback": "--no-rollback asked for that. Push again, or lbmaster rollback to a generation of lbmaster history",
    "first": "there is nothing to go back to. Mend the cause, and push again",
    "damaged": "what it would go back to is damaged in the master's database. Push again",
}
_DONE: Final = ("applied", "converged")


def push_page(push: Push, file: str) -> Page:
    """Show what a push has changed, or only planned, and what went wrong; `file` names what warnings are about."""
    lines = list(finding_lines(push.findings, file))
    lines += [Line(f"{said}: ended, since the file has no place for it any more", "warn") for said in push.dropped]
    went_back = push.outcome == "rolled_back"
    for name, host in sorted(push.hosts.items()):
        if host.steps and not went_back:
            made = "" if host.state in _DONE else " planned, but not known to be made"
            lines += [Line(f"{name}:{made}", "bold"), *step_lines(host.steps), Line()]
    for name, host in sorted(push.hosts.items()):
        if host.problem:
            lines.append(Line(f"{name}: {host.state}: {host.problem}", "bad"))
        elif host.state not in _DONE and not went_back:
            lines.append(Line(f"{name}: {host.state}", "bad"))
    lines += [Line(f"{name}: missing, as was allowed: it catches up when it is back", "warn") for name in push.missing]
    if push.left:
        lines.append(Line(f"{count(push.left, 'connection')} to what was removed did not end in time", "warn"))
    lines += [Line(f"HURTS: {problem}", "bad") for problem in push.gate]
    lines += _rollback_lines(push)
    lines.append(Line(push_summary(push), "good" if push.outcome == "converged" else "bad"))
    return tuple(lines)


def _rollback_lines(push: Push) -> Iterator[Line]:
    if push.rollback is None:
        return
    for name, problem in sorted(push.rollback.problems.items()):
        yield Line(f"{name}: did not go back: {problem}", "bad")


def push_summary(push: Push) -> str:
    """Write the last line of a push."""
    changed = {name: host.steps for name, host in push.hosts.items()}
    named = f"generation {push.generation} of {push.cluster}"
    match push.outcome:
        case "converged":
            pass
        case "rolled_back" if push.rollback is not None:
            back = f"generation {push.rollback.generation} has the content of {push.rollback.content_of} again"
            return f"Rolled back: {named} is not in force anywhere; {back}, on every host."
        case _ if push.rollback is not None:
            back = f"generation {push.rollback.generation}, with the content of {push.rollback.content_of}"
            return (
                f"Failed: {named} was taken back, but not everywhere: {back}, is in force, and those named above follow "
                "as soon as they can; see lbmaster status."
            )
        case "aborted":
            return f"Aborted: {_stays(push, named)}"
        case _:
            return f"Failed: {_stays(push, named)}"
    what = _counts(changed, "added", "changed", "removed") if any(changed.values()) else "no changes"
    hosts = "" if any(changed.values()) else f" on {count(len(changed), 'host')}"
    return f"Converged: {named} in {seconds(push.seconds)}: {what}{hosts}."


def _stays(push: Push, named: str) -> str:
    """Say what is in force after a push that failed and was not taken back, and the way out."""
    before = f"generation {push.released} is in force as before" if push.released else "nothing is in force yet"
    why = _WHY_STAYS.get(push.stays, "")
    if push.stays == "not_released":
        return f"{named} was released to no host; {before}."
    return f"{named} is not in force on every host{why and f', and stays where it is: {why}'}."


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
        yield Line(": ".join(parts) + right, _TONES.get(finding.severity, "bad"))


def _counts(steps: Mapping[str, tuple[Step, ...]], added: str, changed: str, removed: str) -> str:
    verbs = Counter[str]()
    for step in (step for host in steps.values() for step in host):
        verbs[step.verb] += step.count
    hosts = count(sum(1 for host in steps.values() if host), "host")
    return f"{verbs['add']} {added}, {verbs['set']} {changed}, {verbs['remove']} {removed} on {hosts}"
