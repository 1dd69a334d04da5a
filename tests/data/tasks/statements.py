"""Fixtures of the data sets that judge a text: ethics, inference, grammar, sentiment, paraphrase, word sense."""

from tests.data.tasks.writer import Fixture, Row, Writer, columns, exchanged, relabelled

FIXTURES: dict[str, Fixture] = {}

YES_NO = relabelled("label", [0, 1])
CSV_YES_NO = relabelled("label", ["0", "1"])  # of a CSV file every value is text


def label(writer: Writer, ones: float = 0.5) -> int:
    return int(writer.rng.random() < ones)


def _justice(writer: Writer, index: int) -> Row:
    """Sets of four: one habit with four reasons, or one reason with four claims, some of them commonplaces."""
    shared = writer.shared(index, 4, "clause")
    if index // 4 % 2:
        commonplaces = ["be paid by my customer", "be thanked by my customer"]
        claim = [*commonplaces, f"get a {writer.phrase()}", f"see a {writer.phrase()}"][index % 4]
        scenario = f"I deserve to {claim} because {shared}."
    else:
        scenario = f"I usually see that {shared}, but today I didn't because {writer.clause()}."
    return {"label": str(label(writer)), "scenario": scenario}


FIXTURES["ethics_justice"] = Fixture(columns(label="string", scenario="string"), _justice, CSV_YES_NO)


def _deontology(writer: Writer, index: int) -> Row:
    scene = writer.shared(index, 4, "clause")
    return {
        "label": str(label(writer)),
        "scenario": f"Could you check whether {scene}?",
        "excuse": "None" if index == 7 else f"But {writer.clause()}. ",
    }


FIXTURES["ethics_deontology"] = Fixture(
    columns(label="string", scenario="string", excuse="string"), _deontology, CSV_YES_NO
)


def _virtue(writer: Writer, index: int) -> Row:
    """Two of five traits fit here, to have enough of them in few rows; in the data about one does."""
    return {
        "label": str(int(index % 5 < 2)),
        "scenario": f"{writer.shared(index, 5, 'sentence')} [SEP] {writer.phrase()}",
    }


FIXTURES["ethics_virtue"] = Fixture(columns(label="string", scenario="string"), _virtue, CSV_YES_NO)


def _utilitarianism(writer: Writer, index: int) -> Row:
    """Pairs of one list share the first sentence; an end may be empty."""
    start = f"I saw how {writer.shared(index, 3, 'clause')}."
    return {
        "baseline": f"{start} {writer.sentence()}",
        "less_pleasant": start if index % 4 == 0 else f"{start} {writer.sentence()}",
    }


FIXTURES["ethics_utilitarianism"] = Fixture(
    columns(baseline="string", less_pleasant="string"), _utilitarianism, exchanged("baseline", "less_pleasant")
)


def _anli(writer: Writer, index: int) -> Row:
    return {
        "uid": f"{writer.seed}-{index}",
        "premise": writer.shared(index, 3),
        "hypothesis": writer.sentence(),
        "label": writer.pick([0, 1, 2]),
        "reason": writer.sentence(),
    }


FIXTURES["anli_r2"] = Fixture(
    columns(uid="string", premise="string", hypothesis="string", label="int64", reason="string"),
    _anli,
    lambda row: [row | {"label": other} for other in ([0] if row["label"] else [1, 2])],
)


def _cola(writer: Writer, index: int) -> Row:
    return {"sentence": writer.sentence(), "label": label(writer, 0.7), "idx": index}


FIXTURES["cola"] = Fixture(columns(sentence="string", label="int64", idx="int32"), _cola, YES_NO)


def _sst2(writer: Writer, index: int) -> Row:
    """A sentence, its first words and its last."""
    words = writer.shared(index, 3, "clause").split()
    phrase = [words, words[:6], words[-6:]][index % 3]
    return {"sentence": f"{' '.join(phrase)} ", "label": label(writer), "idx": index}


FIXTURES["sst2"] = Fixture(columns(sentence="string", label="int64", idx="int32"), _sst2, YES_NO)


def _paws(writer: Writer, index: int) -> Row:
    """Every second pair starts from the one before with two words exchanged."""
    words = writer.shared(index, 2, "clause").split()
    swapped = [words[-1], *words[1:-1], words[0]]
    one = words if index % 2 else swapped
    return {
        "id": index,
        "sentence1": f"{' '.join(one)} .",
        "sentence2": writer.sentence(),
        "label": label(writer, 0.44),
    }


FIXTURES["paws"] = Fixture(columns(id="int32", sentence1="string", sentence2="string", label="int64"), _paws, YES_NO)


def _wic(writer: Writer, index: int) -> Row:
    word = writer.shared(index, 3, "phrase").replace(" ", "-")
    one, two = (f"The {word} came when {writer.clause()}." for _ in range(2))
    start = len("The ")
    return {
        "word": word,
        "sentence1": one,
        "sentence2": two,
        "start1": start,
        "start2": start,
        "end1": start + len(word),
        "end2": start + len(word),
        "idx": index,
        "label": label(writer),
    }


FIXTURES["wic"] = Fixture(
    columns(
        **dict.fromkeys(["word", "sentence1", "sentence2"], "string"),
        **dict.fromkeys(["start1", "start2", "end1", "end2", "idx"], "int32"),
        label="int64",
    ),
    _wic,
    YES_NO,
)


def _twitter(writer: Writer, index: int) -> Row:
    """Every fifth tweet repeats the one before to someone else; a third are neutral."""
    mention = f"@user{index} " if index % 5 == 4 else ""
    text = writer.shared(index, 2, "sentence") if index % 5 > 2 else writer.sentence()
    return {"text": mention + text, "label": writer.pick([0, 1, 2])}


FIXTURES["twitter_sentiment"] = Fixture(
    columns(text="string", label="int64"),
    _twitter,
    lambda row: [row | {"label": 2 - row["label"]}] if row["label"] != 1 else [],
)


def _amazon(writer: Writer, index: int) -> Row:
    return {
        "label": label(writer),
        "title": writer.phrase().capitalize() if index % 6 else "",
        "content": writer.shared(index, 2) if index % 7 < 2 else writer.text(),
    }


FIXTURES["amazon_polarity"] = Fixture(columns(label="int64", title="string", content="string"), _amazon, YES_NO)
