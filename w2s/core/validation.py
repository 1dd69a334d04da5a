"""From what a user wrote to a typed value: strict schemas, and the first of pydantic's errors in one line.

Nothing here decides a result: a value is refused or comes out as it was written.
"""

import inspect
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, create_model
from pydantic_core import ErrorDetails

from w2s.core.errors import UserError, shortened, unknown

M = TypeVar("M", bound=BaseModel)

# pydantic's messages, where they are not in a user's words.
MESSAGES = {
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


def either(allowed: str) -> WrapValidator:
    """For a field of several forms: one error that says what is `allowed`, in place of one a form."""

    def validated(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError:
            raise ValueError(f"must be {allowed}") from None

    return WrapValidator(validated)


class Strict(BaseModel):
    """No unknown keys, no conversion of types, no infinite numbers; cannot be changed."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


class Open(Strict):
    """Strict about its own fields; other keys are the options of a function elsewhere (see `options_of`)."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        """The keys that are not fields, unchecked."""
        return dict(self.model_extra or {})


def options_of(function: Callable[..., Any], entry: Open, param_path: str) -> dict[str, Any]:
    """The options that an entry sets, checked against the keyword-only parameters of the function that takes them.

    A parameter's annotation is its range (`Fraction`, `Count`, …); one without a default is required. Defaults are left
    to the function. Raises `UserError`.
    """
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.default is inspect.Parameter.empty else parameter.default)
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    schema = create_model(function.__name__, __base__=Strict, **fields)
    return validate(schema, entry.options, param_path).model_dump(exclude_unset=True)


def validate(schema: type[M], content: Any, param_path: str) -> M:
    """`content` as `schema`; raises `UserError` about its first fault, of which unknown keys come first.

    A misspelt key is both unknown and missing under its right name, and only the former says what to mend.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as error:
        errors = error.errors()
        first = next((fault for fault in errors if fault["type"] == "extra_forbidden"), errors[0])
        raise _user_error(schema, first, param_path) from None


def _user_error(schema: type[BaseModel], fault: ErrorDetails, param_path: str) -> UserError:
    """One of pydantic's errors as a line for the user."""
    keys, allowed = _locate(schema, fault["loc"])
    key = ".".join(shortened(key) for key in keys) or "top level"
    match fault["type"]:
        case "extra_forbidden":
            return unknown(f"{param_path}: {key}", keys[-1], allowed)
        case "missing":
            return UserError(f"{param_path}: {key} is missing")
        case "union_tag_not_found":
            return UserError(f"{param_path}: {key}.family is missing")
        case "union_tag_invalid":
            families = [name.strip("'") for name in fault["ctx"]["expected_tags"].split(", ")]
            return unknown(f"{param_path}: {key}.family", fault["ctx"]["tag"], families)
    message = MESSAGES.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    message = message.replace("Input should be", "must be")
    if isinstance(fault["input"], dict) and fault["type"] == "value_error":
        # A model's own validator: keys that do not go together, of which the message names one.
        return UserError(f"{param_path}: {key}.{message}")
    return UserError(f"{param_path}: {key}: {message} (found {_shortened(fault['input'])})")


def _shortened(value: Any) -> str:
    if value is None:
        return "nothing"
    return shortened(repr(value))


def _locate(schema: type[BaseModel], location: tuple[int | str, ...]) -> tuple[list[str], list[str]]:
    """Where a fault is: the keys that a user wrote on the path to it, and those allowed in place of the last one.

    `location` is pydantic's path: keys, indices of lists and, in a union, the tag of the member that was tried.
    """
    keys: list[str] = []
    schemas = parents = [schema]
    for part in location:
        tagged = [candidate for candidate in schemas if _tag(candidate) == part]
        if tagged:
            schemas = tagged
            continue
        # pydantic's mark of a fault in a mapping's key, not a key itself.
        if part != "[key]":
            keys.append(str(part))
        parents = schemas
        fields = [parent.model_fields[str(part)] for parent in parents if str(part) in parent.model_fields]
        # Without such a field, this is a name in a catalogue (dict[Name, Entry]): `schemas` are its entries' already.
        schemas = [model for field in fields for model in _models_in(field.annotation)] or parents
    return keys, list(dict.fromkeys(name for parent in parents for name in parent.model_fields))


def _tag(schema: type[BaseModel]) -> str | None:
    """The value of `family` by which a union chooses this schema, if it does."""
    family = schema.model_fields.get("family")
    if family is None or get_origin(family.annotation) is not Literal:
        return None
    return get_args(family.annotation)[0]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """All schemas that a field's annotation names."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]
