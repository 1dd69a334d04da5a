"""Errors that a user can fix, in one line: what is wrong, where, and what is allowed."""

import difflib
from collections.abc import Iterable

# Names of a long catalogue that an error lists.
LISTED = 16


class UserError(Exception):
    """A fault in parameters, files or surroundings; its message is one line for the person at the terminal."""


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in its list, with the nearest one that is."""
    names = [str(item) for item in allowed]
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean '{nearest[0]}'?" if nearest else ""
    listed = ", ".join(names[:LISTED]) or "none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return UserError(f"{kind}: unknown name '{name}' (known: {listed}{more}){hint}")
