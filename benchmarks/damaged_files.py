"""Damages files of one's own in 300 ways: each is refused in one line, or its examples are those of the sound file.

    python -m benchmarks.damaged_files [files]

Prints how many were refused and how many read, by kind of damage. Exits with 1 where one had a wrong label or an
altered text, or ended in a traceback.
"""

import csv
import io
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from w2s.core.errors import UserError
from w2s.core.params import Split
from w2s.data.tasks import local

Rows = list[dict[str, str]]
SPLIT = Split(supervisor=20, student=20, validation=10, test=20)
STATEMENTS = {"text": "{text}", "label": "label", "positive": ["yes"], "negative": ["no"], "id": "id"}
CHOICES = {"text": "{text}", "choices": ["a", "b", "c"], "answer": "label", "id": "id"}


def sound(kind: str) -> Rows:
    """Statements, or questions whose answer is a column's name."""
    if kind == "statements":
        return [{"id": f"{n:03}", "text": f"Film {n}. Good?", "label": ("yes", "no", "no")[n % 3]} for n in range(120)]
    return [
        {"id": f"{n:03}", "text": f"{n} + 1?", "a": f"{n + 1}", "b": f"{n}", "c": f"{n + 2}", "label": "a"}
        for n in range(120)
    ]


# Damage to one cell, of a column that is used.
CELLS: dict[str, Callable[[str], str]] = {
    "blank": lambda _: " ",
    "emptied": lambda _: "",
    "capital": str.upper,
    "space behind": lambda value: f"{value} ",
    "cut": lambda value: value[:-1],
    "doubled": lambda value: value * 2,
    "number": lambda _: "7.0",
    "null": lambda _: "null",
}
# Damage to the bytes of a file.
BYTES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "ends early": lambda content, rng: content[: rng.randrange(len(content))],
    "no text": lambda content, rng: _at(content, rng, b"\xff\xfe"),
    "other quotes": lambda content, rng: _at(content, rng, b'"'),
    "one more comma": lambda content, rng: _at(content, rng, b","),
    "a line break": lambda content, rng: _at(content, rng, b"\n"),
    "UTF-16": lambda content, _: content.decode().encode("utf-16"),
    "a mark in front": lambda content, _: b"\xef\xbb\xbf" + content,
    "Windows": lambda content, _: content.replace(b"\n", b"\r\n"),
    "twice": lambda content, _: content + content,
}


def _at(content: bytes, rng: random.Random, inserted: bytes) -> bytes:
    place = rng.randrange(len(content))
    return content[:place] + inserted + content[place:]


def written(rows: Rows, suffix: str) -> bytes:
    if suffix == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    file = io.StringIO()
    writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue().encode()


def truths(rows: Rows, kind: str) -> dict[str, bool]:
    """Whether each text that may be asked is true."""
    if kind == "statements":
        return {row["text"]: row["label"] == "yes" for row in rows}
    return {
        f"{row['text']}\nAnswer: {row[name]}\nIs this answer right?": name == row["label"]
        for row in rows
        for name in "abc"
    }


def outcome(content: bytes, kind: str, suffix: str, rows: Rows) -> str:
    """`refused`, `read`, or what went wrong."""
    file = Path(f"data/local/rows.{suffix}")
    file.write_bytes(content)
    options = STATEMENTS if kind == "statements" else CHOICES
    try:
        stream = local.examples(SPLIT, None, 0, "params.yaml: tasks.mine", file=str(file), **options)
        found = {example.inputs["text"]: example.answer for example in stream}
    except UserError as error:
        return "refused" if "\n" not in str(error) else f"more than one line: {error}"
    except Exception as error:  # a traceback is what is looked for
        return f"traceback: {error!r}"
    known = truths(rows, kind)
    # A quote or comma more within a text makes another text, as no program can tell.
    wrong = [text for text, true in found.items() if known.get(text.translate({34: "", 44: ""})) != true]
    return f"silent: {wrong[0]!r} is {found[wrong[0]]}" if wrong else "read"


def main(count: int) -> int:
    rng = random.Random(0)
    outcomes: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        kind, suffix = rng.choice(["statements", "choices"]), rng.choice(["csv", "jsonl"])
        damage = [*CELLS, *BYTES][number % (len(CELLS) + len(BYTES))]
        rows = sound(kind)
        if damage in CELLS:
            # A label: no program can tell an altered text from another text.
            row = dict(rng.choice(rows))
            changed = [{**one, "label": CELLS[damage](row["label"])} if one == row else one for one in rows]
            content = written(changed, suffix)
        else:
            content = BYTES[damage](written(rows, suffix), rng)
        outcomes[damage, outcome(content, kind, suffix, rows)] += 1
    for (damage, result), times in sorted(outcomes.items()):
        print(f"{times:4} {damage}: {result}")
    bad = sum(times for (_, result), times in outcomes.items() if result not in ("refused", "read"))
    print(f"{count} files, {bad} silent or with a traceback")
    return int(bad > 0)


if __name__ == "__main__":
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data/local").mkdir(parents=True)
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 300))
