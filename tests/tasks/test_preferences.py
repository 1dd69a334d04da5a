"""Preferences: noisy judges of reviews; neither the order nor the form of a pair tells what they say."""

import hashlib
import itertools

import pytest

from tests.tasks.test_reviews import Interpreter, corpus
from w2s.corpora import reviews as written
from w2s.errors import UserError
from w2s.params import Corpus, Split, Task, options_of
from w2s.tasks import Example, preferences

SPLIT = Split(seed=0, supervisor=2, student=2, validation=2, test=2)
SHA = "271256be9e2e56758f7d629ac1fad069a5792db44947a65685e7bd736c32446e"
CUES = (written.CUE, preferences.HARD_CUE)


def drawn(count: int, language: Corpus, seed: int = 0, **options: float) -> list[Example]:
    entry = Task(family="preferences", setting="preference", **options)
    split, options = SPLIT.model_copy(update={"seed": seed}), options_of(preferences.examples, entry, "here")
    return list(itertools.islice(preferences.examples(split, language, "here", **options), count))


def bodies(example: Example) -> list[str]:
    return [text.removesuffix(CUES[0]).removesuffix(CUES[1]) for text in example.inputs.values()]


def verdicts(example: Example, seed: int = 0) -> list[bool]:
    """Whether the authors of both texts are happy, by the rules of the language."""
    return [Interpreter(*written.lexicon(seed)).happy(body) for body in bodies(example)]


def near(count: int, total: int, share: float) -> bool:
    """Within four standard errors."""
    return abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5


def test_judges_mostly_like_the_happier_text() -> None:
    pairs = [(example, *verdicts(example)) for example in drawn(4000, corpus())]
    differ = [(example.answer, one) for example, one, two in pairs if one != two]
    assert near(len(differ), 4000, 0.5)
    assert near(sum(answer == one for answer, one in differ), len(differ), 0.88)
    alike = [example.answer for example, one, two in pairs if one == two]
    assert near(sum(alike), len(alike), 0.5)


@pytest.mark.parametrize("certainty", [0.0, 1.0])
def test_certain_judges(certainty: float) -> None:
    for example in drawn(300, corpus(), certainty=certainty):
        one, two = verdicts(example)
        assert one == two or example.answer == (one if certainty else two)


def test_order_cue_and_length_do_not_predict_the_label() -> None:
    examples = drawn(8000, corpus())
    assert near(sum(example.answer for example in examples), 8000, 0.5)
    forms = {
        "cue": lambda text: text.endswith(written.CUE),
        "words": lambda text: len(text.split()),
        "letters": lambda text: text,
    }
    for name, form in forms.items():
        told = [(form(e.inputs["first"]), form(e.inputs["second"]), e.answer) for e in examples]
        decided = [(one > two) == answer for one, two, answer in told if one != two]
        assert near(sum(decided), len(decided), 0.5), name


def test_half_of_the_texts_end_in_the_easy_cue() -> None:
    texts = [text for example in drawn(2000, corpus()) for text in example.inputs.values()]
    assert all(text.endswith(CUES) for text in texts)
    assert near(sum(text.endswith(written.CUE) for text in texts), 4000, 0.5)
    assert all(text.endswith(CUES[0]) for example in drawn(200, corpus(), easy=1.0) for text in example.inputs.values())


def test_the_hard_cue_never_precedes_a_verdict() -> None:
    assert not any(preferences.HARD_CUE in document for document in written.documents(corpus(documents=20_000)))


def test_no_text_occurs_twice_or_in_the_corpus() -> None:
    language = corpus(documents=20_000)
    seen = {document.rsplit(written.CUE, 1)[0] for document in written.documents(language)}
    examples = drawn(3000, language)
    texts = [body for example in examples for body in bodies(example)]
    assert len(set(texts)) == 6000
    assert seen.isdisjoint(texts)
    assert all(example.id == example.group for example in examples)
    assert len({example.id for example in examples}) == 3000
    words = set(written.vocabulary(language))
    assert {word for example in examples for text in example.inputs.values() for word in text.split()} <= words


def test_the_bits_are_pinned_and_follow_from_the_seed() -> None:
    lines = "\n".join(f"{e.id} {e.inputs} {e.group} {e.answer}" for e in drawn(1000, corpus()))
    assert hashlib.sha256(lines.encode()).hexdigest() == SHA
    one, two = drawn(500, corpus()), drawn(500, corpus(), seed=1)
    assert {example.id for example in one}.isdisjoint({example.id for example in two})


def test_a_language_is_needed() -> None:
    with pytest.raises(UserError, match=r"^here\.corpus is missing: preferences are about texts in a language"):
        preferences.examples(SPLIT, None, "here")
