"""ETHICS, justice: is a reason for an unusual act or for deserving something reasonable? (Hendrycks et al., 2021).

Rows were written in sets of up to four that differ in one clause: the same habit or claim with several reasons ("I
usually …, but I didn't because …"), or the same reason with several claims ("I deserve … because I keep her house
clean"). A set is a group. The labelled test file of ordinary difficulty is the test, not the adversarially filtered
`test_hard.csv`.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from w2s.data.questions import Statement, decode_label
from w2s.data.reading import hub_examples
from w2s.data.sources import Row

SET = 4
JOINT = re.compile(r"\b(?:because|since)\b")


def questions(row: Row) -> Iterator[Statement]:
    """One scenario; 1 is reasonable."""
    scenario = row["scenario"].strip()
    yield Statement(
        f"{scenario}\nIs this reasonable?", decode_label(row, "label", {"1": True, "0": False}), group=scenario
    )


def sets(scenarios: Sequence[str]) -> dict[str, str]:
    """Each scenario's set, named by one of its scenarios.

    Scenarios that share what stands before or after their first "because" or "since" are one set, unless more than a
    whole set share it: "I deserve to be paid by my customer" is a commonplace.
    """
    sharing: dict[tuple[int, str], list[str]] = defaultdict(list)
    for scenario in dict.fromkeys(scenarios):
        for place, clause in enumerate(JOINT.split(scenario.casefold(), maxsplit=1)):
            sharing[place, " ".join(re.findall(r"\w+", clause))].append(scenario)
    members = {scenario: [scenario] for scenario in scenarios}
    for several in sharing.values():
        if len(several) <= SET:
            joined = {id(members[scenario]): members[scenario] for scenario in several}
            whole = [scenario for part in joined.values() for scenario in part]
            members.update(dict.fromkeys(whole, whole))
    return {scenario: min(whole) for scenario, whole in members.items()}


examples = hub_examples(questions, merge_groups=sets)
