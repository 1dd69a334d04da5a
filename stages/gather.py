"""Gather: a supervisor's labels once more, in a folder with those of others, on which a stage can depend as a whole."""

import shutil

from w2s.core import files
from w2s.core.stage import run
from w2s.data import simulated


def main(task: str, of: str, seed: int) -> None:
    with files.atomic(simulated.gathered(task, seed) / of) as out:
        shutil.copytree(files.weak_labels(task, of, seed), out)


if __name__ == "__main__":
    run(main)
