"""The scalar head reads the last real token, whatever the padding; saved models come back, damaged ones are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModel,
    BertConfig,
    BloomConfig,
    GPT2Config,
    GPTBigCodeConfig,
    ModernBertConfig,
    OPTConfig,
    PretrainedConfig,
    XLNetConfig,
)

from tests.conftest import HPARAMS, hparams_with
from w2s.core.determinism import generator
from w2s.core.errors import UserError
from w2s.models.batches import pad_batch
from w2s.models.checkpoints import load_tokenizer
from w2s.models.heads import ScalarHead

TEXTS = ["good", "the food was not bad and a room is fine", "poor poor", "good food yes no good", "a room is bad"]


def load_base(folder: Path, seed: int = 0, **changes: object) -> ScalarHead:
    return ScalarHead.load_base(folder, hparams_with(**changes), generator("adapters", seed))


def from_scratch(folder: Path, seed: int = 0) -> ScalarHead:
    return ScalarHead.from_scratch(folder, HPARAMS, seed)


def tuned(folder: Path) -> ScalarHead:
    """A model whose head says something."""
    model = load_base(folder).eval()
    with torch.no_grad():
        model.head.weight.normal_(generator=torch.Generator().manual_seed(0))
        model.head.bias.fill_(0.25)
    return model


def encoded(folder: Path) -> list[list[int]]:
    return load_tokenizer(folder)(TEXTS)["input_ids"]


def by_hand(model: ScalarHead, sequence: list[int]) -> float:
    """One text alone, without padding or mask: its last hidden state, an encoder's first, times the head's weights."""
    place = 0 if model.body.config.model_type == "bert" else -1
    hidden = model.body(input_ids=torch.tensor([sequence])).last_hidden_state[0, place]
    return float((hidden.double() * model.head.weight[0].double()).sum() + 0.25)


@torch.no_grad()
def test_the_logit_is_the_heads_at_the_last_real_token_or_an_encoders_first(checkpoint: Path) -> None:
    model, sequences = tuned(checkpoint), encoded(checkpoint)
    expected = [by_hand(model, sequence) for sequence in sequences]
    assert len({round(value, 3) for value in expected}) == len(expected)
    words = {token for sequence in sequences for token in sequence}
    for pad in {0, sequences[0][-1], *sorted(words)[:3]}:  # real words among them: only the mask may count
        assert model(*pad_batch(sequences, pad)).tolist() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("amount", [1, 7, 20])
def test_more_padding_changes_nothing(checkpoint: Path, amount: int) -> None:
    model, sequences = tuned(checkpoint), encoded(checkpoint)
    ids, mask = pad_batch(sequences, pad=sequences[0][-1])
    wider = (torch.nn.functional.pad(tensor, (0, amount), value=value) for tensor, value in ((ids, 5), (mask, 0)))
    assert model(*wider).tolist() == pytest.approx(model(ids, mask).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("config", "masks"),
    [
        (GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=50), []),
        (XLNetConfig(d_model=16, n_layer=1, n_head=2, d_inner=32, vocab_size=50), [(2, 4)]),  # causal by name only
        (BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=50), [(2, 4)]),
    ],
)
def test_a_mask_is_left_out_just_where_no_text_sees_what_follows_it(
    tmp_path: Path, config: PretrainedConfig, masks: list[tuple[int, int]]
) -> None:
    AutoModel.from_config(config).save_pretrained(tmp_path)
    model, seen = load_base(tmp_path).eval(), []
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    model.body.register_forward_pre_hook(
        lambda _, __, inputs: seen.append(inputs.get("attention_mask")), with_kwargs=True
    )
    together = model(*pad_batch([[5, 6, 7, 8], [9, 4]], 0))
    assert [tuple(mask.shape) for mask in seen if mask is not None] == masks
    alone = torch.cat([model(*pad_batch([text], 0)) for text in ([5, 6, 7, 8], [9, 4])])
    assert together.tolist() == pytest.approx(alone.tolist(), abs=1e-5)


def test_a_fresh_head_is_undecided(checkpoint: Path) -> None:
    logits = load_base(checkpoint).eval()(*pad_batch(encoded(checkpoint), 0))
    assert logits.sigmoid().tolist() == [0.5] * len(TEXTS)


@torch.no_grad()
@pytest.mark.parametrize("tune", ["full", "lora", "head"])
def test_a_saved_model_comes_back_to_the_bit(checkpoint: Path, tmp_path: Path, tune: str) -> None:
    model, batch = load_base(checkpoint, tune=tune), pad_batch(encoded(checkpoint), 0)
    for index, parameter in enumerate(model.parameters()):
        if parameter.requires_grad:
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)) / 10)
    expected = model.eval()(*batch)
    assert expected.std() > 0
    model.save(tmp_path, whole=tune == "full")
    again = ScalarHead.load_tuned(tmp_path, checkpoint, hparams_with(tune=tune)).eval()
    assert torch.equal(again(*batch), expected)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors"}


@torch.no_grad()
def test_adapters_kept_whole_are_an_ordinary_checkpoint(checkpoint: Path, tmp_path: Path) -> None:
    model, batch = load_base(checkpoint, tune="lora"), pad_batch(encoded(checkpoint), 0)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    expected = model.eval()(*batch)
    model.save(tmp_path, whole=True)
    assert not any("lora" in name for name in load_file(tmp_path / "model.safetensors"))
    exact = ScalarHead.load_tuned(tmp_path, checkpoint, hparams_with(tune="lora")).eval()  # from the adapters beside it
    assert torch.equal(exact(*batch), expected)
    again = ScalarHead.load_tuned(tmp_path, checkpoint, hparams_with(tune="full")).eval()
    assert (expected - load_base(checkpoint).eval()(*batch)).abs().max() > 0.1  # the adapters said something
    assert torch.allclose(again(*batch), expected, atol=1e-5)


@pytest.mark.parametrize("tune", ["lora", "head"])
def test_what_was_tuned_is_small_and_only_fits_its_kind(checkpoint: Path, tmp_path: Path, tune: str) -> None:
    load_base(checkpoint, tune=tune).save(tmp_path, whole=False)
    assert [path.name for path in tmp_path.iterdir()] == ["tuned.safetensors"]
    names = set(load_file(tmp_path / "tuned.safetensors"))
    assert {"head.weight", "head.bias"} <= names
    assert all("lora_" in name for name in names - {"head.weight", "head.bias"})
    other = hparams_with(tune={"lora": "head", "head": "lora"}[tune])
    with pytest.raises(UserError, match="it holds other weights than tune"):
        ScalarHead.load_tuned(tmp_path, checkpoint, other)


def test_what_learns(checkpoint: Path) -> None:
    everything = sum(parameter.numel() for parameter in load_base(checkpoint).parameters())
    width = load_base(checkpoint).head.in_features
    learning = {}
    for tune in ("full", "lora", "head"):
        model = load_base(checkpoint, tune=tune)
        learning[tune] = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    assert learning["full"] == everything
    assert learning["head"] == width + 1
    adapted = load_base(checkpoint, tune="lora").body
    linears = [module for module in adapted.modules() if hasattr(module, "lora_A")]
    assert learning["lora"] - width - 1 == sum(2 * (each.in_features + each.out_features) for each in linears)
    assert len(linears) >= 4


def test_adapters_are_drawn_by_their_seed_alone(checkpoint: Path) -> None:
    torch.manual_seed(5)
    one = load_base(checkpoint, seed=1, tune="lora").state_dict()
    torch.manual_seed(6)
    same, other = (load_base(checkpoint, seed=seed, tune="lora").state_dict() for seed in (1, 2))
    drawn = [name for name in one if "lora_A" in name]
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert all(not torch.equal(one[name], other[name]) for name in drawn)
    assert all(not one[name].any() for name in one if "lora_B" in name)  # so that tuning starts at the base model


def test_a_frozen_body_reads_each_text_once(checkpoint: Path) -> None:
    model, read = load_base(checkpoint, tune="head"), []
    model.body.register_forward_pre_hook(lambda _, __, inputs: read.append(len(inputs["input_ids"])), with_kwargs=True)
    ids, mask = pad_batch(encoded(checkpoint), 0)
    torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
    first = model(ids, mask)
    assert read == [len(TEXTS)]
    wider = torch.nn.functional.pad(ids, (0, 3), value=5), torch.nn.functional.pad(mask, (0, 3))
    again = model(*(tensor.flip(0) for tensor in wider)).flip(0)  # in any order, however padded
    assert torch.allclose(again, first, atol=1e-6)
    assert read == [len(TEXTS)]
    first.sum().backward()
    assert model.head.weight.grad.abs().sum() > 0
    new = load_tokenizer(checkpoint)(["good bad", "poor poor"])["input_ids"]
    model(*pad_batch(new, 0))
    assert read == [len(TEXTS), 1]
    fresh = load_base(checkpoint).eval()
    fresh.head.load_state_dict(model.head.state_dict())
    assert first.std() > 0.001
    assert torch.allclose(fresh(ids, mask), first, atol=1e-6)


SMALL = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
DROPPING = {
    "opt": OPTConfig(**SMALL, ffn_dim=32, dropout=0.3, layerdrop=0.3),
    "gpt_bigcode": GPTBigCodeConfig(n_embd=16, n_layer=1, n_head=2, resid_pdrop=0.3, embd_pdrop=0.3, attn_pdrop=0.3),
    "bloom": BloomConfig(hidden_size=16, n_layer=1, n_head=2, hidden_dropout=0.3, attention_dropout=0.3),
    "modernbert": ModernBertConfig(**SMALL, mlp_dropout=0.3, pad_token_id=0),
}


@pytest.mark.parametrize("name", ["gpt2_folder", "bert_folder", *DROPPING])
def test_nothing_is_dropped_out(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    """Whatever a configuration calls it."""
    if name in DROPPING:
        DROPPING[name].vocab_size = 50
        AutoModel.from_config(DROPPING[name]).save_pretrained(tmp_path)
    folder = tmp_path if name in DROPPING else request.getfixturevalue(name)
    batch = pad_batch([[5, 6, 7, 8], [9, 4]], 0)
    for model in (load_base(folder), from_scratch(folder)):
        torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
        assert torch.equal(model.train()(*batch), model(*batch))
        assert torch.allclose(model(*batch), model.eval()(*batch), atol=1e-6)


def test_checkpointing_recomputes_the_same_gradient(checkpoint: Path) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = load_base(checkpoint, gradient_checkpointing=checkpointing).train()
        torch.nn.init.normal_(model.head.weight, generator=torch.Generator().manual_seed(0))
        calls = []
        attention = next(module for name, module in model.body.named_modules() if name.endswith(("attention", "attn")))
        attention.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        model(*pad_batch(encoded(checkpoint), 0)).square().sum().backward()
        assert len(calls) == 1 + checkpointing
        gradients.append([parameter.grad for parameter in model.parameters() if parameter.grad is not None])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-6)


Damage = Callable[[Path], object]


def halved(name: str) -> Damage:
    return lambda folder: (folder / name).write_bytes(
        (folder / name).read_bytes()[: (folder / name).stat().st_size // 2]
    )


def replaced(name: str, content: bytes) -> Damage:
    return lambda folder: (folder / name).write_bytes(content)


def removed(name: str) -> Damage:
    return lambda folder: (folder / name).unlink()


def without_a_layer(folder: Path) -> None:
    file = folder / "model.safetensors"
    tensors = load_file(file)
    save_file({name: tensor for name, tensor in tensors.items() if "mlp" not in name}, file, {"format": "pt"})


@pytest.mark.parametrize(
    "damage",
    [
        halved("model.safetensors"),
        replaced("model.safetensors", b"not tensors"),
        removed("model.safetensors"),
        without_a_layer,
        halved("config.json"),
        replaced("config.json", b"{}"),
        replaced("config.json", b'{"model_type": "gpt_neox", "hidden_size": "wide"}'),
        halved("head.safetensors"),
        replaced("head.safetensors", b""),
        removed("head.safetensors"),
        lambda folder: save_file({"weight": torch.zeros(1, 3), "bias": torch.zeros(1)}, folder / "head.safetensors"),
        lambda folder: save_file({"bias": torch.zeros(1)}, folder / "head.safetensors"),
    ],
)
def test_a_damaged_model_is_refused(embedded_folder: Path, tmp_path: Path, damage: Damage) -> None:
    tuned(embedded_folder).save(tmp_path, whole=True)
    damage(tmp_path)
    with pytest.raises(UserError) as error:
        ScalarHead.load_tuned(tmp_path, embedded_folder, HPARAMS)
    assert str(error.value).startswith(f"{tmp_path}: damaged model; delete it and `dvc repro` again (")


@pytest.mark.parametrize(
    "damage",
    [
        halved("tokenizer.json"),
        replaced("tokenizer.json", b"{}"),
        removed("tokenizer.json"),
        halved("tokenizer_config.json"),
        replaced("tokenizer_config.json", b"[]"),
    ],
)
def test_a_damaged_tokenizer_is_refused(embedded_folder: Path, tmp_path: Path, damage: Damage) -> None:
    folder = shutil.copytree(embedded_folder, tmp_path / "base")
    damage(folder)
    with pytest.raises(UserError) as error:
        load_tokenizer(folder)
    assert str(error.value).startswith(f"{folder}: damaged model; delete it and `dvc repro` again (")


def load_tuned(folder: Path) -> ScalarHead:
    return ScalarHead.load_tuned(folder, folder / "base", HPARAMS)


@pytest.mark.parametrize("load", [load_base, load_tuned, load_tokenizer, from_scratch])
def test_no_model(tmp_path: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(UserError) as error:
        load(tmp_path / "none")
    assert str(error.value) == f"{tmp_path / 'none'}: no model here (`dvc repro` makes it)"


def flat(model: ScalarHead) -> Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.body.parameters()])


def test_from_scratch_is_the_architecture_with_its_seeds_weights(checkpoint: Path) -> None:
    torch.manual_seed(11)
    before = torch.get_rng_state()
    one, same, other = (from_scratch(checkpoint, seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    pretrained = load_base(checkpoint)
    assert type(one.body) is type(pretrained.body)
    assert torch.equal(flat(one), flat(same))
    for stranger in (other, pretrained):
        weights, others = (dict(model.body.named_parameters()) for model in (one, stranger))
        assert all(not torch.equal(weights[name], others[name]) for name in others if weights[name].ndim >= 2)
