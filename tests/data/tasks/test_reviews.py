"""The reviews language: its labels follow from its rules, its bits from its seeds."""

import hashlib
import itertools
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest

from w2s.core.params import Corpus, Split
from w2s.data.corpora import reviews as written
from w2s.data.questions import Example
from w2s.data.tasks import reviews

SPLIT = Split(supervisor=2, student=2, validation=2, test=2)
DOCUMENTS_SHA = "aeae7ed0a5fcd82c5d5135a3ed1cb27927edf7972eb5d099289382d3af7fcd04"
EXAMPLES_SHA = "41f82dbce3e25e6eb19346aac10b39dc4802c0e23f51c309eb504a615f9f6455"


def corpus(documents: int = 3000) -> Corpus:
    return Corpus(family="reviews", documents=documents)


def drawn(
    count: int, language: Corpus, seed: int = 0, kinds: Sequence[str] = tuple(reviews.TASK.kinds)
) -> list[Example]:
    return list(itertools.islice(reviews.examples(SPLIT, language, seed, "here", kinds=list(kinds)), count))


class Interpreter:
    """Reads a body by the language's rules alone, knowing only which words praise."""

    def __init__(self, praise: list[str], blame: list[str]) -> None:
        self.praises = dict.fromkeys(praise, True) | dict.fromkeys(blame, False)

    def happy(self, body: str) -> bool:
        if reported := re.fullmatch(r"they said (.*) \. it was (right|wrong)", body):
            return self.statement(reported[1]) == (reported[2] == "right")
        if listed := re.fullmatch(r"(.*) \. i chose (first|second|third)", body):
            return self.clause(listed[1].split(" and ")[["first", "second", "third"].index(listed[2])])
        return self.statement(body)

    def hasty(self, body: str) -> bool:
        """What a reader takes from it who goes by the first of many clauses and believes reports."""
        body = re.sub(r"^they said (.*) \. it was (right|wrong)$", r"\1", body)
        clauses = re.findall(r"[a-z]+ was (?:not |hardly |very |quite )?[a-z]+", body)
        return self.clause(clauses[0]) if "chose" in body or len(clauses) > 2 else self.statement(body)

    def statement(self, text: str) -> bool:
        """What is conceded, or stands before a `but`, carries no verdict; what is left agrees with itself."""
        text = re.sub(r"^although [^,]* , ", "", text)
        text = re.sub(r" although .*$", "", text)
        text = re.sub(r"^.* but ", "", text)
        (verdict,) = {self.clause(clause) for clause in text.split(" and ")}
        return verdict

    def clause(self, text: str) -> bool:
        said = re.fullmatch(r"[a-z]+ was (?:(?P<denied>not|hardly) |very |quite )?(?P<word>[a-z]+)", text)
        assert said, text
        return self.praises[said["word"]] != bool(said["denied"])


@pytest.mark.parametrize("seed", [0, 1])
def test_every_label_is_what_the_rules_say(seed: int) -> None:
    language = corpus()
    reader = Interpreter(*written.lexicon(seed))
    readings = {"i": reader.happy, "they": reader.hasty}
    for document in written.documents(language, seed):
        body, who, verdict = re.fullmatch(r"(.*) \. (i|they) felt (\w+)", document).groups()  # type: ignore[union-attr]
        assert verdict in {True: {"happy", "glad"}, False: {"sad", "upset"}}[readings[who](body)], document
    for example in drawn(3000, language, seed):
        body = example.inputs["text"].removesuffix(" . they felt")
        assert body != example.inputs["text"]
        assert example.answer == reader.happy(body), body


def test_hasty_readers_err_where_it_is_hard() -> None:
    reader = Interpreter(*written.lexicon(0))
    texts = [example.inputs["text"].removesuffix(" . they felt") for example in drawn(4000, corpus())]
    agree = [reader.happy(text) == reader.hasty(text) for text in texts]
    assert 0.55 < sum(agree) / 4000 < 0.7
    reports = drawn(1000, corpus(), kinds=["report"])
    assert all(example.inputs["text"].startswith("they said") for example in reports)


def test_authors_and_readers_share_the_corpus() -> None:
    authors = sum(" . i felt " in document for document in written.documents(corpus(), 0))
    assert abs(authors - 1800) < 4 * (3000 * 0.24) ** 0.5


def test_both_styles_use_every_form() -> None:
    texts = {
        "corpus": list(written.documents(corpus(), 0)),
        "task": [example.inputs["text"] for example in drawn(3000, corpus())],
    }
    forms = ["not ", "hardly ", "^although ", "(?<!^)although ", " but ", "chose third", "said.* right", "said.* wrong"]
    for name, form in itertools.product(texts, forms):
        share = sum(bool(re.search(form, text)) for text in texts[name]) / 3000
        assert 0.01 < share < 0.6, (name, form, share)


def digests() -> tuple[str, str]:
    documents = itertools.islice(written.documents(corpus(), 0), 1000)
    examples = (
        f"{example.id} {example.inputs['text']} {example.group} {example.answer}" for example in drawn(1000, corpus())
    )
    return tuple(hashlib.sha256("\n".join(lines).encode()).hexdigest() for lines in (documents, examples))  # type: ignore[return-value]


def test_the_bits_are_pinned() -> None:
    assert digests() == (DOCUMENTS_SHA, EXAMPLES_SHA)


def test_the_bits_do_not_depend_on_the_process() -> None:
    command = [sys.executable, "-c", "from tests.data.tasks.test_reviews import digests; print(*digests())"]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONHASHSEED": "4711"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [DOCUMENTS_SHA, EXAMPLES_SHA]


def test_no_test_body_occurs_in_the_corpus() -> None:
    small, large = corpus(documents=1), corpus(documents=30_000)
    seen = {written.body_of(document) for document in written.documents(large, 0)}
    unfiltered = drawn(4000, small)  # the same stream of bodies before the larger corpus claims its own
    clean = [example for example in unfiltered if example.inputs["text"].removesuffix(" . they felt") not in seen]
    assert len(clean) < len(unfiltered)
    assert drawn(len(clean), large) == clean


def test_examples_are_distinct_and_known_by_their_text() -> None:
    one, two = drawn(4000, corpus(), seed=0), drawn(4000, corpus(), seed=1)
    assert len({example.id for example in one}) == len({example.inputs["text"] for example in one}) == 4000
    ids: dict[str, str] = {}
    for example in one + two:
        assert ids.setdefault(example.inputs["text"], example.id) == example.id
    assert len({example.inputs["text"] for example in one + two}) > 7500  # another seed draws other bodies


def test_classes_are_balanced() -> None:
    happy = sum(example.answer for example in drawn(4000, corpus()))
    assert abs(happy - 2000) < 4 * (4000 * 0.25) ** 0.5
    glad = sum(document.endswith((" happy", " glad")) for document in written.documents(corpus(), 0))
    assert abs(glad - 1500) < 4 * (3000 * 0.25) ** 0.5


def test_seeds_deal_out_different_words() -> None:
    lexicons = [written.lexicon(seed) for seed in range(3)]
    for praise, blame in lexicons:
        assert len({*praise, *blame}) == 2 * written.ADJECTIVES == len(praise) + len(blame)
    for (praise, _), (_, blame) in itertools.permutations(lexicons, 2):
        assert set(praise) & set(blame)  # a word's meaning cannot be carried from one language to another
    assert drawn(10, corpus(), seed=1) != drawn(10, corpus(), seed=0)


def test_the_vocabulary_has_every_word_once() -> None:
    language = corpus()
    words = written.vocabulary(language, 0)
    assert len(words) == len(set(words))
    texts = [*written.documents(language, 0), *(example.inputs["text"] for example in drawn(3000, language))]
    assert {word for text in texts for word in text.split()} <= set(words)
