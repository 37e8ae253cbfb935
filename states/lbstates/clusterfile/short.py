"""The base of all sections of a cluster file, and of those entries that can be written as one plain value."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema


class Section(BaseModel):
    """Strict: a number is no text, and an unknown field is a mistake."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class ShortSection(Section):
    """An entry whose most important field (`SHORT`) may stand alone: `d1: 10.0.0.1` for `d1: {address: 10.0.0.1}`."""

    SHORT: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _lengthen(cls, value: object) -> object:
        # A mapping is the long form; anything else is judged as that one field.
        return value if isinstance(value, (dict, cls)) else {cls.SHORT: value}

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        described = handler.resolve_ref_schema(handler(core_schema))
        # In place, since a definition is shared: the long form becomes one of two possibilities.
        long = dict(described)
        described.clear()
        short = {key: value for key, value in long["properties"][cls.SHORT].items() if key not in ("title", "default")}
        described.update({"anyOf": [short, long], "title": long["title"]})
        return described
