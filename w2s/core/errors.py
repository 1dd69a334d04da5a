"""Errors that a user can fix, in one line: what is wrong, where, and what is allowed."""

import difflib
import errno
import os
import sys
from collections.abc import Callable, Iterable

LISTED = 16  # names of a long catalogue that an error lists
LONGEST = 80  # characters of what a user wrote that it shows

# What the machine refuses, and what to do about it. Libraries in other languages pass on the words alone.
FULL = "free some space, or lay the cache elsewhere (`dvc cache dir`, HF_HUB_CACHE)"
DENIED = "the folder must be yours to write to"
LIMITS = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: "a limit on file sizes stands in the way (`ulimit -f`)",
    errno.EROFS: DENIED,
    errno.EACCES: DENIED,
    errno.EPERM: DENIED,
    errno.EMFILE: "too many files are open (`ulimit -n`)",
    errno.EIO: "the disk may be damaged",
}
WITHOUT_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "can't start new thread")
MEMORY = "out of memory; try one stage at a time (--jobs 1), tune: lora, a shorter context or a smaller model"


class UserError(Exception):
    """A fault in parameters, files or surroundings; its message is one line for the person at the terminal."""


def shortened(text: str) -> str:
    """At most `LONGEST` characters of what a user wrote."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def unknown(kind: str, name: str, allowed: Iterable[str]) -> UserError:
    """The error for a name that is not in its list, with the nearest one that is."""
    names = [str(item) for item in allowed]
    nearest = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"; did you mean '{shortened(nearest[0])}'?" if nearest else ""
    listed = ", ".join(map(shortened, names[:LISTED])) or "none"
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return UserError(f"{kind}: unknown name '{shortened(str(name))}' (known: {listed}{more}){hint}")


def ends_in_one_line(main: Callable[[], int | None]) -> int:
    """The exit code of `main`: 1, and one line on stderr, for a `UserError` or for what the machine lacks.

    Any other exception is a bug and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        # Where the terminal's encoding lacks a character, as a minus.
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    try:
        return main() or 0
    except Exception as error:
        message = str(error) if isinstance(error, UserError) else lacking(error)
        if message is None:
            raise
    print("error:", " ".join(message.split()), file=sys.stderr)
    return 1


def lacking(error: BaseException) -> str | None:
    """What the machine lacked (memory, disk, rights), in one line with advice; None for any other error."""
    said = str(error)
    if isinstance(error, MemoryError) or any(words in said for words in WITHOUT_MEMORY):
        return MEMORY
    code = error.errno if isinstance(error, OSError) else None
    for limit, advice in LIMITS.items():
        if code == limit or (code is None and os.strerror(limit) in said):
            place = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
            return f"{place}{os.strerror(limit)}; {advice}"
    return None
