"""From the rows of a data set's files to distinct examples: files of the Hugging Face hub, or local ones."""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from w2s.core.errors import UserError
from w2s.core.hub import matching, snapshot
from w2s.core.params import Corpus, NonEmptyList, Split, Word
from w2s.data.questions import Example, Origin, Puzzle, Question, digest
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
    paths = {origin: matching(folder, several) for origin, several in patterns.items()}
    names = {origin: [path.relative_to(folder).as_posix() for path in found] for origin, found in paths.items()}
    source = {
        "repository": files.repository,
        "commit": folder.name,
        "train": names.get(Origin.TRAIN) or names[Origin.ANY],
        "test": names.get(Origin.TEST) or names[Origin.ANY],
    }
    return read_files(source, questions, paths, seed, param_path, merge_groups)


def read_files(
    source: Mapping[str, Any],
    questions: Questions,
    paths: Mapping[Origin, Sequence[Path]],
    seed: int,
    param_path: str,
    merge_groups: MergeGroups | None = None,
) -> Stream:
    """Distinct examples from the files of each origin, in the order of `paths`.

    Rows and answers are drawn by `seed`, with a random stream that is the same on every platform and version. What
    some rows say is true and others false is left out, and counted in the source. Raises `UserError` for a row that is
    not as expected, and for an id of the data set's own that occurs twice.
    """
    contradictory = _contradictory(questions, paths, param_path)
    examples = _distinct_examples(questions, paths, seed, param_path, merge_groups, contradictory)
    return Stream({**source, "contradictory": len(contradictory)}, examples)


def _distinct_examples(
    questions: Questions,
    paths: Mapping[Origin, Sequence[Path]],
    seed: int,
    param_path: str,
    merge_groups: MergeGroups | None,
    contradictory: Set[str],
) -> Iterator[Example]:
    examples: Iterable[Example] = _all_examples(questions, paths, seed, param_path)
    merged: Mapping[str, str] = {}
    if merge_groups:
        examples = list(examples)
        merged = merge_groups([example.group for example in examples])
    seen: set[str] = set()
    for example in examples:
        # sorted: a pair in either order is one example
        content = digest("\n".join(sorted(example.inputs.values())))
        if content in contradictory:
            continue
        key = example.id or content
        if key not in seen:
            group = merged.get(example.group, example.group)
            yield replace(example, id=key, group=digest(" ".join(group.casefold().split())))
        elif example.id:
            raise UserError(f"{param_path}: the id '{key}' occurs twice")
        seen.add(key)


def _contradictory(questions: Questions, paths: Mapping[Origin, Sequence[Path]], param_path: str) -> set[str]:
    """The digests of what some rows say is true and others false; all files are read for it once, but for puzzles."""
    claims: dict[str, bool] = {}
    found: set[str] = set()
    for several in paths.values():
        for row in shuffled_rows(several, random.Random(0), param_path):
            with _faults_named(row, several, param_path):
                asked = list(questions(row))
                if any(isinstance(question, Puzzle) for question in asked):
                    return set()
                said = [claim for question in asked for claim in question.claims()]
            found.update(key for key, true in said if claims.setdefault(key, true) != true)
    return found


def _all_examples(
    questions: Questions, paths: Mapping[Origin, Sequence[Path]], seed: int, param_path: str
) -> Iterator[Example]:
    """The examples of every row, as their questions make them: some may be the same."""
    for origin, several in paths.items():
        rng = random.Random(f"tasks/{STREAM[origin]}/{seed}")
        for row in shuffled_rows(several, rng, param_path):
            with _faults_named(row, several, param_path):
                examples = [example for question in questions(row) for example in question.examples(rng)]
            yield from (replace(example, origin=origin) for example in examples)


@contextmanager
def _faults_named(row: Row, several: Sequence[Path], param_path: str) -> Iterator[None]:
    """What goes wrong with a row becomes a `UserError` that names the file and the row, by its first column."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        fault = str(error) if isinstance(error, ValueError) else f"a row is not as expected ({error!r})"
        column, value = next(iter(row.items()))
        name = f"the row whose {column} is {str(value)[:80]!r}"
        raise UserError(f"{param_path}: {name} in {'/'.join(several[0].parts[-3:])}: {fault}") from None
