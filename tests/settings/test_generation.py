"""A prompt in, an answer in words out."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM, GenerationConfig, ModernBertConfig, ModernBertForMaskedLM

from tests.conftest import HPARAMS, SPEAKERS, hparams_with, setting_of
from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.files import TEXTS
from w2s.models.checkpoints import MissingHeadError, load_tokenizer
from w2s.models.heads import LanguageHead
from w2s.settings import setting_class
from w2s.settings.base import Examples
from w2s.settings.generation import Generation

LIMIT = 6
PROMPTS = ["the food was", "good", "a room is not bad and the food is poor", "yes yes", "no the", "poor was a good"]
ANSWERS = ["good", "the room", "not", "bad and poor", "a", "is"]


def inputs(*texts: str) -> pa.Table:
    ids = [str(index) for index in range(len(texts))]
    return pa.table({"id": ids, "text": texts, "group": ids}, schema=TEXTS)


def examples(prompts: Sequence[str], answers: Sequence[str], weak: bool = False) -> Examples:
    return Examples(inputs(*prompts), np.array(answers, object), weak)


def stirred(body: Any) -> Any:
    """The same architecture with weights that say something, the same for every copy; it often ends a text."""
    rng = torch.Generator().manual_seed(0)
    end = body.config.eos_token_id
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if parameter.ndim > 1:
                table = any(part in name for part in ("embed", "wte", "wpe", "lm_head"))
                parameter.normal_(0, 0.2 if table else 1, generator=rng)
        if end is not None:
            body.get_output_embeddings().weight[end] *= 2.5
    return body.eval()


class Speaker:
    """A setting and its model; and the same model from the library alone, which is asked one text at a time."""

    def __init__(self, folder: Path, tokens: int = LIMIT) -> None:
        self.folder = folder
        self.setting = setting_of(folder, "generation", {"answer_tokens": tokens})
        self.model = LanguageHead.load_base(folder, HPARAMS, torch.Generator())
        stirred(self.model.body)
        self.raw = stirred(AutoModelForCausalLM.from_pretrained(folder))
        self.tokenizer = load_tokenizer(folder)

    def training_targets(self) -> tuple[Any, Tensor]:
        return self.setting.training_targets(examples(PROMPTS, ANSWERS))

    def answers(self) -> np.ndarray:
        return self.setting.predict(self.model, self.setting.encode(inputs(*PROMPTS)))

    def ids(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        """A prompt's tokens; and those that an answer takes behind a word, up to its end."""
        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        answer_ids = self.tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
        return self.tokenizer(prompt)["input_ids"], (answer_ids + end)[: self.setting.task.answer_tokens]

    def logits(self) -> list[tuple[Tensor, list[int]]]:
        """For each answer, read alone, what the library's model expects of its tokens, and which came."""
        found = []
        for prompt, answer in zip(PROMPTS, ANSWERS, strict=True):
            first, then = self.ids(prompt, answer)
            logits = self.raw(input_ids=torch.tensor([first + then])).logits[0]
            found.append((logits[len(first) - 1 : -1], then))
        return found

    @torch.no_grad()
    def spoken(self, prompt: str, end: int | None) -> str:
        """Token by token, each time reading all from the start."""
        ids = first = self.tokenizer(prompt)["input_ids"]
        while len(ids) < len(first) + self.setting.task.answer_tokens:
            token = int(self.raw(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token == end:
                break
            ids = [*ids, token]
        return self.tokenizer.decode(ids[len(first) :], skip_special_tokens=True).strip()


@pytest.fixture(params=SPEAKERS)
def speaker(request: pytest.FixtureRequest, speakers: dict[str, Path]) -> Speaker:
    return Speaker(speakers[request.param], tokens=12 if request.param != "embedded" else LIMIT)


def test_it_is_found_by_name() -> None:
    assert setting_class("generation", "here") is Generation


# What it learns


def test_an_answer_ends_with_the_end_of_text_if_there_is_one(speaker: Speaker) -> None:
    items, labels = speaker.training_targets()
    expected = [speaker.ids(prompt, answer) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]
    assert [(item.prompt, item.answer) for item in items] == expected
    assert labels.tolist() == [len(answer) for _, answer in expected]
    ends = [item.answer[-1] == speaker.tokenizer.eos_token_id for item in items]
    assert ends == [speaker.tokenizer.eos_token_id is not None] * len(items)


@torch.no_grad()
def test_outputs_are_the_log_likelihoods_of_answers_read_alone(speaker: Speaker) -> None:
    items, _ = speaker.training_targets()
    expected = [logits.double().log_softmax(-1)[range(len(ids)), ids].sum().item() for logits, ids in speaker.logits()]
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(speaker.setting.outputs(speaker.model, items)[:, 0], expected, rtol=1e-5)
    by_one = [speaker.setting.outputs(speaker.model, [item])[0, 0].item() for item in items]
    np.testing.assert_allclose(by_one, expected, rtol=1e-5)


def test_the_loss_is_the_mean_cross_entropy_of_all_answer_tokens(speaker: Speaker) -> None:
    items, labels = speaker.training_targets()
    loss = speaker.setting.default_loss(speaker.setting.outputs(speaker.model, items), labels, 0.0)
    loss.backward()
    logits, ids = zip(*speaker.logits(), strict=True)
    expected = cross_entropy(torch.cat(logits), torch.tensor([token for each in ids for token in each]))
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for (name, one), other in zip(speaker.model.body.named_parameters(), speaker.raw.parameters(), strict=True):
        largest = float(other.grad.abs().max())
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4 * largest + 1e-7, msg=name)


def test_nothing_is_learnt_of_the_prompt(speaker: Speaker) -> None:
    """The loss has a slope in what is expected of answers' tokens, and in nothing else that was computed."""
    items, labels = speaker.training_targets()
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, __: tuple, given: dict[str, Tensor], out: Any) -> None:
        out.logits.retain_grad()
        seen.append((given["logits_to_keep"], out.logits))

    speaker.model.body.register_forward_hook(keep, with_kwargs=True)
    speaker.setting.default_loss(speaker.setting.outputs(speaker.model, items), labels, 0.0).backward()
    ((places, logits),) = seen
    assert logits.grad is not None
    learnt = logits.grad.abs().sum(-1) > 0
    for item, row in zip(items, learnt, strict=True):
        start = len(item.prompt) - 1
        assert places[row].tolist() == list(range(start, start + len(item.answer)))
    assert not learnt.all()


def test_an_answer_is_right_if_the_model_would_give_it(speakers: dict[str, Path]) -> None:
    speaker = Speaker(speakers["embedded"], tokens=2)
    found = speaker.answers()
    # Special tokens are left out of answers.
    whole = [index for index, answer in enumerate(found) if len(answer.split()) == 2]
    assert len(whole) > 2
    prompts = [PROMPTS[index] for index in whole]
    others = [f"{answer.rsplit(' ', 1)[0]} zebra" for answer in found[whole]]
    for answers, right in ((found[whole], True), (others, False)):
        items, targets = speaker.setting.training_targets(examples(prompts, answers))
        outputs = speaker.setting.outputs(speaker.model, items)
        assert speaker.setting.is_correct(outputs, targets).tolist() == [right] * len(prompts)


def test_an_answer_too_long_is_refused(speakers: dict[str, Path]) -> None:
    setting = Speaker(speakers["embedded"], tokens=2).setting
    with pytest.raises(UserError) as error:
        setting.training_targets(examples(["the food"], ["not a room"]))
    assert str(error.value) == "params.yaml: answer_tokens is 2, but the answer 'not a room' takes 3"


@pytest.mark.parametrize("name", SPEAKERS[1:])
def test_an_answer_that_was_not_ended_is_not_ended_by_learning_it(speakers: dict[str, Path], name: str) -> None:
    tokenizer = load_tokenizer(speakers[name])
    ids = tokenizer(" the food was good", add_special_tokens=False)["input_ids"]
    for room, end in ((0, []), (1, [tokenizer.eos_token_id]), (2, [tokenizer.eos_token_id])):
        setting = setting_of(speakers[name], "generation", {"answer_tokens": len(ids) + room})
        ((_, answer),), _ = setting.training_targets(examples(["good"], ["the food was good"]))
        assert answer == ids + end


def test_whatever_a_supervisor_answers_can_be_learnt(speaker: Speaker, speakers: dict[str, Path]) -> None:
    """Broken letters, and words that take more tokens in another tokenizer: cut at the limit."""
    answers = speaker.answers()
    lengths = []
    for folder in speakers.values():
        student = Speaker(folder)
        items, targets = student.setting.training_targets(examples(PROMPTS, answers, weak=True))
        assert [item.answer for item in items] == [student.ids("", answer)[1] for answer in answers]
        lengths += targets.tolist()
    assert max(lengths) == LIMIT


def test_an_empty_answer_teaches_nothing_where_texts_have_no_end(speakers: dict[str, Path]) -> None:
    speaker = Speaker(speakers["embedded"])
    items, targets = speaker.setting.training_targets(examples(["the food"], [""]))
    outputs = speaker.setting.outputs(speaker.model, items)
    speaker.setting.default_loss(outputs, targets, 0.0).backward()
    assert items[0].answer == []
    assert outputs[0, 0].item() == 0
    assert not any(parameter.grad.any() for parameter in speaker.model.parameters() if parameter.grad is not None)


def test_prompts_lose_their_fronts_so_that_the_longest_answer_fits(speaker: Speaker) -> None:
    setting = setting_of(speaker.folder, "generation", {"answer_tokens": 5}, context=20)
    tokenizer = speaker.tokenizer
    long = " ".join(["food"] * 40 + ["good"])
    cut, short = setting.encode(inputs(long, "the food"))
    whole = tokenizer(long)["input_ids"]
    assert len(cut.prompt) == 15
    assert cut.prompt[-10:] == whole[-10:]
    assert (cut.prompt[0] == whole[0]) == (whole[0] in tokenizer.all_special_ids)  # what stands in front stays
    assert short.prompt == tokenizer("the food")["input_ids"]
    assert setting.length(cut) == 20


# What it answers


@pytest.mark.parametrize("budget", [1, 60, 10_000])
@pytest.mark.parametrize("ends", [False, True])
def test_answers_are_the_likeliest_tokens_one_by_one(speaker: Speaker, budget: int, ends: bool) -> None:
    """However prompts of different lengths are batched, with an end of text and without."""
    end = speaker.tokenizer.eos_token_id
    if not ends:
        speaker.setting.tokenizer.eos_token = end = None
    expected = [speaker.spoken(prompt, end) for prompt in PROMPTS]
    speaker.model.budget.tokens = budget
    found = speaker.answers()
    assert found.dtype == object
    assert found.tolist() == expected
    assert len(set(expected)) > 2
    if end is not None:
        assert len({len(speaker.ids("", answer)[1]) for answer in expected}) > 1


def test_an_answer_comes_back_as_it_was_written(speaker: Speaker) -> None:
    """Spaces before points included: truth and answers are compared letter by letter."""
    for text in ("the food was good", "was n't good . not !") if speaker.folder.name[0] != "e" else ("a room",):
        ids = speaker.ids("", text)[1]
        assert speaker.tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_what_a_checkpoint_says_of_generation_is_left_out(speakers: dict[str, Path], tmp_path: Path) -> None:
    """Many sample, or punish repetition; here the likeliest token counts."""
    folder = shutil.copytree(speakers["gpt2"], tmp_path / "sampling")
    GenerationConfig(do_sample=True, temperature=9.0, repetition_penalty=9.0, bos_token_id=0).save_pretrained(folder)
    assert Speaker(speakers["gpt2"]).answers().tolist() == Speaker(folder).answers().tolist()


def test_labels_are_written_as_answers(speakers: dict[str, Path], tmp_path: Path) -> None:
    speaker = Speaker(speakers["embedded"])
    answers = speaker.setting.label(speaker.model, inputs(*PROMPTS), tmp_path / "labels.parquet")
    table = files.read_labels(tmp_path / "labels.parquet")
    assert table.schema == files.ANSWERS
    assert table["id"].to_pylist() == inputs(*PROMPTS)["id"].to_pylist()
    assert table["answer"].to_pylist() == [speaker.spoken(prompt, None) for prompt in PROMPTS]
    assert table["answer"].to_pylist() == answers.tolist()


@torch.no_grad()
def test_zero_shot_is_what_the_base_model_goes_on_with(speaker: Speaker) -> None:
    speaker.raw = AutoModelForCausalLM.from_pretrained(speaker.folder).eval()
    end = speaker.tokenizer.eos_token_id
    assert speaker.setting.zero_shot(inputs(*PROMPTS)).tolist() == [speaker.spoken(prompt, end) for prompt in PROMPTS]


def test_answers_agree_if_they_are_the_same(speakers: dict[str, Path]) -> None:
    some = np.array(["Ra8", "Ra8", ""], object)
    others = np.array(["Ra8", "ra8", ""], object)
    assert Speaker(speakers["embedded"]).setting.agree(some, others).tolist() == [True, False, True]


# What it refuses


def test_a_head_alone_has_nothing_to_learn() -> None:
    with pytest.raises(UserError) as error:
        Generation.check(hparams_with(tune="head"))
    assert str(error.value) == (
        "params.yaml: tune: head has nothing to learn in generation, whose models answer in words"
    )


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_all_else_may_be_tuned(tune: str) -> None:
    Generation.check(hparams_with(tune=tune))


def test_answers_as_long_as_the_context_leave_no_room_for_a_prompt(speakers: dict[str, Path]) -> None:
    with pytest.raises(UserError, match=r"tasks\.mine\.answer_tokens: 12 leave no room for a prompt in the 12 tokens"):
        setting_of(speakers["embedded"], "generation", {"answer_tokens": 12}, context=12)


@pytest.mark.parametrize("name", ["bert", "masked", "modernbert"])
def test_encoders_are_refused(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    if name == "modernbert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
        ModernBertForMaskedLM(ModernBertConfig(**sizes, pad_token_id=0)).save_pretrained(tmp_path)
    folder = tmp_path if name == "modernbert" else request.getfixturevalue(f"{name}_folder")
    with pytest.raises(MissingHeadError) as error:
        LanguageHead.load_base(folder, HPARAMS, torch.Generator())
    assert str(error.value) == f"{folder}: an encoder fills masks and cannot go on with a text"
