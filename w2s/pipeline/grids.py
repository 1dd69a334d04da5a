"""Puts a ready-made grid into params.yaml, where DVC and everything else reads it."""

import re
from pathlib import Path

from w2s.core.checks import load, read
from w2s.core.errors import UserError
from w2s.core.files import atomic
from w2s.core.params import PARAMS, Grid
from w2s.core.validation import validate

BLOCK = re.compile(r"^grid:.*?(?=^[\w#]|\Z)", re.MULTILINE | re.DOTALL)


def put(file: Path) -> None:
    """Replace the `grid` of params.yaml by that of `file`, and no other letter. Raises `UserError`."""
    text, content = read(file)
    if not isinstance(content, dict) or list(content) != ["grid"]:
        raise UserError(f"{file}: must hold one key, grid")
    validate(Grid, content["grid"], f"{file}: grid")
    load()  # a sound params.yaml, whose grid may be replaced
    given, (params, _) = BLOCK.search(text), read(PARAMS)
    if not (given and BLOCK.search(params)):
        raise UserError(f"{file if not given else PARAMS}: `grid:` must begin a line")
    with atomic(Path(PARAMS)) as temporary:
        temporary.write_text(BLOCK.sub(lambda _: f"{given[0].rstrip()}\n\n", params, count=1), encoding="utf-8")
