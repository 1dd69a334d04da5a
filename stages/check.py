"""Check the experiment before anything is computed: names, ranges, and every option of what the grid uses.

Its output never changes, so passing again re-runs nothing; every other stage is downstream of it.
"""

from pathlib import Path

from w2s.core import files
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.methods.compatibility import require_all


def main() -> None:
    require_all(load())
    with files.atomic(Path("data/checked")) as temporary:
        temporary.write_text("params.yaml is sound\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
