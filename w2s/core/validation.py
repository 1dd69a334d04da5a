"""From what a user wrote to a typed value: strict schemas, and pydantic's faults told in one line."""

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from w2s.core.errors import UserError, unknown

M = TypeVar("M", bound=BaseModel)


class Strict(BaseModel):
    """Nothing unknown, nothing coerced, nothing infinite."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Open(Strict):
    """Strict about its own fields; the rest are the options of a function elsewhere (see `options_of`)."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def options_of(function: Callable[..., Any], entry: Open, where: str) -> dict[str, Any]:
    """An entry's options, checked against the keyword-only parameters of the function that takes them.

    A parameter's annotation is its range (`Fraction`, `Count`, …); one without a default is required.
    """
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    schema = create_model(function.__name__, __base__=Strict, **fields)
    return validate(schema, entry.options, where).model_dump()


# pydantic's words, where they are not a user's.
SAYS = {
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "string_type": "must be text",
    "list_type": "must be a list",
    "too_short": "must have at least one item",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "must be one word of letters, digits, _ and -, a dash only between others",
}


def validate(schema: type[M], content: Any, where: str) -> M:
    """`content` as `schema`, or a one-line `UserError` about its first fault."""
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        faults = error.errors()
        fault = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])  # a slip of the pen
        way, fields = _walk(schema, fault["loc"])
        key = ".".join(way) or "top level"
        match fault["type"]:
            case "extra_forbidden":
                raise unknown(f"{where}: {key}", way[-1], fields) from None
            case "missing" | "union_tag_not_found":
                tag = ".family" if fault["type"] == "union_tag_not_found" else ""
                raise UserError(f"{where}: {key}{tag} is missing") from None
            case "union_tag_invalid":
                families = [name.strip("'") for name in fault["ctx"]["expected_tags"].split(", ")]
                raise unknown(f"{where}: {key}.family", fault["ctx"]["tag"], families) from None
        says = SAYS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
        says = says.replace("Input should be", "must be")
        if isinstance(fault["input"], dict) and fault["type"] == "value_error":  # two keys that do not go together
            raise UserError(f"{where}: {key}.{says}") from None
        found = "nothing" if fault["input"] is None else repr(fault["input"])
        raise UserError(f"{where}: {key}: {says} (found {found[:80]}{'…' if len(found) > 80 else ''})") from None


def _walk(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """The keys a user wrote on the way to a fault, and those allowed beside the last of them."""
    here, allowed, way = [schema], [schema], []
    for part in location:
        if tagged := [kind for kind in here if _tag(kind) == part]:  # pydantic's note of which one of a union it took
            here = tagged
            continue
        if part != "[key]":
            way.append(str(part))
        allowed = here
        fields = [kind.model_fields[str(part)] for kind in here if str(part) in kind.model_fields]
        # No such field: a name in a catalogue (dict[Name, Entry]), whose entries' schema `here` is already.
        here = [kind for field in fields for kind in _models_in(field.annotation)] or here
    return way, list(dict.fromkeys(name for kind in allowed for name in kind.model_fields))


def _tag(kind: type[BaseModel]) -> str | None:
    family = kind.model_fields.get("family")
    return get_args(family.annotation)[0] if family and get_origin(family.annotation) is Literal else None


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _models_in(part)]
