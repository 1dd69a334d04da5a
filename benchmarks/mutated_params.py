"""A thousand mutants of params.yaml: each is sound, or refused in one line; none ends in a traceback.

Run `python -m benchmarks.mutated_params [how many [seed]]`. A mutant differs in one place, by its values (another one,
nothing, another name) or by its letters (cut, doubled, out of order, nested two thousand deep). The exit code is 1, and
the mutant is shown, where anything but a `UserError` of one line comes out. Of models and tasks a few are kept, for
speed: a thousand take a few minutes.
"""

import copy
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from w2s.core.checks import load, read
from w2s.core.errors import UserError
from w2s.core.params import PARAMS
from w2s.methods.compatibility import require_all

JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**70, 0.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", " ", ".", "..", "../out", "/", "~", "a b", "a.b", "naive", "xs", "data", "−", "\x00", "x" * 5000),
    *([], [None], [[]], ["xs", "xs"], [0], {}, {"": 0}, {"a": {"a": {}}}, {0: 1}, {None: None}),
]
# In place of a line.
LINES = ["", "\t- a", "? b", "&a [*a]", "<<: *b", "%YAML 9.9", "--- a", "!!python/object:os.system {}", "[" * 2000]


KEPT = {"models": ["gpt2"], "tasks": ["reviews", "preferences", "sciq"]}  # beside the ladder


def main() -> int:
    count, seed = (int(word) for word in (*sys.argv[1:], *["1000", "0"][len(sys.argv) - 1 :]))
    rng = random.Random(seed)
    content = read(PARAMS)[1]
    KEPT["models"] += content["grid"]["ladder"]
    for catalogue, names in KEPT.items():
        content[catalogue] = {name: content[catalogue][name] for name in names}
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            file = Path(folder) / PARAMS
            what = rng.choice([in_values, in_letters])(content, rng, file)
            outcome = tried(file)
            outcomes[outcome] += 1
            if outcome not in ("sound", "refused"):
                print(f"{what}: {outcome}")
    print(", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common()))
    return 0 if outcomes.keys() <= {"sound", "refused"} else 1


def tried(file: Path) -> str:
    """What stage `check` makes of a mutant."""
    try:
        params = load(file)
        require_all(params)
    except UserError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 1000 else f"refused at length: {error}"
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    return "sound"


def in_values(content: Any, rng: random.Random, file: Path) -> str:
    """Write the content with another value, key or nothing at one place; what was done."""
    mutant = copy.deepcopy(content)
    place = mutant
    path = [rng.choice(list(place))]
    while isinstance(place[path[-1]], dict) and place[path[-1]] and rng.random() < 0.8:
        place = place[path[-1]]
        path.append(rng.choice(list(place)))
    match rng.randrange(4):
        case 0:
            del place[path[-1]]
            done = "deleted"
        case 1:
            name = rng.choice([key for key in JUNK if isinstance(key, str | int | float | None)])
            place[name] = place.pop(path[-1])
            done = f"renamed {name!r:.60}"
        case 2 if isinstance(place[path[-1]], list):
            place[path[-1]] = [*place[path[-1]], rng.choice(JUNK)]
            done = "longer"
        case _:
            place[path[-1]] = rng.choice(JUNK)
            done = f"{place[path[-1]]!r:.60}"
    file.write_text(yaml.safe_dump(mutant, sort_keys=False), encoding="utf-8")
    return f"{'.'.join(map(str, path))}: {done}"


def in_letters(content: Any, rng: random.Random, file: Path) -> str:
    """Write the content with some letters or lines cut, doubled, out of order or in place of others; what was done."""
    lines = yaml.safe_dump(content, sort_keys=False).splitlines(keepends=True)
    at = rng.randrange(len(lines))
    match rng.randrange(6):
        case 0:
            lines[at:] = [lines[at][: rng.randrange(len(lines[at]))]]
        case 1:
            lines.insert(at, lines[at])
        case 2:
            lines[at] = lines[at].lstrip()
        case 3:
            lines.insert(at, f"{rng.choice(LINES)}\n")
        case 4:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case _:
            lines[at] = f" {lines[at]}"
    data = bytearray("".join(lines), "utf-8")
    if rng.random() < 0.3:
        data[rng.randrange(len(data))] = rng.randrange(256)
    file.write_bytes(data)
    return f"letters of line {at + 1}"


if __name__ == "__main__":
    sys.exit(main())
