"""Architectures of the hub that once ended in a traceback: they work, or are refused in one line when they are pinned.

All others are swept by `python -m benchmarks.architectures`.
"""

import hashlib
import json
import re
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
import transformers
from transformers import AutoModel

from benchmarks import architectures
from tests import hub
from w2s.core.errors import UserError
from w2s.core.params import Hub
from w2s.models.checkpoints import TOKENIZER, max_context
from w2s.models.pin import pin

DEPENDS = "what it makes of a text depends on padding, and so on the texts that it is batched with"


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize(
    ("name", "outcome", "why"),
    [
        # positions that start after that of padding
        *((name, "works", "no generation") for name in ("camembert", "esm", "longformer", "mpnet")),
        # poolers that are called without asking whether there is one
        *((name, "works", "no generation") for name in ("layoutlm", "squeezebert")),
        # no limit of positions, written as -1
        ("xlnet", "works", ""),
        # no language model of any kind
        ("clip_text_model", "works", "no zero-shot, no generation"),
        ("fnet", "refused", DEPENDS),
        ("nystromformer", "refused", DEPENDS),
        ("t5", "refused", "it has an encoder and a decoder, where one body must read a text"),
        ("vit", "refused", "it fails on a batch of texts ("),
    ],
)
def test_an_architecture_works_or_is_refused_in_one_line(tmp_path: Path, name: str, outcome: str, why: str) -> None:
    found, said = architectures.tried(name, tmp_path)
    assert found == outcome, said
    assert why in said


def test_a_text_as_long_as_the_context_is_read_and_one_token_more_is_not(tmp_path: Path) -> None:
    for name in ("camembert", "gpt2", "roberta-prelayernorm"):
        model = AutoModel.from_config(architectures.tiny(transformers.CONFIG_MAPPING[name]))
        limit = int(max_context(model))
        model(torch.full((1, limit), 5))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, limit + 1), 5))


def laid(cache: Path, made: Path) -> Hub:
    hub.prefill(cache, "lab/mine", hub.COMMIT, made)
    return Hub(family="hub", repository="lab/mine", revision="main", parameters=1000)


@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_padding_that_the_embedding_does_not_have(tmp_path: Path, name: str) -> None:
    made = architectures.repository(name, tmp_path / "made")
    tokenizer = architectures.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<later>"})
    assert tokenizer.pad_token_id >= json.loads((made / "config.json").read_text())["vocab_size"]
    tokenizer.save_pretrained(made)
    pin(laid(tmp_path / "cache", made), "models.mine", tmp_path / "base")
    architectures.used(tmp_path / "base", tmp_path / "tuned")


def test_weights_that_are_missing_are_reported_before_any_training(tmp_path: Path) -> None:
    made = architectures.repository("gpt2", tmp_path / "made")
    config = json.loads((made / "config.json").read_text())
    (made / "config.json").write_text(json.dumps(config | {"n_layer": 9}))
    with pytest.raises(UserError, match=r"^models.mine: lab/mine cannot be opened: weights are missing: h.8\.\S+ and"):
        pin(laid(tmp_path / "cache", made), "models.mine", tmp_path / "base")


def test_every_file_that_a_tokenizer_is_read_from_is_fetched() -> None:
    """By the sources of transformers; and `*.tiktoken`, which Qwen's own code reads."""
    sources = Path(transformers.__file__).parent.glob("models/*/tokenization_*.py")
    blocks = re.compile(r"VOCAB_FILES_NAMES = \{(.*?)\}", re.DOTALL)
    listed = [block for path in sources for block in blocks.findall(path.read_text(encoding="utf-8"))]
    names = {name for block in listed for name in re.findall(r': "([^"]+)"', block)}
    assert len(names) > 10
    for name in names | {"qwen.tiktoken"}:
        assert any(fnmatch(name, pattern) for pattern in TOKENIZER), name


def test_offline_a_branch_of_the_cache_stands_in_for_a_commit_only_where_the_entry_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = architectures.repository("gpt2", tmp_path / "made")
    entry = laid(tmp_path / "cache", made).model_copy(update={"revision": "f" * 40})
    lacking = f"revision '{'f' * 40}'. is not in the local cache"
    with pytest.raises(UserError, match=lacking):
        pin(entry, "models.mine", tmp_path / "strict")
    allowed = entry.model_copy(update={"offline_revision": "main"})
    pin(allowed, "models.mine", tmp_path / "base")
    written = json.loads((tmp_path / "base/hub.json").read_text())
    digest = hashlib.sha256((made / "model.safetensors").read_bytes()).hexdigest()
    assert (written["commit"], written["sha256"]) == (hub.COMMIT, {"model.safetensors": digest})
    assert f"the cache lacks {'f' * 40}; its main stands in, {hub.COMMIT}" in capsys.readouterr().err
    # Where the cache has neither, the commit is what is missing.
    with pytest.raises(UserError, match=lacking):
        pin(allowed.model_copy(update={"offline_revision": "other"}), "models.mine", tmp_path / "neither")
    # The commit itself comes first; and with a connection it is what counts.
    hub.prefill(tmp_path / "cache", "lab/mine", "f" * 40, made, branch="later")
    pin(allowed, "models.mine", tmp_path / "both")
    assert json.loads((tmp_path / "both/hub.json").read_text())["commit"] == "f" * 40
    assert "sha256" not in json.loads((tmp_path / "both/hub.json").read_text())
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UserError, match=f"revision '{'e' * 40}'"):
        pin(allowed.model_copy(update={"revision": "e" * 40}), "models.mine", tmp_path / "online")
