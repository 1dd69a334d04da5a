"""Fixtures of the data sets that ask questions: multiple choice, reading, and statements about an answer."""

import pyarrow as pa

from tests.data.tasks.writer import Fixture, Row, Writer, columns, exchanged, relabelled

FIXTURES: dict[str, Fixture] = {}
TEXTS = pa.list_(pa.string())
LETTERED = pa.struct([("text", TEXTS), ("label", TEXTS)])


def _sciq(writer: Writer, index: int) -> Row:
    wrong1, wrong2, wrong3, right = writer.several(writer.phrase, 4)
    return {
        "question": f"What {writer.clause()}?",
        "distractor3": wrong3,
        "distractor1": wrong1,
        "distractor2": wrong2,
        "correct_answer": right,
        "support": writer.text() if index % 9 else "",
    }


FIXTURES["sciq"] = Fixture(
    columns(
        **dict.fromkeys(
            ["question", "distractor3", "distractor1", "distractor2", "correct_answer", "support"], "string"
        )
    ),
    _sciq,
    exchanged("correct_answer", "distractor1", "distractor2", "distractor3"),
)


def _boolq(writer: Writer, index: int) -> Row:
    return {
        "question": f"did {writer.clause()}",
        "answer": writer.rng.random() < 0.62,
        "passage": writer.shared(index, 3),
    }


FIXTURES["boolq"] = Fixture(
    columns(question="string", answer="bool", passage="string"), _boolq, relabelled("answer", [True, False])
)


def _cosmos_qa(writer: Writer, index: int) -> Row:
    answers = writer.several(writer.sentence, 4)
    if index % 5 == 0:
        answers[writer.pick(range(4))] = "None of the above choices ."
    return {
        "id": f"{index}##made up",
        "context": writer.shared(index, 2),
        "question": f"Why may {writer.clause()} ?",
        **{f"answer{number}": answer for number, answer in enumerate(answers)},
        "label": writer.pick(range(4)),
    }


FIXTURES["cosmos_qa"] = Fixture(
    columns(
        **dict.fromkeys(["id", "context", "question", "answer0", "answer1", "answer2", "answer3"], "string"),
        label="int32",
    ),
    _cosmos_qa,
    relabelled("label", range(4)),
)


def _dream(writer: Writer, index: int) -> Row:
    choice = writer.several(writer.sentence, 3)
    return {
        "id": index % 3,
        "dialogue_id": f"{index // 3}-{writer.seed}",
        "dialogue": [f"{who}: {writer.shared(index, 3, kind)}" for who, kind in (("M", "text"), ("W", "sentence"))],
        "question": f"What does the {writer.word()} suggest?",
        "choice": choice,
        "answer": writer.pick(choice),
    }


FIXTURES["dream"] = Fixture(
    columns(id="int32", dialogue_id="string", dialogue=TEXTS, question="string", choice=TEXTS, answer="string"),
    _dream,
    lambda row: [row | {"answer": answer} for answer in row["choice"] if answer != row["answer"]],
)


def _hellaswag(writer: Writer, index: int) -> Row:
    opening, start = writer.sentence(), writer.phrase().capitalize()
    return {
        "ind": index,
        "activity_label": writer.word().capitalize(),
        "ctx_a": opening,
        "ctx_b": start,
        "ctx": f"{opening} {start}",
        "endings": writer.several(lambda: f"{writer.clause()}.", 4),
        "source_id": f"activitynet~v_{writer.seed}{index // 3}",
        "split": "val",
        "split_type": writer.pick(["indomain", "zeroshot"]),
        "label": writer.pick("0123"),
    }


FIXTURES["hellaswag"] = Fixture(
    columns(
        ind="int32",
        **dict.fromkeys(["activity_label", "ctx_a", "ctx_b", "ctx"], "string"),
        endings=TEXTS,
        **dict.fromkeys(["source_id", "split", "split_type", "label"], "string"),
    ),
    _hellaswag,
    relabelled("label", "0123"),
)


def _openbookqa(writer: Writer, index: int) -> Row:
    return {
        "id": f"7-{index}",
        "question_stem": f"As {writer.clause()}, what follows",
        "choices": {"text": writer.several(writer.phrase, 4), "label": list("ABCD")},
        "answerKey": writer.pick("ABCD"),
    }


FIXTURES["openbookqa"] = Fixture(
    columns(id="string", question_stem="string", choices=LETTERED, answerKey="string"),
    _openbookqa,
    relabelled("answerKey", "ABCD"),
)


def _quail(writer: Writer, index: int) -> Row:
    answers = writer.several(writer.sentence, 4)
    answers[writer.pick(range(4))] = "not enough information"
    return {
        "id": f"f00{index // 4}_{index % 4}",
        "context_id": f"f00{index // 4}",
        "question_id": str(index % 4),
        "domain": writer.pick(["fiction", "news", "blogs", "user_stories"]),
        "metadata": {"author": writer.word(), "title": writer.phrase(), "url": "https://example.org"},
        "context": writer.shared(index, 4),
        "question": f"After {writer.clause()}, what is likely?",
        "question_type": writer.pick(["Causality", "Unanswerable", "Event_duration"]),
        "answers": answers,
        "correct_answer_id": writer.pick(range(4)),
    }


FIXTURES["quail"] = Fixture(
    columns(
        **dict.fromkeys(["id", "context_id", "question_id", "domain"], "string"),
        metadata=pa.struct([(name, pa.string()) for name in ("author", "title", "url")]),
        **dict.fromkeys(["context", "question", "question_type"], "string"),
        answers=TEXTS,
        correct_answer_id="int32",
    ),
    _quail,
    relabelled("correct_answer_id", range(4)),
)


def _piqa(writer: Writer, index: int) -> Row:
    one, two = writer.several(writer.sentence, 2)
    return {
        "goal": writer.shared(index, 2, "clause"),
        "sol1": one,
        "sol2": two if index % 40 else f"{one} ",  # nothing to tell apart
        "label": writer.pick((0, 1)),
    }


FIXTURES["piqa"] = Fixture(
    columns(goal="string", sol1="string", sol2="string", label="int64"), _piqa, relabelled("label", (0, 1))
)

PARA = ["effect_prop", "cause_dir_str", "effect_dir_str", "cause_dir_sign", "effect_dir_sign", "cause_prop"]
QUESTION = ["more_effect_dir", "less_effect_dir", "less_cause_prop", "more_effect_prop", "less_effect_prop"]


def _quartz(writer: Writer, index: int) -> Row:
    return {
        "id": f"QRQA-{index}",
        "question": f"If {writer.clause()}, the {writer.word()} is more or less {writer.phrase()}?",
        "choices": {"text": writer.several(writer.phrase, 2), "label": ["A", "B"]},
        "answerKey": writer.pick("AB"),
        "para": writer.shared(index, 4),
        "para_id": f"QRSent-{index // 4}",
        "para_anno": dict.fromkeys(PARA, "MORE"),
        "question_anno": dict.fromkeys(QUESTION, "less"),
    }


FIXTURES["quartz"] = Fixture(
    columns(
        id="string",
        question="string",
        choices=LETTERED,
        answerKey="string",
        para="string",
        para_id="string",
        para_anno=pa.struct([(name, pa.string()) for name in PARA]),
        question_anno=pa.struct([(name, pa.string()) for name in QUESTION]),
    ),
    _quartz,
    relabelled("answerKey", "AB"),
)


def _social_iqa(writer: Writer, index: int) -> Row:
    answers = writer.several(writer.phrase, 3)
    return {
        "context": writer.shared(index, 3, "sentence"),
        "question": f"What will the {writer.word()} want to do next?",
        **{f"answer{letter}": answer for letter, answer in zip("ABC", answers, strict=True)},
        "label": writer.pick("123"),
    }


FIXTURES["social_iqa"] = Fixture(
    columns(**dict.fromkeys(["context", "question", "answerA", "answerB", "answerC", "label"], "string")),
    _social_iqa,
    relabelled("label", "123"),
)


def _multirc(writer: Writer, index: int) -> Row:
    return {
        "paragraph": writer.shared(index, 8, "text"),
        "question": f"What {writer.shared(index, 4, 'clause')}?",
        "answer": writer.phrase(),
        "idx": {"paragraph": index // 8, "question": index // 4, "answer": index},
        "label": int(writer.rng.random() < 0.44),
    }


FIXTURES["multirc"] = Fixture(
    columns(
        paragraph="string",
        question="string",
        answer="string",
        idx=pa.struct([(name, pa.int32()) for name in ("paragraph", "question", "answer")]),
        label="int64",
    ),
    _multirc,
    relabelled("label", (0, 1)),
)


def _mc_taco(writer: Writer, index: int) -> Row:
    return {
        "sentence": writer.shared(index, 6, "sentence"),
        "question": f"How long has {writer.shared(index, 3, 'clause')}?",
        "answer": f"{writer.pick(range(2, 60))} {writer.pick(['seconds', 'minutes', 'days', 'years'])}",
        "label": int(writer.rng.random() < 0.34),
        "category": writer.pick(range(5)),
    }


FIXTURES["mc_taco"] = Fixture(
    columns(sentence="string", question="string", answer="string", label="int64", category="int64"),
    _mc_taco,
    relabelled("label", (0, 1)),
)
