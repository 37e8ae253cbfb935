"""What pydantic says about a field -> what we say to the author of the file."""

from __future__ import annotations

import re
from typing import Final, get_args

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from . import fields
from .fields import shown
from .findings import Path, suggestion
from .model import Cluster

_WANTED: Final = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "float_type": "a number",
    "dict_type": "a mapping (`name: value`, one per line)",
    "model_type": "a mapping (`name: value`, one per line)",
    "tuple_type": "a list (`- ...`)",
    "literal_error": "a text",
}
_KINDS: Final = {
    type(None): "nothing",
    bool: "true or false",
    int: "the number",
    float: "the number",
    str: "the text",
    list: "a list",
    dict: "a mapping",
}
_SECRET: Final = "auth_pass"  # noqa: S105 - the name of a field; findings end up in CI logs
_DIGITS: Final = re.compile(r"[0-9]{1,18}")
_LIMITS: Final = {
    "greater_than_equal": ("ge", "less", "least"),
    "less_than_equal": ("le", "more", "most"),
}


def path_of(error: ErrorDetails) -> Path:
    """Where in the file an error is; pydantic marks errors of a key, which has the same place as its value."""
    return tuple(part for part in error["loc"] if part != "[key]")


def word(error: ErrorDetails) -> tuple[str, str]:
    """Say what is wrong, and what would be right."""
    kind, value, context, path = error["type"], error["input"], error.get("ctx", {}), path_of(error)
    if kind in _LIMITS:
        limit, comparison, bound = _LIMITS[kind]
        return f"{shown(value)} is {comparison} than possible", f"at {bound} {_number(context[limit])}"
    if kind == "literal_error" and "'" not in context["expected"]:
        return f"{shown(value)} is not possible", f"write {context['expected']}"
    if kind in _WANTED:
        return _wrong_type(kind, value, secret=_SECRET in path)
    match kind:
        case fields.OWN_ERROR:
            said = context["wrong"], context["right"]
        case "extra_forbidden":
            said = "there is no such field", suggestion(str(path[-1]), _model_at(path).model_fields)
        case "missing":
            said = "this field is missing", _describe(path)
        case "too_short":
            said = "nothing stands here", "at least one entry is needed"
        case "too_long":
            said = "there are too many entries", f"at most {context['max_length']} are possible"
        case _:
            said = str(error["msg"]), f"see {_describe(path)}"
    return said


def _number(limit: float) -> str:
    """Write a limit as people do: no 2.14748e+09."""
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _describe(path: Path) -> str:
    field = _model_at(path).model_fields.get(str(path[-1]))
    return field.description or "" if field else "the reference of the cluster file"


def _model_at(path: Path) -> type[BaseModel]:
    """The section that has the last part of the path as a field: walks from the whole file down."""
    model: type[BaseModel] = Cluster
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        inner = None if field is None else _section_in(field.annotation)
        if inner is not None:
            model = inner
    return model


def _section_in(annotation: object) -> type[BaseModel] | None:
    """The section that a field holds: itself, in a list, by name, or perhaps."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _section_in(inner)) is not None), None)


def _wrong_type(kind: str, value: object, *, secret: bool) -> tuple[str, str]:
    here = _KINDS.get(type(value), "something else")
    if secret and isinstance(value, (int, float)) and not isinstance(value, bool):
        here = "a number"
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        here = f"{here} {shown(value)}"
    wrong = f"{_WANTED[kind]} is needed here, not {here}"
    if kind in ("string_type", "literal_error") and isinstance(value, (bool, int, float)):
        return wrong, "put it between quotes if it is meant as a text"
    if kind in ("int_type", "float_type") and isinstance(value, str) and _DIGITS.fullmatch(value):
        return wrong, f"write {int(value)}, without quotes and leading zeros"
    return wrong, f"write {_WANTED[kind]}"
