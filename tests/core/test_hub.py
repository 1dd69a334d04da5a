"""The hub (w2s.core.hub) asked for real: what it fetches, what it needs no hub for, and what it says when it can't.

Each question is asked by a process of its own, since the client reads its environment once.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import AutoModel, AutoTokenizer

from tests.hub import ARCHITECTURES, COMMIT, MEMBER, STRANGER, Hub, Repository, gpt2, prefill, serving
from w2s.core import checks, params

TEXTS = ["Is ice cold? Yes, ice is cold.", "Do plants drink water? They do: roots take it up.", "Naïve café ☕"] * 4
WEIGHTS = ("config.json", "model*.safetensors")
PROGRAM = """
import sys
from w2s.core.errors import UserError
from w2s.core.hub import snapshot
try:
    print(snapshot(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:], "params.yaml: models.small"))
except UserError as error:
    sys.exit(f"refused: {error}")
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return gpt2(tmp_path_factory.mktemp("small"), TEXTS, hidden=16, layers=1)


@pytest.fixture(scope="module")
def hub(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    pickled = tmp_path_factory.mktemp("pickled")
    (pickled / "config.json").write_text("{}")
    (pickled / "pytorch_model.bin").write_bytes(b"any code at all")
    rows = tmp_path_factory.mktemp("rows")
    for split in ("train", "test"):
        (rows / "default" / split).mkdir(parents=True)
        (rows / "default" / split / "0000.parquet").write_text(split)
    with serving(
        {
            "lab/small": Repository(small, branches=("main", "v1")),
            "lab/rows": Repository(rows, kind="dataset", branches=("main", "refs/convert/parquet")),
            "lab/gated": Repository(small, gated=True),
            "lab/pickled": Repository(pickled),
            "lab/broken": Repository(small, broken=True),
        }
    ) as hub:
        yield hub


class Client:
    """Somebody's machine, with a hub cache of its own."""

    def __init__(self, home: Path, endpoint: str) -> None:
        self.cache = home / "hub"
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(("HF_", "HUGGING"))}
        quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1,localhost"}
        self.environment = kept | quiet | {"HF_HOME": str(home), "HF_ENDPOINT": endpoint}

    def ask(
        self,
        repository: str,
        revision: str = "main",
        patterns: tuple[str, ...] = WEIGHTS,
        kind: str = "model",
        **environment: Any,
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, kind, repository, revision, *patterns],
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def fetch(self, *question: Any, **environment: Any) -> Path:
        answer = self.ask(*question, **environment)
        assert answer.returncode == 0, answer.stderr
        return Path(answer.stdout.strip())

    def refusal(self, *question: Any, **environment: Any) -> str:
        answer = self.ask(*question, **environment)
        assert (answer.returncode, answer.stdout) == (1, "")
        message = answer.stderr.splitlines()[-1]
        assert message.startswith("refused: params.yaml: models.small: ")  # so it has one line
        return message


@pytest.fixture
def client(tmp_path: Path, hub: Hub) -> Client:
    return Client(tmp_path, hub.endpoint)


@pytest.fixture
def closed() -> str:
    """An address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# What it fetches


@pytest.mark.parametrize("revision", ["main", "v1", COMMIT])
def test_a_revision_becomes_its_commit_and_only_what_is_wanted_comes(
    client: Client, small: Path, revision: str
) -> None:
    folder = client.fetch("lab/small", revision)
    assert folder.name == COMMIT
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: (small / name).read_bytes() for name in ("config.json", "model.safetensors")
    }


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_what_was_fetched_once_needs_no_hub(client: Client, revision: str) -> None:
    folder = client.fetch("lab/small", revision)
    assert client.fetch("lab/small", revision, HF_HUB_OFFLINE="1") == folder


@pytest.mark.slow
def test_a_cache_carried_over_needs_no_hub(client: Client, tmp_path: Path) -> None:
    """As docs/MODELS.md says: filled by `hf download` on another machine, without what nobody reads here."""
    files = [word for pattern in ("*.json", "*.txt", "tokenizer*", "*.safetensors") for word in ("--include", pattern)]
    command = [str(Path(sys.executable).with_name("hf")), "download", "lab/small", "--revision", COMMIT, *files]
    elsewhere = client.environment | {"HF_HUB_CACHE": str(tmp_path / "elsewhere")}
    subprocess.run(command, env=elsewhere, check=True, capture_output=True, timeout=60)
    shutil.copytree(tmp_path / "elsewhere", client.cache, symlinks=True)
    shutil.rmtree(tmp_path / "elsewhere")
    assert client.fetch("lab/small", COMMIT, HF_HUB_OFFLINE="1").is_relative_to(client.cache)


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_a_cache_filled_by_hand_needs_no_hub(client: Client, small: Path, hub: Hub, revision: str) -> None:
    hub.asked.clear()
    folder = prefill(client.cache, "lab/small", COMMIT, small)
    assert client.fetch("lab/small", revision, HF_HUB_OFFLINE="1") == folder
    assert not hub.asked


def test_a_pinned_commit_once_fetched_is_never_asked_for_again(client: Client, hub: Hub) -> None:
    folder = client.fetch("lab/small", COMMIT)
    hub.asked.clear()
    assert client.fetch("lab/small", COMMIT) == folder
    assert not [request for request in hub.asked if "lab/small" in request]


def test_files_missing_in_the_cache_are_fetched(client: Client) -> None:
    client.ask("lab/small", COMMIT, ("config.json",))
    assert (client.fetch("lab/small", COMMIT) / "model.safetensors").is_file()


def test_the_hubs_own_conversion_of_a_data_set(client: Client) -> None:
    question = ("lab/rows", "refs/convert/parquet", ("default/train/*.parquet",), "dataset")
    folder = client.fetch(*question)
    assert folder.name == COMMIT
    assert [str(path.relative_to(folder)) for path in folder.rglob("*.parquet")] == ["default/train/0000.parquet"]
    assert client.fetch(*question, HF_HUB_OFFLINE="1") == folder


def test_data_sets_are_kept_apart_from_models(client: Client, small: Path) -> None:
    prefill(client.cache, "lab/small", COMMIT, small, kind="dataset")
    client.fetch("lab/small", "main", WEIGHTS, "dataset", HF_HUB_OFFLINE="1")
    assert "is not in the local cache" in client.refusal("lab/small", HF_HUB_OFFLINE="1")


def test_a_gated_repository_opens_to_those_who_accepted_its_terms(client: Client) -> None:
    assert client.fetch("lab/gated", HF_TOKEN=MEMBER).name == COMMIT


# What it says


@pytest.mark.parametrize("token", [{}, {"HF_TOKEN": STRANGER}], ids=["nobody", "stranger"])
@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_gated(client: Client, token: dict[str, str], revision: str) -> None:
    message = client.refusal("lab/gated", revision, **token)
    assert "model lab/gated is gated" in message
    assert "accept its terms" in message
    assert "hf auth login" in message


@pytest.mark.parametrize("token", [{}, {"HF_TOKEN": STRANGER}], ids=["nobody", "stranger"])
@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_missing_or_private(client: Client, token: dict[str, str], revision: str) -> None:
    message = client.refusal("lab/smal", revision, **token)
    assert "model lab/smal does not exist or is private" in message
    assert "check the spelling" in message


@pytest.mark.parametrize("token", ["hf_expired", "hf_é", "hf_a b"])
def test_a_token_that_is_not_valid_is_refused_and_never_shown(client: Client, token: str) -> None:
    answer = client.ask("lab/small", HF_TOKEN=token)
    assert answer.returncode == 1
    assert token not in answer.stdout + answer.stderr
    message = client.refusal("lab/small", HF_TOKEN=token)
    assert "the hub refuses your token" in message
    assert "hf auth login" in message


@pytest.mark.parametrize("revision", ["v2", "f" * 40])
def test_wrong_revision(client: Client, revision: str) -> None:
    message = client.refusal("lab/small", revision)
    assert f"model lab/small has no revision '{revision}'" in message
    assert "give a branch, a tag or a whole commit" in message


@pytest.mark.parametrize("revision", ["main", COMMIT])
def test_offline_and_not_cached(client: Client, revision: str) -> None:
    message = client.refusal("lab/small", revision, HF_HUB_OFFLINE="1")
    assert f"model lab/small (revision '{revision}') is not in the local cache" in message
    assert "unset HF_HUB_OFFLINE" in message
    assert "hf download lab/small" in message


def test_hub_that_cannot_be_reached(client: Client, closed: str) -> None:
    message = client.refusal("lab/small", "main", HF_ENDPOINT=closed)
    assert "model lab/small (revision 'main') is not in the local cache" in message
    assert "Connection refused" in message
    assert "hf download lab/small" in message


def test_connection_that_breaks_off(client: Client) -> None:
    message = client.refusal("lab/broken")
    assert "model lab/broken" in message
    assert "hf download lab/broken" in message


@pytest.mark.parametrize("name", ["small model", "lab/small/main", "https://huggingface.co/lab/small", "../lab"])
def test_malformed_name(client: Client, name: str) -> None:
    message = client.refusal(name)
    assert f"model {name} is not a repository's name" in message
    assert "owner/name" in message


@pytest.mark.parametrize("pattern", ["", " ", "/etc/passwd", "../*", "default/../../*", "default/.."])
def test_patterns_that_lead_out_of_the_repository(client: Client, pattern: str) -> None:
    message = client.refusal("lab/rows", "main", (pattern,), "dataset")
    assert f"'{pattern}' must name files inside the repository" in message


def test_a_folder_is_no_file(client: Client) -> None:
    assert "has no file default" in client.refusal("lab/rows", "main", ("default",), "dataset")


def test_weights_that_are_not_safetensors(client: Client) -> None:
    message = client.refusal("lab/pickled")
    assert f"model lab/pickled at {COMMIT} has no file model*.safetensors" in message
    assert "safetensors" in message.split("(")[-1]


def test_a_cache_that_cannot_be_written(client: Client) -> None:
    client.cache.parent.mkdir(exist_ok=True)
    client.cache.write_text("a file where the folder should be")
    message = client.refusal("lab/small")
    assert "model lab/small" in message
    assert str(client.cache) in message


# The catalogue


def test_the_guide_lists_the_catalogue_as_it_is() -> None:
    rows = {}
    for line in Path("docs/MODELS.md").read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `(.+?)` \| \[(.+?)\]\(https://huggingface.co/\2/tree/(.+?)\) \| ([\d,]+) \|", line):
            _, rate, tune, _ = line.rsplit(" | ", 3)
            name, repository, revision, count = row.groups()
            rows[name] = (repository, revision, int(count.replace(",", "")), float(rate), "lora" in tune)
    models = {name: model for name, model in checks.load().models.items() if isinstance(model, params.Hub)}
    assert rows == {
        name: (
            model.repository,
            model.revision,
            model.parameters,
            model.finetune["learning_rate"],
            model.finetune.get("tune") == "lora",
        )
        for name, model in models.items()
    }
    assert len(models) >= 25
    assert not [name for name in models if "." in name]  # DVC would look for `b` in `a` to find models.a.b


# What the tests themselves stand on


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_checkpoints_are_real(architecture: str, tmp_path: Path) -> None:
    made = ARCHITECTURES[architecture](tmp_path / "made", TEXTS, hidden=16, layers=1)
    folder = prefill(tmp_path / "cache", "lab/model", COMMIT, made)
    trained = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    first = {"gpt2": None, "llama": "<s>", "qwen3": None, "bert": "[CLS]"}[architecture]
    for text in ["Is ice cold?", "Quetzal — naïve ☕ 水"]:
        ids = tokenizer(text)["input_ids"]
        assert ids == trained.encode(text).ids
        assert tokenizer.convert_ids_to_tokens(ids)[0] == first or first is None
        if architecture != "bert":  # bytes lose nothing
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
    model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    with torch.no_grad():
        hidden = model(torch.tensor([ids])).last_hidden_state
    assert hidden.shape == (1, len(ids), 16)
    assert hidden.isfinite().all()
