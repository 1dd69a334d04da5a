"""A hub model is pinned to its commit, opened from the hub's cache, and refused in one line where it cannot be."""

import json
from pathlib import Path

import huggingface_hub.constants
import numpy as np
import pytest
import torch
import transformers.dynamic_module_utils
from safetensors.torch import load_file
from transformers import AutoModel, BertConfig, GPT2Config, LlamaConfig, OPTConfig, RobertaConfig

from tests import hub
from tests.conftest import hparams_with
from w2s.core.errors import UserError
from w2s.core.params import Hub
from w2s.models.batches import pad_batch
from w2s.models.checkpoints import MissingHeadError, is_encoder, load_tokenizer, max_context, size, width
from w2s.models.heads import ScalarHead
from w2s.models.pin import pin
from w2s.models.zero_shot import next_words

TEXTS = ["the food was good", "a room is bad and the food is poor"]
OWN = """
from transformers import GPT2Config, GPT2LMHeadModel, GPT2Model

class OwnConfig(GPT2Config):
    model_type = "own"

class OwnModel(GPT2Model):
    config_class = OwnConfig

class OwnLanguageModel(GPT2LMHeadModel):
    config_class = OwnConfig
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache of this test, on a machine without network."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    return tmp_path / "cache"


def entry(trust: bool = False) -> Hub:
    return Hub(family="hub", repository="lab/mine", revision="main", parameters=1000, trust_remote_code=trust)


@pytest.mark.parametrize("name", hub.ARCHITECTURES)
def test_a_branch_is_pinned_to_its_commit_without_its_weights(cache: Path, tmp_path: Path, name: str) -> None:
    hub.prefill(cache, "lab/mine", hub.COMMIT, hub.ARCHITECTURES[name](tmp_path / "made", TEXTS, hidden=16, layers=3))
    base = tmp_path / "base"
    pin(entry(), "params.yaml: models.mine", base)
    assert [path.name for path in base.iterdir()] == ["hub.json"]
    model = ScalarHead.load_base(base, hparams_with(), torch.Generator())
    assert json.loads((base / "hub.json").read_text()) == {
        "repository": "lab/mine",
        "commit": hub.COMMIT,
        "trust_remote_code": False,
        "parameters": model.parameter_count,
        "hidden": 16,
        "layers": 3,
    }
    items = load_tokenizer(base)(TEXTS)["input_ids"]
    assert model(*pad_batch(items, 0)).shape == (2,)


def own(folder: Path) -> Path:
    """GPT-2 under a name that only its repository's own code knows."""
    hub.gpt2(folder, TEXTS, hidden=16)
    config = json.loads((folder / "config.json").read_text())
    classes = {"AutoConfig": "own.OwnConfig", "AutoModel": "own.OwnModel"}
    classes["AutoModelForCausalLM"] = "own.OwnLanguageModel"
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "own", "auto_map": classes}))
    (folder / "own.py").write_text(OWN)
    return folder


def test_code_of_the_repositorys_own_runs_only_if_params_say_so(cache: Path, tmp_path: Path) -> None:
    hub.prefill(cache, "lab/mine", hub.COMMIT, own(tmp_path / "made"))
    with pytest.raises(UserError) as error:
        pin(entry(), "params.yaml: models.mine", tmp_path / "refused")
    assert str(error.value) == (
        "params.yaml: models.mine: lab/mine cannot be opened: it runs code of its own: read it, then set "
        "trust_remote_code: true"
    )
    base, hparams = tmp_path / "base", hparams_with()
    pin(entry(trust=True), "params.yaml: models.mine", base)
    batch = pad_batch(load_tokenizer(base)(TEXTS)["input_ids"], 0)
    model = ScalarHead.load_base(base, hparams, torch.Generator())
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    model.save(tmp_path / "tuned", whole=True)
    assert torch.equal(ScalarHead.load_tuned(tmp_path / "tuned", base, hparams)(*batch), model(*batch))
    assert type(ScalarHead.from_scratch(base, hparams, 0).body).__name__ == "OwnModel"
    assert next_words(base, TEXTS, ["good", "bad"], hparams, 64).shape == (2, 2)


def test_an_architecture_that_nobody_knows(cache: Path, tmp_path: Path) -> None:
    folder = own(tmp_path / "made")
    (folder / "config.json").write_text('{"model_type": "unheard-of"}')
    hub.prefill(cache, "lab/mine", hub.COMMIT, folder)
    with pytest.raises(UserError, match=r"^params.yaml: models.mine: lab/mine cannot be opened: .*unheard-of") as error:
        pin(entry(), "params.yaml: models.mine", tmp_path / "base")
    assert ".base" not in str(error.value)


def test_an_encoder_without_words_can_be_tuned_but_not_asked(bert_folder: Path) -> None:
    assert ScalarHead.load_base(bert_folder, hparams_with(), torch.Generator()).body
    with pytest.raises(MissingHeadError, match=r"weights are missing: cls.predictions"):
        next_words(bert_folder, TEXTS, ["good", "bad"], hparams_with(), 32)


def test_answers_are_told_apart_in_half_precision(gpt2_folder: Path, tmp_path: Path) -> None:
    """bf16 has 8 bits: logits around 100 would be rounded to halves."""
    full, half = (
        next_words(gpt2_folder, TEXTS, ["good", "bad"], hparams_with(precision=p), 32) for p in ("fp32", "bf16")
    )
    assert np.abs(full - half).max() < 0.05
    assert (half != torch.tensor(half).bfloat16().double().numpy()).any()


def test_encoders_read_both_ways_and_the_rest_do_not() -> None:
    assert [is_encoder(config()) for config in (BertConfig, RobertaConfig, GPT2Config, LlamaConfig, OPTConfig)] == [
        *(True, True),
        *(False, False, False),
    ]
    assert not is_encoder(BertConfig(is_decoder=True))


def test_width_and_context_of_odd_ones() -> None:
    assert width(OPTConfig(hidden_size=1024, word_embed_proj_dim=512)) == 512  # as opt-350m
    assert width(LlamaConfig(hidden_size=64)) == 64
    configs = [RobertaConfig(max_position_embeddings=514, pad_token_id=1), BertConfig(), GPT2Config(n_positions=1024)]
    with torch.device("meta"):
        assert [max_context(AutoModel.from_config(config)) for config in configs] == [512, 512, 1024]


def test_size_is_counted_without_weights(gpt2_folder: Path) -> None:
    weights = load_file(gpt2_folder / "model.safetensors")
    assert size(gpt2_folder)["parameters"] == sum(tensor.numel() for tensor in weights.values())
