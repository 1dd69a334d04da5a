"""From the rows of a data set's files to distinct examples: files of the Hugging Face hub, or local ones."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from w2s.core.errors import UserError
from w2s.core.hub import snapshot
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data.questions import Example, Origin, Question, digest
from w2s.data.sources import Row, shuffled_rows
from w2s.data.tasks import Stream

Questions = Callable[[Row], Iterable[Question]]
MergeGroups = Callable[[Sequence[str]], Mapping[str, str]]

# Part of the random streams' names: another word here would draw other examples.
STREAM = {Origin.TEST: "True", Origin.TRAIN: "False", Origin.ANY: "None"}


def hub_examples(questions: Questions, merge_groups: MergeGroups | None = None) -> Callable[..., Stream]:
    """`examples` of a data set on the Hugging Face hub, given the function that turns one of its rows into questions.

    Where a row alone does not tell its group, `merge_groups` maps each of all groups to the one it is part of.
    """

    def examples(
        split: Split,
        corpus: Corpus | None,
        seed: int,
        param_path: str,
        *,
        repository: Word,
        revision: Word,
        train: Word | NonEmptyList[Word],
        test: Word | NonEmptyList[Word],
    ) -> Stream:
        """Train and test files are glob patterns; examples of the test files are only ever tested on."""
        files = HubFiles(repository, revision, {Origin.TEST: test, Origin.TRAIN: train})
        return read_hub(questions, files, seed, param_path, merge_groups)

    return examples


@dataclass(frozen=True)
class HubFiles:
    """Files of a hub data set: its repository, a revision, and one or several glob patterns for each origin."""

    repository: str
    revision: str
    patterns: Mapping[Origin, str | Sequence[str]]


def read_hub(
    questions: Questions, files: HubFiles, seed: int, param_path: str, merge_groups: MergeGroups | None = None
) -> Stream:
    """A task from files of the hub, which are downloaded or taken from the local cache."""
    patterns = {
        origin: [several] if isinstance(several, str) else list(several) for origin, several in files.patterns.items()
    }
    every = [pattern for several in patterns.values() for pattern in several]
    folder = snapshot("dataset", files.repository, files.revision, every, param_path)
    paths = {
        origin: sorted({path for pattern in several for path in folder.glob(pattern)})
        for origin, several in patterns.items()
    }
    names = {origin: [path.relative_to(folder).as_posix() for path in found] for origin, found in paths.items()}
    source = {
        "repository": files.repository,
        "commit": folder.name,
        "train": names.get(Origin.TRAIN) or names[Origin.ANY],
        "test": names.get(Origin.TEST) or names[Origin.ANY],
    }
    return Stream(source, read_files(questions, paths, seed, param_path, merge_groups))


def read_files(
    questions: Questions,
    paths: Mapping[Origin, Sequence[Path]],
    seed: int,
    param_path: str,
    merge_groups: MergeGroups | None = None,
) -> Iterator[Example]:
    """Distinct examples from the files of each origin, in the order of `paths`.

    Rows and answers are drawn by `seed`, with a random stream that is the same on every platform and version. Raises
    `UserError` for a row that is not as expected, and for an id of the data set's own that occurs twice.
    """
    examples: Iterable[Example] = _all_examples(questions, paths, seed, param_path)
    merged: Mapping[str, str] = {}
    if merge_groups:
        examples = list(examples)
        merged = merge_groups([example.group for example in examples])
    seen: set[str] = set()
    for example in examples:
        # sorted: a pair in either order is one example
        key = example.id or digest("\n".join(sorted(example.inputs.values())))
        if key not in seen:
            group = merged.get(example.group, example.group)
            yield replace(example, id=key, group=digest(" ".join(group.casefold().split())))
        elif example.id:
            raise UserError(f"{param_path}: the id '{key}' occurs twice")
        seen.add(key)


def _all_examples(
    questions: Questions, paths: Mapping[Origin, Sequence[Path]], seed: int, param_path: str
) -> Iterator[Example]:
    """The examples of every row, as their questions make them: some may be the same."""
    for origin, several in paths.items():
        rng = random.Random(f"tasks/{STREAM[origin]}/{seed}")
        for row in shuffled_rows(several, rng, param_path):
            try:
                examples = [example for question in questions(row) for example in question.examples(rng)]
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                fault = str(error) if isinstance(error, ValueError) else f"a row is not as expected ({error!r})"
                raise UserError(f"{param_path}: {'/'.join(several[0].parts[-3:])}: {fault}") from None
            yield from (replace(example, origin=origin) for example in examples)
