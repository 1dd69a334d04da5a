"""Tables and lists in the terminal."""

from collections.abc import Sequence

from tabulate import tabulate

MAX_LINES = 10  # of any list


def lines(rows: Sequence[Sequence[object]], headers: Sequence[str], floats: str = "g") -> list[str]:
    """A text table, indented; columns of text are left as they are even where they look like numbers."""
    text = [column for column, cell in enumerate(rows[0]) if isinstance(cell, str)]
    content = tabulate(rows, headers, tablefmt="plain", floatfmt=floats, disable_numparse=text)
    return [f"  {line}".rstrip() for line in content.splitlines()]


def shortened(lines: list[str], headings: int = 0) -> list[str]:
    """The headings, at most `MAX_LINES` lines, and how many more there are."""
    shown = headings + MAX_LINES
    more = len(lines) - shown
    return lines[:shown] + ([f"  ... and {more} more"] if more > 0 else [])
