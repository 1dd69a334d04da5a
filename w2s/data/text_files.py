"""Rows of CSV and JSON files, gzipped or not, in which every value is the text that stands in the file.

Neither format declares types. A reader that guesses them makes "34.0" of 34 where another row of the column holds a
decimal, and 70 of "0070": then form would betray labels, and ids would collide.
"""

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def csv_rows(path: Path) -> Iterator[dict[str, str]]:
    """Rows by the names in the first line; raises `ValueError`, `OSError` or `EOFError` for a damaged file."""
    csv.field_size_limit(sys.maxsize)
    lines = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        header = next(lines, [])
        if len(set(header)) < len(header):
            raise ValueError(f"two columns have the same name: {', '.join(header)}")
        for values in lines:
            if values and len(values) != len(header):
                raise ValueError(f"line {lines.line_num}: {len(values)} values for {len(header)} columns")
            if values:
                yield dict(zip(header, values, strict=True))
    except csv.Error as error:
        raise ValueError(f"line {lines.line_num}: {error}") from None


def json_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Objects, one a line or in one list; a number is its digits, a truth value `true` or `false`. Raises as above."""
    text = _text(path)
    documents = [text] if text.lstrip().startswith("[") else text.split("\n")
    for number, document in enumerate(documents, start=1):
        if not document.strip():
            continue
        try:
            rows = _DECODER.decode(document)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno + number - 1}: {error.msg}") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"line {number}: {error}") from None
        for row in rows if isinstance(rows, list) else [rows]:
            if not isinstance(row, dict):
                raise ValueError(f"line {number}: a row must be an object, like {{'text': …}}")
            yield row


def _text(path: Path) -> str:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rb") as file:
        return file.read().decode("utf-8-sig")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = {_spelled(key): _spelled(value) for key, value in pairs}
    if len(found) < len(pairs):
        raise ValueError(f"a key occurs twice: {', '.join(key for key, _ in pairs)}")
    return found


def _spelled(value: Any) -> Any:
    """A value as it stands in the file. Raises `ValueError` for half of a surrogate pair, which is no text."""
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, str):
        value.encode()
    return str(value).lower() if isinstance(value, bool) else value


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


_DECODER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse, object_pairs_hook=_object)
