"""Reproduces the whole pipeline on several cores at once.

DVC runs one stage at a time, but lets several `dvc repro` share a workspace. The graph's stages are taken wave by wave
(a stage's wave comes after those of all it depends on), each wave dealt out to lanes, and each lane is a process that
does what `dvc repro --single-item` does (`lane`). What is computed, locked and cached is what `dvc repro` alone would
have made.
"""

import os
import re
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

import networkx
from dvc.exceptions import DvcException
from dvc.repo import Repo
from tqdm import tqdm

from w2s.core.errors import UserError

BEGINS = re.compile(r"(?:Running stage|Stage) '([^']+)'")
TAIL = 30  # lines of a failed lane's output that are shown


class Lane(threading.Thread):
    """A process with its share of a wave; its stages are counted on the common bar."""

    def __init__(self, stages: list[str], bar: tqdm) -> None:
        super().__init__(daemon=True)
        self.bar, self.tail = bar, deque[str](maxlen=TAIL)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "w2s.pipeline.workers", *stages],
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        self.start()

    def run(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            line = line.rstrip().rsplit("\r", 1)[-1]
            self.tail.append(line)
            if begins := BEGINS.match(line):
                self.bar.set_postfix_str(begins[1])
                self.bar.update()
        self.process.wait()


def reproduce(lanes: int) -> None:
    """Bring every stage up to date; raises `UserError` with the failed stage's own last words."""
    waves = plan()
    with tqdm(total=sum(map(len, waves)), desc="reproduce", unit="stage", dynamic_ncols=True, smoothing=0.1) as bar:
        for wave in waves:
            running = [Lane(wave[first::lanes], bar) for first in range(min(lanes, len(wave)))]
            for lane in running:
                lane.join()
            for lane in running:
                if lane.process.returncode:
                    bar.close()
                    print(*lane.tail, sep="\n", file=sys.stderr)
                    raise UserError("a stage failed; what it said stands above. Finished stages are kept")


def plan() -> list[list[str]]:
    """The names of all stages in waves: each stage stands in a later wave than all it depends on."""
    try:
        with Repo() as repo:
            generations = networkx.topological_generations(repo.index.graph.reverse())
            waves = [[stage.addressing for stage in wave if stage.cmd] for wave in generations]
            return [wave for wave in waves if wave]  # files under `dvc add` have nothing to run
    except DvcException as error:
        raise UserError(str(error)) from None
