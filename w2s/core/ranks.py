"""Several processes that share one stage, each with a GPU of its own where there are any (data-parallel ranks).

Each runs the whole stage and takes its share of every batch (`w2s.models.collective`); only the first one writes
(`w2s.core.files`). The process that DVC started watches over them: when one dies, all end, with one line.
"""

import os
import subprocess
import sys
import threading
import time
from glob import glob
from pathlib import Path
from tempfile import TemporaryDirectory

from w2s.core.errors import UserError
from w2s.core.stopwatch import FILE

VARIABLES = ("W2S_RANK", "W2S_RANKS", "W2S_MEETING")
RANK = int(os.environ.get("W2S_RANK", "0"))  # of this process
SIZE = int(os.environ.get("W2S_RANKS", "1"))  # processes of this stage
MEETING = os.environ.get("W2S_MEETING", "")  # the file by which they find each other
LOST = 75  # exit code of one that lost another
LAST_WORDS = 5.0  # seconds that the first one has to end by itself, once another has failed


def share(count: int) -> None:
    """Run this stage in `count` processes and end this one as they do; one of them, or the only one, just goes on."""
    if count == 1 or SIZE > 1:
        return
    given = cards()
    if given and count > len(given):
        raise UserError(f"params.yaml: finetune.processes is {count}, but GPUs for this stage are {len(given)}")
    command = [sys.executable, "-m", f"stages.{Path(sys.argv[0]).stem}", *sys.argv[1:]]
    with TemporaryDirectory() as folder:
        ranks = [_start(command, rank, count, Path(folder), given) for rank in range(count)]
        try:
            while any(rank.poll() is None for rank in ranks) and not any(rank.poll() for rank in ranks):
                time.sleep(0.05)
            if ranks[0].poll() is None:
                _wait(ranks[0], LAST_WORDS)
            codes = [rank.poll() for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
                rank.wait()
        for number, code in enumerate(codes):
            if code and code < 0:
                raise UserError(f"process {number + 1} of {count} of this stage was killed by signal {-code}")
            if code and code != LOST:
                log = Path(folder, str(number))
                said = log.read_text(encoding="utf-8", errors="replace").splitlines() if number else []
                raise UserError(f"process {number + 1} of {count}: {said[-1]}") if said else SystemExit(code)
        sys.exit(max(code or 0 for code in codes))


def cards() -> list[str]:
    """The NVIDIA GPUs that this process may use, by CUDA's names: what CUDA_VISIBLE_DEVICES says, or all there are."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [str(index) for index in range(len(glob("/dev/nvidia[0-9]*")))]
    return [name for name in named.split(",") if name not in ("", "-1")]


def _start(command: list[str], rank: int, count: int, folder: Path, given: list[str]) -> subprocess.Popen[bytes]:
    values = (rank, count, folder / "meeting")
    environment = os.environ | {name: str(value) for name, value in zip(VARIABLES, values, strict=True)}
    if given:
        environment["CUDA_VISIBLE_DEVICES"] = given[rank]
    if rank == 0:
        return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE)
    # They would say the same, and report the same time.
    with (folder / str(rank)).open("wb") as log:
        return subprocess.Popen(command, env=environment | {FILE: ""}, stdin=subprocess.PIPE, stdout=log, stderr=log)


def _wait(rank: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        rank.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _end_with_parent() -> None:
    """The far end of this process's input closes with the process that started it, whatever ended that."""
    os.read(0, 1)
    os._exit(1)


if SIZE > 1:
    threading.Thread(target=_end_with_parent, daemon=True).start()
