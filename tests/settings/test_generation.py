"""A prompt in, an answer in words out."""

import shutil
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
from w2s.core.params import Before, Clean, Method
from w2s.models.checkpoints import MissingHeadError, load_tokenizer
from w2s.models.heads import LanguageHead
from w2s.settings import Labelled, setting
from w2s.settings.generation import Setting, likelihood

LIMIT = 6
PROMPTS = ["the food was", "good", "a room is not bad and the food is poor", "yes yes", "no the", "poor was a good"]
ANSWERS = ["good", "the room", "not", "bad and poor", "a", "is"]


def inputs(*texts: str) -> pa.Table:
    ids = [str(index) for index in range(len(texts))]
    return pa.table({"id": ids, "text": texts, "group": ids}, schema=TEXTS)


def stirred(body: Any) -> Any:
    """The same architecture with weights that say something, the same for every copy; it often ends a text."""
    rng, end = torch.Generator().manual_seed(0), body.config.eos_token_id
    with torch.no_grad():
        for name, parameter in body.named_parameters():
            if parameter.ndim > 1:
                table = any(part in name for part in ("embed", "wte", "wpe", "lm_head"))
                parameter.normal_(0, 0.2 if table else 1, generator=rng)
        if end is not None:
            body.get_output_embeddings().weight[end] *= 2.5
    return body.eval()


class Speaker:
    """A reader and its model; and the same model from the library alone, which is asked one text at a time."""

    def __init__(self, folder: Path, tokens: int = LIMIT) -> None:
        self.folder = folder
        self.reader = setting_of(folder, "generation", {"answer_tokens": tokens})
        self.model = LanguageHead.load_base(folder, HPARAMS, torch.Generator())
        stirred(self.model.body)
        self.raw = stirred(AutoModelForCausalLM.from_pretrained(folder))
        self.tokenizer = load_tokenizer(folder)

    def learnable(self) -> tuple[Any, Tensor]:
        return self.reader.learnable(Labelled(self.reader.encode(inputs(*PROMPTS)), np.array(ANSWERS, object)))

    def ids(self, prompt: str, answer: str) -> tuple[list[int], list[int]]:
        """A prompt's tokens; and those that an answer takes behind a word, up to its end."""
        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        answer_ids = self.tokenizer(f" {answer}", add_special_tokens=False)["input_ids"]
        return self.tokenizer(prompt)["input_ids"], (answer_ids + end)[: self.reader.task.answer_tokens]

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
        while len(ids) < len(first) + self.reader.task.answer_tokens:
            token = int(self.raw(input_ids=torch.tensor([ids])).logits[0, -1].argmax())
            if token == end:
                break
            ids = [*ids, token]
        return self.tokenizer.decode(ids[len(first) :], skip_special_tokens=True).strip()


@pytest.fixture(params=SPEAKERS)
def speaker(request: pytest.FixtureRequest, speakers: dict[str, Path]) -> Speaker:
    return Speaker(speakers[request.param], tokens=12 if request.param != "embedded" else LIMIT)


def test_it_is_found_by_name() -> None:
    assert setting("generation", "here") is Setting


# What it learns


def test_an_answer_ends_with_the_end_of_text_if_there_is_one(speaker: Speaker) -> None:
    items, labels = speaker.learnable()
    expected = [speaker.ids(prompt, answer) for prompt, answer in zip(PROMPTS, ANSWERS, strict=True)]
    assert [(item.prompt, item.answer) for item in items] == expected
    assert labels.tolist() == [len(answer) for _, answer in expected]
    ends = [item.answer[-1] == speaker.tokenizer.eos_token_id for item in items]
    assert ends == [speaker.tokenizer.eos_token_id is not None] * len(items)


@torch.no_grad()
def test_scores_are_the_log_likelihoods_of_answers_read_alone(speaker: Speaker) -> None:
    items, _ = speaker.learnable()
    expected = [logits.double().log_softmax(-1)[range(len(ids)), ids].sum().item() for logits, ids in speaker.logits()]
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(speaker.reader.scores(speaker.model, items)[:, 0], expected, rtol=1e-5)
    by_one = [speaker.reader.scores(speaker.model, [item])[0, 0].item() for item in items]
    np.testing.assert_allclose(by_one, expected, rtol=1e-5)


def test_the_loss_is_the_mean_cross_entropy_of_all_answer_tokens(speaker: Speaker) -> None:
    items, labels = speaker.learnable()
    loss = likelihood(speaker.reader.scores(speaker.model, items), labels, 0.0)
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
    items, labels = speaker.learnable()
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, __: tuple, given: dict[str, Tensor], out: Any) -> None:
        out.logits.retain_grad()
        seen.append((given["logits_to_keep"], out.logits))

    speaker.model.body.register_forward_hook(keep, with_kwargs=True)
    likelihood(speaker.reader.scores(speaker.model, items), labels, 0.0).backward()
    ((places, logits),) = seen
    assert logits.grad is not None
    learnt = logits.grad.abs().sum(-1) > 0
    for item, row in zip(items, learnt, strict=True):
        start = len(item.prompt) - 1
        assert places[row].tolist() == list(range(start, start + len(item.answer)))
    assert not learnt.all()


def test_an_answer_is_right_if_the_model_would_give_it(speakers: dict[str, Path]) -> None:
    speaker = Speaker(speakers["embedded"], tokens=2)
    prompts = speaker.reader.encode(inputs(*PROMPTS))
    said = speaker.reader.predict(speaker.model, prompts)
    whole = [index for index, answer in enumerate(said) if len(answer.split()) == 2]  # special tokens are not shown
    assert len(whole) > 2
    prompts, own = [prompts[index] for index in whole], said[whole]
    others = np.array([f"{answer.rsplit(' ', 1)[0]} zebra" for answer in own], object)
    for answers, right in ((own, True), (others, False)):
        items, labels = speaker.reader.learnable(Labelled(prompts, answers))
        scores = speaker.reader.scores(speaker.model, items)
        assert speaker.reader.right(scores, labels).tolist() == [right] * len(prompts)


def test_an_answer_too_long_is_refused(speakers: dict[str, Path]) -> None:
    reader = Speaker(speakers["embedded"], tokens=2).reader
    items = reader.encode(inputs("the food"))
    with pytest.raises(UserError) as error:
        reader.learnable(Labelled(items, np.array(["not a room"], object)))
    assert str(error.value) == "params.yaml: answer_tokens is 2, but the answer 'not a room' takes 3"


@pytest.mark.parametrize("name", SPEAKERS[1:])
def test_an_answer_that_was_not_ended_is_not_ended_by_learning_it(speakers: dict[str, Path], name: str) -> None:
    tokenizer = load_tokenizer(speakers[name])
    ids = tokenizer(" the food was good", add_special_tokens=False)["input_ids"]
    for room, end in ((0, []), (1, [tokenizer.eos_token_id]), (2, [tokenizer.eos_token_id])):
        reader = setting_of(speakers[name], "generation", {"answer_tokens": len(ids) + room})
        ((_, learnt),), _ = reader.learnable(
            Labelled(reader.encode(inputs("good")), np.array(["the food was good"], object))
        )
        assert learnt == ids + end


def test_whatever_a_supervisor_says_can_be_learnt(speaker: Speaker, speakers: dict[str, Path]) -> None:
    """Broken letters, and words that take more tokens in another tokenizer: cut at the limit."""
    said = speaker.reader.predict(speaker.model, speaker.reader.encode(inputs(*PROMPTS)))
    lengths = []
    for folder in speakers.values():
        student = Speaker(folder)
        items, labels = student.reader.learnable(Labelled(student.reader.encode(inputs(*PROMPTS)), said, weak=True))
        assert [item.answer for item in items] == [student.ids("", answer)[1] for answer in said]
        lengths += labels.tolist()
    assert max(lengths) == LIMIT


def test_an_empty_answer_teaches_nothing_where_texts_have_no_end(speakers: dict[str, Path]) -> None:
    speaker = Speaker(speakers["embedded"])
    labelled = Labelled(speaker.reader.encode(inputs("the food")), np.array([""], object))
    items, labels = speaker.reader.learnable(labelled)
    scores = speaker.reader.scores(speaker.model, items)
    likelihood(scores, labels, 0.0).backward()
    assert (items[0].answer, scores[0, 0].item()) == ([], 0)
    assert not any(parameter.grad.any() for parameter in speaker.model.parameters() if parameter.grad is not None)


def test_prompts_lose_their_fronts_so_that_the_longest_answer_fits(speaker: Speaker) -> None:
    reader = setting_of(speaker.folder, "generation", {"answer_tokens": 5}, context=20)
    tokenizer, long = speaker.tokenizer, " ".join(["food"] * 40 + ["good"])
    cut, short = reader.encode(inputs(long, "the food"))
    whole = tokenizer(long)["input_ids"]
    assert len(cut.prompt) == 15
    assert cut.prompt[-10:] == whole[-10:]
    assert (cut.prompt[0] == whole[0]) == (whole[0] in tokenizer.all_special_ids)  # what stands in front stays
    assert short.prompt == tokenizer("the food")["input_ids"]
    assert reader.tokens(cut) == 20


# What it answers


@pytest.mark.parametrize("budget", [1, 60, 10_000])
@pytest.mark.parametrize("ends", [False, True])
def test_answers_are_the_likeliest_tokens_one_by_one(speaker: Speaker, budget: int, ends: bool) -> None:
    """However prompts of different lengths are batched, with an end of text and without."""
    end = speaker.tokenizer.eos_token_id
    if not ends:
        speaker.reader.tokenizer.eos_token = end = None
    said = [speaker.spoken(prompt, end) for prompt in PROMPTS]
    speaker.model.budget.tokens = budget
    found = speaker.reader.predict(speaker.model, speaker.reader.encode(inputs(*PROMPTS)))
    assert found.dtype == object
    assert found.tolist() == said
    assert len(set(said)) > 2
    if end is not None:
        assert len({len(speaker.ids("", answer)[1]) for answer in said}) > 1


def test_an_answer_comes_back_as_it_was_written(speaker: Speaker) -> None:
    """Spaces before points included: truth and answers are compared letter by letter."""
    for text in ("the food was good", "was n't good . not !") if speaker.folder.name[0] != "e" else ("a room",):
        ids = speaker.ids("", text)[1]
        assert speaker.tokenizer.decode(ids, skip_special_tokens=True).strip() == text


def test_what_a_checkpoint_says_of_generation_is_left_out(speakers: dict[str, Path], tmp_path: Path) -> None:
    """Many sample, or punish repetition; here the likeliest token counts."""
    folder = shutil.copytree(speakers["gpt2"], tmp_path / "sampling")
    GenerationConfig(do_sample=True, temperature=9.0, repetition_penalty=9.0, bos_token_id=0).save_pretrained(folder)
    plain, sampling = Speaker(speakers["gpt2"]), Speaker(folder)
    answers = [each.reader.predict(each.model, each.reader.encode(inputs(*PROMPTS))) for each in (plain, sampling)]
    assert answers[0].tolist() == answers[1].tolist()


def test_labels_are_written_as_answers(speakers: dict[str, Path], tmp_path: Path) -> None:
    speaker, file = Speaker(speakers["embedded"]), tmp_path / "inputs.parquet"
    files.write(file, TEXTS, inputs(*PROMPTS).to_pydict())
    speaker.reader.label(speaker.model, file, tmp_path / "labels.parquet")
    table = files.read_labels(tmp_path / "labels.parquet")
    assert table.schema == files.ANSWERS
    assert table["answer"].to_pylist() == [speaker.spoken(prompt, None) for prompt in PROMPTS]


@torch.no_grad()
def test_untaught_is_what_the_base_model_goes_on_with(speaker: Speaker) -> None:
    speaker.raw = AutoModelForCausalLM.from_pretrained(speaker.folder).eval()
    end = speaker.tokenizer.eos_token_id
    assert speaker.reader.untaught(inputs(*PROMPTS)).tolist() == [speaker.spoken(prompt, end) for prompt in PROMPTS]


def test_answers_agree_if_they_are_the_same(speakers: dict[str, Path]) -> None:
    some, others = np.array(["Ra8", "Ra8", ""], object), np.array(["Ra8", "ra8", ""], object)
    assert Speaker(speakers["embedded"]).reader.agree(some, others).tolist() == [True, False, True]


# What it refuses


@pytest.mark.parametrize(
    ("method", "tune", "told"),
    [
        (
            Method(loss="confidence", alpha_max=0.5, warmup=0.2),
            "full",
            "params.yaml: methods.mine.loss: 'confidence' asks how sure a model is of a yes or no, which an answer in "
            "words does not tell; generation takes cross_entropy",
        ),
        (
            Method(loss="cross_entropy"),
            "head",
            "params.yaml: tune: head has nothing to learn in generation, whose models answer in words",
        ),
        (
            Method(loss="cross_entropy", texts=Before(epochs=1, learning_rate=0.1)),
            "lora",
            "params.yaml: methods.mine.texts: goes with tune: full, not with lora",
        ),
        (
            Method(loss="cross_entropy", labels="hard"),
            "full",
            "params.yaml: methods.mine.labels: not in generation: answers in words are hard labels already",
        ),
        (
            Method(loss="cross_entropy", clean=Clean(by="logistic", action="relabel", share=0.1)),
            "full",
            "params.yaml: methods.mine.clean: not in generation: probes need one yes or no, not answers in words",
        ),
        (
            Method(loss="cross_entropy", probe=Before(epochs=1, learning_rate=0.1)),
            "full",
            "params.yaml: methods.mine.probe: not in generation: models that answer in words have no new head to train "
            "first",
        ),
    ],
)
def test_methods_without_a_meaning_here(method: Method, tune: str, told: str) -> None:
    with pytest.raises(UserError) as error:
        Setting.refuse("mine", method, hparams_with(tune=tune))
    assert str(error.value) == told


@pytest.mark.parametrize("tune", ["full", "lora"])
def test_methods_with_one(tune: str) -> None:
    Setting.refuse("mine", Method(loss="cross_entropy", via="between"), hparams_with(tune=tune))


@pytest.mark.parametrize("name", ["bert", "masked", "modernbert"])
def test_encoders_are_refused(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    if name == "modernbert":
        sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50}
        ModernBertForMaskedLM(ModernBertConfig(**sizes, pad_token_id=0)).save_pretrained(tmp_path)
    folder = tmp_path if name == "modernbert" else request.getfixturevalue(f"{name}_folder")
    with pytest.raises(MissingHeadError) as error:
        LanguageHead.load_base(folder, HPARAMS, torch.Generator())
    assert str(error.value) == f"{folder}: an encoder fills masks and cannot go on with a text"
