"""The reference of the cluster file, as rows of a table, read out of its schema.

`python -m tests.cluster_fields` prints the tables that docs/cluster-file.md has to show.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from lbstates.clusterfile import schema

SECTIONS = ("", "directors.*", "real_servers.*", "vips.*", "services[]", "instances.*", "vrrp", "ipvs")
"""Each has a table of its own, in this order; what lies deeper stands in the table of its section."""


class Row(NamedTuple):
    """One field: `path` as users write it ("services[].persistence.timeout"), the rest as the page shows it."""

    path: str
    default: str
    limits: str
    meaning: str


def fields() -> dict[str, Row]:
    """Every field of a cluster file, in the order of the model."""
    described = schema()
    return {row.path: row for row in _section(described, described, "")}


def _section(section: dict[str, Any], whole: dict[str, Any], prefix: str) -> Iterator[Row]:
    for name, field in section["properties"].items():
        path = f"{prefix}{name}"
        required = name in section.get("required", ())
        yield Row(path, "required" if required else _default(field), _limits(field), field["description"])
        for inner, suffix in _inside(field, whole):
            yield from _section(inner, whole, f"{path}{suffix}.")


def _inside(field: dict[str, Any], whole: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the sections that a field holds, with what stands between its path and theirs."""
    for form in _forms(field):
        if "$ref" in form:
            section = whole["$defs"][form["$ref"].rpartition("/")[2]]
            yield next(it for it in section.get("anyOf", [section]) if "properties" in it), ""
        for inner in form.get("patternProperties", {}).values():
            if "$ref" in inner:
                yield from ((section, ".*") for section, _ in _inside(inner, whole))
        if form.get("type") == "array" and "$ref" in form.get("items", {}):
            yield from ((section, "[]") for section, _ in _inside(form["items"], whole))


def _forms(field: dict[str, Any]) -> list[dict[str, Any]]:
    forms = field.get("anyOf", [field])
    return [form for form in forms if form.get("type") != "null"]


def _default(field: dict[str, Any]) -> str:
    match field.get("default"):
        case None | {} | []:
            return ""
        case bool() as value:
            return str(value).lower()
        case dict():
            return ""
        case list() as value:
            return ", ".join(map(str, value))
        case value:
            return str(value)


def _limits(field: dict[str, Any]) -> str:
    return " or ".join(filter(None, map(_limit, _forms(field))))


def _limit(form: dict[str, Any]) -> str:
    if "enum" in form:
        return ", ".join(map(str, form["enum"]))
    if "const" in form:
        return str(form["const"])
    if "minimum" in form:
        return f"{form['minimum']:.10g} to {form['maximum']:.10g}"
    for smallest, largest in (("minProperties", "maxProperties"), ("minItems", "maxItems")):
        if largest in form:
            return f"{form.get(smallest, 0)} to {form[largest]} entries"
        if smallest in form:
            return f"at least {form[smallest]}"
    return {"boolean": "true, false"}.get(form.get("type", ""), "")


def table(section: str) -> str:
    """The table of one of `SECTIONS`, as Markdown."""
    inner = [
        row for row in fields().values() if (row.path.startswith(f"{section}.") if section else "." not in row.path)
    ]
    lines = ["| field | default | limits | meaning |", "| --- | --- | --- | --- |"]
    lines += [f"| `{row.path}` | {row.default} | {row.limits} | {row.meaning} |" for row in inner]
    return "\n".join(lines)


if __name__ == "__main__":
    for each in SECTIONS:
        sys.stdout.write(f"\n## {each or 'the file'}\n\n{table(each)}\n")
