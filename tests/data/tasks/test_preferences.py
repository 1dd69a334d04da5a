"""Preferences: noisy judges of reviews; neither the order nor the form of a pair tells what they say."""

import hashlib
import itertools
import re

import pytest

from tests.data.tasks.test_reviews import Interpreter, corpus
from w2s.core.errors import UserError
from w2s.core.params import Corpus, Split, Task
from w2s.core.validation import options_of
from w2s.data.corpora import reviews as written
from w2s.data.questions import Example
from w2s.data.tasks import Stream, preferences

SPLIT = Split(supervisor=2, student=2, validation=2, test=2)
PAIRS_SHA = "364ea1e48724bd0a6ddf3e5f90167b7da19d03cff720f171301cce6e3e187d4e"
TEXTS_SHA = "7ef9dbea92600f83f7c6a1995d2ed0bd815b313ce6bb73ef5c3fa56344059902"
ANSWERS = {"true": ["happy"], "false": ["sad"]}
OPTIONS = {"certainty": 0.88, "alike": 0.2, "easy": 0.5, "verdicts": True}
CUES = (written.AUTHOR_CUE, written.READER_CUE)


def stream(language: Corpus, seed: int = 0, **options: float) -> Stream:
    entry = Task(family="preferences", setting="preference", answers=ANSWERS, **OPTIONS | options)
    options = options_of(preferences.examples, entry, "here")
    return preferences.examples(SPLIT, language, seed, "here", **options)


def drawn(count: int, language: Corpus, seed: int = 0, **options: float) -> list[Example]:
    return list(itertools.islice(stream(language, seed, **options), count))


def unlabelled(count: int, language: Corpus, seed: int = 0, **options: float) -> list[tuple[str, ...]]:
    """Unlabelled texts as body, cue and verdict."""
    texts = itertools.islice(stream(language, seed, **options).unlabelled, count)
    return [re.fullmatch(f"(.*)({'|'.join(map(re.escape, CUES))}) ([a-z]+)", text).groups() for text in texts]


def bodies(example: Example) -> list[str]:
    return [text.removesuffix(CUES[0]).removesuffix(CUES[1]) for text in example.inputs.values()]


def verdicts(example: Example, seed: int = 0) -> list[bool]:
    """Whether the authors of both texts are happy, by the rules of the language."""
    return [Interpreter(*written.lexicon(seed)).happy(body) for body in bodies(example)]


def near(count: int, total: int, share: float) -> bool:
    """Within four standard errors."""
    return abs(count - share * total) < 4 * (total * share * (1 - share)) ** 0.5


@pytest.mark.slow
def test_judges_mostly_like_the_happier_text() -> None:
    pairs = [(example, *verdicts(example)) for example in drawn(4000, corpus())]
    differ = [(example.answer, one) for example, one, two in pairs if one != two]
    assert near(len(differ), 4000, 0.8)
    assert near(sum(answer == one for answer, one in differ), len(differ), 0.88)
    alike = [example.answer for example, one, two in pairs if one == two]
    assert near(sum(alike), len(alike), 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("alike", [0.0, 0.1, 0.5])
def test_a_share_of_the_pairs_is_alike(alike: float) -> None:
    pairs = [verdicts(example) for example in drawn(2000, corpus(), alike=alike)]
    assert near(sum(one == two for one, two in pairs), 2000, alike) or not alike
    assert alike or all(one != two for one, two in pairs)


@pytest.mark.parametrize("certainty", [0.0, 1.0])
def test_certain_judges(certainty: float) -> None:
    for example in drawn(300, corpus(), certainty=certainty):
        one, two = verdicts(example)
        assert one == two or example.answer == (one if certainty else two)


def test_order_cue_and_length_do_not_predict_the_label() -> None:
    examples = drawn(8000, corpus())
    assert near(sum(example.answer for example in examples), 8000, 0.5)
    forms = {
        "cue": lambda text: text.endswith(written.AUTHOR_CUE),
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
    assert near(sum(text.endswith(written.AUTHOR_CUE) for text in texts), 4000, 0.5)
    assert all(text.endswith(CUES[0]) for example in drawn(200, corpus(), easy=1.0) for text in example.inputs.values())


def test_no_text_occurs_twice_or_in_the_corpus() -> None:
    language = corpus(documents=20_000)
    seen = {written.body_of(document) for document in written.documents(language, 0)}
    examples = drawn(3000, language)
    texts = [body for example in examples for body in bodies(example)]
    assert len(set(texts)) == 6000
    assert seen.isdisjoint(texts)
    assert all(example.id == example.group for example in examples)
    assert len({example.id for example in examples}) == 3000
    words = set(written.vocabulary(language, 0))
    assert {word for example in examples for text in example.inputs.values() for word in text.split()} <= words


def test_the_bits_are_pinned_and_follow_from_the_seed() -> None:
    made = stream(corpus())
    pairs = (f"{e.id} {e.inputs} {e.group} {e.answer}" for e in itertools.islice(made, 1000))
    for lines, digest in ((pairs, PAIRS_SHA), (itertools.islice(made.unlabelled, 1000), TEXTS_SHA)):
        assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == digest
    one, two = drawn(500, corpus()), drawn(500, corpus(), seed=1)
    assert {example.id for example in one}.isdisjoint({example.id for example in two})


def test_unlabelled_texts_are_of_reviews_that_no_pair_and_no_document_has() -> None:
    language = corpus(documents=20_000)
    bodies_of_texts = [body for body, _, _ in unlabelled(4000, language)]
    assert len(set(bodies_of_texts)) == 4000
    paired = {body for seed in (0, 1) for example in drawn(8000, language, seed) for body in bodies(example)}
    reviewed = {written.body_of(document) for document in written.documents(language, 0)}
    assert (paired | reviewed).isdisjoint(bodies_of_texts)


def test_unlabelled_texts_tell_the_verdict_of_their_reviewer() -> None:
    texts = unlabelled(4000, corpus())
    happy = Interpreter(*written.lexicon(0)).happy
    assert all(verdict in written.VERDICTS[happy(body)] for body, _, verdict in texts)
    assert {verdict for _, _, verdict in texts} == {word for words in written.VERDICTS.values() for word in words}
    assert near(sum(cue == written.AUTHOR_CUE for _, cue, _ in texts), 4000, 0.5)
    assert {cue for _, cue, _ in unlabelled(300, corpus(), easy=0.0)} == {written.READER_CUE}
    words = set(written.vocabulary(corpus(), 0))
    assert {word for text in texts for part in text for word in part.split()} <= words


def test_unlabelled_texts_without_verdicts_are_the_same_texts() -> None:
    told = [body + cue for body, cue, _ in unlabelled(500, corpus())]
    assert list(itertools.islice(stream(corpus(), verdicts=False).unlabelled, 500)) == told


@pytest.mark.parametrize("pairs", [0, 300])
def test_unlabelled_texts_follow_from_the_seed_however_many_pairs_are_drawn(pairs: int) -> None:
    made = stream(corpus())
    assert len(list(itertools.islice(made, pairs))) == pairs
    texts = ["{}{} {}".format(*parts) for parts in unlabelled(500, corpus())]
    assert list(itertools.islice(made.unlabelled, 500)) == texts
    assert set(unlabelled(500, corpus())).isdisjoint(unlabelled(500, corpus(), seed=1))


def test_a_language_is_needed() -> None:
    with pytest.raises(UserError, match=r"^here\.corpus is missing: preferences are about texts in a language"):
        preferences.examples(SPLIT, None, 0, "here", **OPTIONS)
