"""What a killed training needs to end as if it had not been, saved every so often in one file, whole or not at all."""

import hashlib
import json
import platform
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from w2s.core import files, ranks
from w2s.models import hardware

FOLDER = Path("checkpoints")  # no output of a stage, which DVC would remove before the stage runs again
# Work that a kill may cost. Students of the embedded ladders take less, and save no more than models between.
SECONDS = 60.0
# It may cost more where saving would take more of the time than this: GPT-2-xl with its moments is 19 GB.
SHARE = 0.05
# Bytes a second, assumed until a save has been timed; a busy machine with two cores wrote 300 MB in 1.0 s.
DISK = 3e8
LIBRARIES = ("torch", "transformers", "tokenizers", "peft", "accelerate", "numpy", "safetensors")
TENSOR = "tensor"


class Stateful(Protocol):
    """What has a state to be saved, of dicts, lists, numbers, texts and tensors."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@dataclass
class TrainState:
    """A training after `step` updates."""

    step: int
    weights: Mapping[str, Tensor]  # that learn, by name
    optimizer: dict[str, dict[str, Tensor]]  # AdamW's of each of these, by its index; none once training has ended
    curves: list[tuple[int, dict[str, float]]]  # step and what was logged at it


class Checkpoints:
    """The states of a stage's trainings. A stage that reads other data, code or libraries than they did starts over."""

    def __init__(self, folder: Path, run: Path, reads: Sequence[Path]) -> None:
        """`run` is the stage's folder of predictions; `reads` are its dependencies, files and folders."""
        self.folder = folder
        self.run = run
        self.reads = reads
        self.record = folder / "reads.json"
        self.saved = time.monotonic()
        self.cost: float | None = None  # seconds that the last save took
        if folder.exists():
            self._require_same()

    def of(self, out: Path, keeps: Mapping[str, Stateful], is_intermediate: bool) -> "Checkpoint":
        """The checkpoint of the training that writes to `out`; parameters as those of `Checkpoint`."""
        # The run's folder has a temporary name as long as the stage runs.
        _, *inner = out.relative_to(self.run.parent).parts
        return Checkpoint(self, self.folder.joinpath(*inner, "state.safetensors"), keeps, is_intermediate)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _require_same(self) -> None:
        now = self._reading()
        before = json.loads(self.record.read_text(encoding="utf-8")) if self.record.exists() else {}
        if changed := [name for name, found in now.items() if before.get(name) != found]:
            print(f"{self.folder}: {changed[0]} is not what it was; starting over", file=sys.stderr)
            self.remove()

    def _reading(self) -> dict[str, str]:
        """Digests and versions of all that a state depends on."""
        device = hardware.device()
        kind = getattr(torch.get_device_module(device), "get_device_name", torch.backends.cpu.get_cpu_capability)
        return {
            **{str(path): _digest(path) for path in self.reads},
            **{library: version(library) for library in LIBRARIES},
            "python": platform.python_version(),
            "the device": f"{device.type} {kind()} {hardware.precision('auto')}",
        }


@contextmanager
def resumable(role: str, *cell: object, reads: Sequence[Path]) -> Iterator[Checkpoints]:
    """The checkpoints of a stage whose run is `files.run(role, *cell)`; removed when the block succeeds."""
    checkpoints = Checkpoints(FOLDER / "@".join(map(str, (role, *cell))), files.run(role, *cell), reads)
    yield checkpoints
    if ranks.RANK == 0:
        checkpoints.remove()


class Checkpoint:
    """The state of one training on disk."""

    def __init__(self, stage: Checkpoints, file: Path, keeps: Mapping[str, Stateful], is_intermediate: bool) -> None:
        """`keeps` is saved beside the state. The end `is_intermediate` if the stage goes on with the model."""
        self.stage = stage
        self.file = file
        self.keeps = keeps
        self.is_intermediate = is_intermediate

    def load(self) -> TrainState | None:
        """The last state, if there is one; what is kept beside it is as it was then."""
        if not self.file.exists():
            return None
        try:
            state, kept = _read(self.file)
        except (OSError, SafetensorError) as error:
            print(f"{self.file}: damaged ({error}); this training starts over", file=sys.stderr)
            return None
        for name, keeper in self.keeps.items():
            keeper.load_state_dict(kept[name])
        return TrainState(**state)

    def is_due(self, state: TrainState, has_ended: bool) -> bool:
        """Whether it is time to save, after an update that may have been the training's last."""
        if ranks.RANK:  # the first process saves for all
            return False
        if has_ended and self.is_intermediate:
            return True
        passed = time.monotonic() - self.stage.saved
        if passed < SECONDS:
            return False
        # Weights and two moments.
        cost = self.stage.cost or 3 * sum(tensor.nbytes for tensor in state.weights.values()) / DISK
        return passed >= cost / SHARE

    def save(self, state: TrainState) -> None:
        start = time.monotonic()
        if not self.stage.record.exists():
            files.write_json(self.stage.record, self.stage._reading())
        _write(self.file, [vars(state), {name: keeper.state_dict() for name, keeper in self.keeps.items()}])
        self.stage.saved = time.monotonic()
        self.stage.cost = self.stage.saved - start


def _write(file: Path, content: Any) -> None:
    """Dicts, lists, numbers and texts as JSON, in the header of the file with the tensors among them."""
    tensors: dict[str, Tensor] = {}

    def named(tensor: Tensor) -> dict[str, str]:
        name = str(len(tensors))
        tensors[name] = tensor.detach().contiguous()
        return {TENSOR: name}

    text = json.dumps(content, default=named)
    with files.atomic(file) as temporary:
        save_file(tensors, temporary, metadata={"content": text})


def _read(file: Path) -> Any:
    """What `_write` wrote; numbers come back to the bit, keys as texts."""
    with safe_open(file, "pt") as stored:

        def tensor(found: dict[str, Any]) -> Any:
            return stored.get_tensor(found[TENSOR]).clone() if found.keys() == {TENSOR} else found

        return json.loads(stored.metadata()["content"], object_hook=tensor)


def _digest(path: Path) -> str:
    """The SHA-256 of a file, or of all files in a folder with their names."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(f"{file.relative_to(path)} ".encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
