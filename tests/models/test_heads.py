"""The scalar head reads the last real token, whatever the padding; saved models come back, damaged ones are refused."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from w2s.errors import UserError
from w2s.models.batches import padded
from w2s.models.heads import ScalarHead, from_scratch, load_base, load_tokenizer, load_tuned

TEXTS = ["good", "the food was not bad and a room is fine", "poor poor", "good food yes no good", "a room is bad"]


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
    """One text alone, without padding or mask: its last hidden state times the head's weights."""
    hidden = model.body(input_ids=torch.tensor([sequence])).last_hidden_state[0, -1]
    return float((hidden.double() * model.head.weight[0].double()).sum() + 0.25)


@torch.no_grad()
def test_the_logit_is_the_heads_at_the_last_real_token(checkpoint: Path) -> None:
    model, sequences = tuned(checkpoint), encoded(checkpoint)
    expected = [by_hand(model, sequence) for sequence in sequences]
    assert len({round(value, 3) for value in expected}) == len(expected)
    words = {token for sequence in sequences for token in sequence}
    for pad in {0, sequences[0][-1], *sorted(words)[:3]}:  # real words among them: only the mask may count
        assert model(*padded(sequences, pad)).tolist() == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("amount", [1, 7, 20])
def test_more_padding_changes_nothing(checkpoint: Path, amount: int) -> None:
    model, sequences = tuned(checkpoint), encoded(checkpoint)
    ids, mask = padded(sequences, pad=sequences[0][-1])
    wider = (torch.nn.functional.pad(tensor, (0, amount), value=value) for tensor, value in ((ids, 5), (mask, 0)))
    assert model(*wider).tolist() == pytest.approx(model(ids, mask).tolist(), abs=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("amount", [0, 1, 7, 20])
def test_padding_may_be_on_the_left_of_an_embedded_rung(embedded_folder: Path, amount: int) -> None:
    model, sequences = tuned(embedded_folder), encoded(embedded_folder)
    width = max(map(len, sequences)) + amount
    ids = torch.tensor([[sequence[-1]] * (width - len(sequence)) + sequence for sequence in sequences])
    mask = torch.tensor([[0] * (width - len(sequence)) + [1] * len(sequence) for sequence in sequences])
    assert model(ids, mask).tolist() == pytest.approx([by_hand(model, each) for each in sequences], abs=1e-5)


def test_a_fresh_head_is_undecided(checkpoint: Path) -> None:
    logits = load_base(checkpoint).eval()(*padded(encoded(checkpoint), 0))
    assert logits.sigmoid().tolist() == [0.5] * len(TEXTS)


@torch.no_grad()
def test_a_saved_model_comes_back_to_the_bit(checkpoint: Path, tmp_path: Path) -> None:
    model = tuned(checkpoint)
    for parameter in model.body.parameters():
        parameter.add_(0.01)
    model.save(tmp_path)
    load_tokenizer(checkpoint).save_pretrained(tmp_path)
    again = load_tuned(tmp_path)
    tensors = again.state_dict()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensors[name], tensor), name
    batch = padded(encoded(checkpoint), 0)
    assert torch.equal(again.eval()(*batch), model(*batch))
    assert encoded(tmp_path) == encoded(checkpoint)
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors"}


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
    tuned(embedded_folder).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(UserError) as error:
        load_tuned(tmp_path)
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


@pytest.mark.parametrize("load", [load_base, load_tuned, load_tokenizer, lambda folder: from_scratch(folder, 0)])
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
