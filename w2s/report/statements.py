"""What the results say, in sentences.

A student beats its supervisor *clearly* when the interval of the difference of their accuracies lies above zero.
"""

from w2s.report.formats import ends, percent
from w2s.report.summary import Pair, Summary


def answer(summary: Summary, setting: str, confidence: float) -> str:
    """A setting's outcome in one sentence: did students beat supervisors, how much of the widest gap was recovered."""
    pairs = [pair for pair in summary.pairs if summary.task(pair).setting == setting]
    pairs.sort(key=lambda pair: -pair.gap)
    if not pairs:
        return "Nothing can be said: no student in this grid is larger than its supervisor."
    return f"{_who_wins(summary, pairs)}; {_recovered(summary, pairs, confidence)}."


def _who_wins(summary: Summary, pairs: list[Pair]) -> str:
    part = summary.task(pairs[0])
    wins = {
        method: sum(summary.student(pair, method, "over_supervisor").above(0) == "holds" for pair in pairs)
        for method in part.methods
    }
    baseline = wins.pop(part.baseline)
    students = f"strong students trained by the {part.baseline} method"
    if baseline == len(pairs):
        return f"Yes: {students} clearly beat their weak supervisors in {_count(baseline, len(pairs))}"
    if not baseline and not any(wins.values()):
        verdicts = {summary.student(pair, part.baseline, "over_supervisor").above(0) for pair in pairs}
        word = "No" if verdicts == {"does not hold"} else "Undecided"
        every = _count(len(pairs), len(pairs))
        return f"{word}: by no method does a strong student clearly beat its weak supervisor, in {every}"
    sentence = f"Partly: {students} clearly beat their weak supervisors in {_count(baseline, len(pairs))}"
    best = max(wins, key=lambda method: wins[method], default="")
    return sentence + (f" (with the {best} method, in {_count(wins[best], len(pairs))})" if best else "")


def _recovered(summary: Summary, pairs: list[Pair], confidence: float) -> str:
    """PGR of the baseline and of the best other method, at the widest gap where it is defined."""
    part = summary.task(pairs[0])
    one_task = len({pair.task for pair in pairs}) == 1

    def name(pair: Pair) -> str:
        return f"{pair.weak} → {pair.strong}" if one_task else summary.name(pair)

    defined = [pair for pair in pairs if summary.student(pair, part.baseline, "pgr").value is not None]
    if not defined:
        reason = summary.student(pairs[0], part.baseline, "pgr").reason
        return f"how much of the gap was recovered is undefined, even for the widest, {name(pairs[0])} ({reason})"
    widest = defined[0]
    pgr = {method: summary.student(widest, method, "pgr") for method in part.methods}
    baseline = pgr.pop(part.baseline)
    accuracies = f"supervisor {percent(widest.supervisor.value)}, ceiling {percent(widest.ceiling.value)} correct"
    sentence = f"at the widest gap, {name(widest)} ({accuracies}), the {part.baseline} method recovers "
    sentence += f"{percent(baseline.value, 0)} of it ({percent(confidence, 0)} interval {ends(baseline)})"
    pgr = {method: estimate for method, estimate in pgr.items() if estimate.value is not None}
    if pgr:
        best = max(pgr, key=lambda method: pgr[method].value or 0.0)
        among = f", the best of {len(pgr)} others," if len(pgr) > 1 else ""
        sentence += f" and the {best} method{among} {percent(pgr[best].value, 0)} ({ends(pgr[best])})"
        sentence += " of the gap to its own ceiling" if best in part.other_ceilings else ""
    return sentence


def _count(count: int, total: int) -> str:
    if total == 1:
        return "the one pair of models" if count else "0 of 1 pairs"
    return f"all {total} pairs of models" if count == total else f"{count} of {total} pairs"
