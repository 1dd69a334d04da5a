"""The report, through its public doors: made-up tables go in, figures and one page come out."""

import base64
import csv
import json
import math
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import yaml
from dvc_render import VegaRenderer
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.text import Text

from stages import plot
from w2s.core.checks import load
from w2s.core.params import Evaluate
from w2s.report import figures, report
from w2s.report.environment import environment
from w2s.results.tables import COLUMNS

ROOT = Path(__file__).parents[2]
EVALUATE = Evaluate(seed=0, resamples=1000, confidence=0.95, smallest_gap=0.05)
RECIPES = load(ROOT / "params.yaml").methods
SIZES = {"xs": 11_184, "s": 26_432, "m": 35_136, "l": 102_272}
ACCURACY = {"xs": 0.58, "s": 0.76, "m": 0.9, "l": 0.985}
RECOVERED = {"naive": 0.25, "confidence": 0.7}
PREFERENCES: dict[str, Any] = {
    "setting": "preference",
    "tasks": ("preferences",),
    "recovered": {"naive": 0.25, "generative": 0.6},
    "own": {"generative": 0.01},
}
CHESS: dict[str, Any] = {
    "setting": "generation",
    "tasks": ("endgames",),
    "weak": ("chess-xs", "chess-s"),
    "strong": ("chess-m", "chess-l"),
    "accuracy": {"chess-xs": 0.2, "chess-s": 0.35, "chess-m": 0.6, "chess-l": 0.85},
    "sizes": {"chess-xs": 20_000, "chess-s": 60_000, "chess-m": 190_000, "chess-l": 640_000},
    "recovered": {"naive": 0.3, "bootstrap": 0.5},
    "zero_shot": 0.02,
    "scratch": 0.1,
}
CLAIMS: dict[str, Any] = {
    "rule": "The rule.",
    "confidence": 0.95,
    "claims": [
        {
            **{"id": "a", "setting": "classification", "claim": "Students win.", "section": "4.2", "test": "By this."},
            **{"effect": 0.081, "low": 0.06, "high": 0.102, "comparisons": 4, "verdict": "holds", "why": ""},
        },
        {
            **{"id": "a", "setting": "preference", "claim": "Students win.", "section": "4.2", "test": "By this."},
            **{"effect": None, "low": None, "high": None, "comparisons": 0, "verdict": "not tested"},
            "why": "nothing to prefer",
        },
        {
            **{"id": "b", "setting": "", "claim": "Chess is odd.", "section": "", "test": "By that.", "comparisons": 0},
            **{"effect": None, "low": None, "high": None, "verdict": "not tested", "why": "needs two boards"},
        },
    ],
}
RISES = "Trained on ground truth, larger models are more accurate"
THREE: tuple[dict[str, Any], ...] = ({}, PREFERENCES, CHESS)


def make_tables(reports: Path, *blocks: dict[str, Any], **variation: Any) -> None:
    """Tables as `evaluate` writes them, of one block of cells for each setting or of a single one."""
    tables: dict[str, list[dict[str, Any]]] = {path: [] for path in COLUMNS}
    for block in blocks or [variation]:
        add_block(tables, **block)
    for path, rows in tables.items():
        file = reports / path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="") as out:
            writer = csv.DictWriter(out, COLUMNS[path], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (reports / "claims.json").write_text(json.dumps(CLAIMS))


def add_block(
    written: dict[str, list[dict[str, Any]]],
    *,
    setting: str = "classification",
    tasks: tuple[str, ...] = ("reviews",),
    weak: tuple[str, ...] = ("xs", "s"),
    strong: tuple[str, ...] = ("m", "l"),
    accuracy: dict[str, float] = ACCURACY,
    sizes: dict[str, float] = SIZES,
    recovered: dict[str, float] = RECOVERED,
    own: Mapping[str, float] = MappingProxyType({}),
    simulated: tuple[str, ...] = (),
    zero_shot: float = 0.97,
    scratch: float = 0.5,
    half: float = 0.02,
    points: int = 12,
) -> None:
    """One setting's rows, for models of given accuracy and methods that recover a given share of the gap.

    `own` are the methods with a ceiling of their own, and by how much it lies above the first method's. Every interval
    is the value ± `half` (accuracies); a gap under 5 points makes PGR undefined.
    """
    summary, results = written["summary.csv"], written["results.csv"]
    tables = {Path(path).stem: rows for path, rows in written.items()}
    first = next(iter(recovered))
    words = setting == "generation"

    def add(
        task: str, role: str, metric: str, value: float | None, spread: float, reason: str = "", **model: str
    ) -> None:
        low, high = ("", "") if value is None else (value - spread, value + spread)
        row = {"task": task, "role": role, "weak": "", "strong": "", "method": "", "metric": metric}
        summary.append(
            row | model | {"value": "" if value is None else value, "low": low, "high": high, "reason": reason}
        )

    def run(task: str, role: str, start: float, end: float, **model: str) -> None:
        key = {"task": task, "role": role, "weak": "", "strong": "", "method": ""} | model
        for i in range(points + 1):
            x = i / points
            value = start + (end - start) * (1 - math.exp(-5 * x)) - (0.02 * x if role == "student" else 0)
            agreed = 0.5 + 0.35 * (1 - math.exp(-4 * x)) * (1.1 - end / 4) if role == "student" else ""
            curve = {"step": 10 * i, "progress": x, "accuracy": value, "low": value - 0.02, "high": value + 0.02}
            tables["curves"].append(key | curve | {"agreement": agreed})
            step = {
                "step": 10 * i,
                "loss": 0.7 - 0.6 * (value - 0.5) * x + 0.03 * math.sin(9 * i),
                "learning_rate": 5e-4 * (1 - x),
            }
            tables["training"].append(key | step | {"accuracy": value, "agreement": agreed})
        for b in range(0 if words else 10):
            p = 0.05 + 0.1 * b
            true = (
                0.5
                + 0.5
                * math.tanh((3 if role == "ceiling" else 1.6 if role == "supervisor" else 2.2) * (2 * p - 1))
                * end
            )
            row = {"bin": b, "confidence": p, "frequency": true, "count": int(40 + 400 * abs(p - 0.5))}
            tables["calibration"].append(key | row)

    for task in tasks:
        for w in weak:
            add(task, "supervisor", "accuracy", accuracy[w], half, weak=w)
            run(task, "supervisor", 0.5, accuracy[w], weak=w)
        for s in strong:
            for method in (first, *own):
                value = accuracy[s] + own.get(method, 0)
                add(task, "ceiling", "accuracy", value, half, strong=s, method=method)
                run(task, "ceiling", 0.5, value, strong=s, method=method)
            add(task, "zero_shot", "accuracy", zero_shot, half, strong=s)
            add(task, "scratch", "accuracy", scratch, half, strong=s)
        for method, share in recovered.items():
            ceiling = {s: accuracy[s] + own.get(method, 0) for s in strong}
            truth = sorted({*weak, *strong}, key=sizes.__getitem__)
            lines = [("ground truth", [(m, (accuracy | ceiling)[m]) for m in truth])]
            for w in weak:
                students = [
                    (s, accuracy[w] + share * (ceiling[s] - accuracy[w])) for s in sorted(strong, key=sizes.__getitem__)
                ]
                lines.append((f"supervisor {w}", [(w, accuracy[w]), *students]))
            for series, line in lines:
                for model, value in line:
                    point = {
                        "task": task,
                        "series": series,
                        "method": method,
                        "model": model,
                        "parameters": sizes[model],
                    }
                    tables["scaling"].append(point | {"accuracy": value, "low": value - half, "high": value + half})
            for w in weak:
                for s in strong:
                    pair = {"weak": w, "strong": s, "method": method}
                    gap = ceiling[s] - accuracy[w]
                    student = accuracy[w] + share * gap
                    value, reason = (share, "") if gap >= 0.05 else (None, f"gap of {100 * gap:.1f} points is under 5")
                    spread = 1.5 * half / gap if value is not None else 0.0
                    add(task, "student", "accuracy", student, half, **pair)
                    add(task, "student", "pgr", value, spread, reason, **pair)
                    add(task, "student", "over_supervisor", student - accuracy[w], half, **pair)
                    stopped = {"best": student + 0.02, "end": student, "difference": 0.02, "low": 0.0, "high": 0.04}
                    tables["overfitting"].append({"task": task, **pair, **stopped})
                    if method != "naive" and "naive" in recovered:
                        gain = gap * (share - recovered["naive"])
                        add(task, "student", "over_naive", gain, half, **pair)
                        found = {"gap": gap, "difference": gain, "low": gain - half, "high": gain + half}
                        found |= {"p": 0.001, "p_corrected": 0.004, "significant": int(gain > half)}
                        tables["comparison"].append({"task": task, **pair, **found})
                    interval = (
                        {"low": "", "high": ""} if value is None else {"low": value - spread, "high": value + spread}
                    )
                    defined = {"pgr": "" if value is None else value, **interval, "reason": reason}
                    tables["pgr"].append({"task": task, **pair, **defined})
                    right, wrong = 0.97 - 0.1 * share, 0.75 - 0.6 * share
                    for subset, agreed in (
                        ("all", (right + wrong) / 2),
                        ("supervisor right", right),
                        ("supervisor wrong", wrong),
                    ):
                        row = {"subset": subset, "agreement": agreed, "low": agreed - half, "high": agreed + half}
                        tables["agreement"].append({"task": task, **pair, **row})
                    run(task, "student", 0.5, student, **pair)
                    for seed in (0, 1, 2):
                        scores = {"supervisor_accuracy": accuracy[w], "student_accuracy": student}
                        scores |= {"student_low": student - half, "student_high": student + half}
                        scores |= {"ceiling": method if method in own else first, "ceiling_accuracy": ceiling[s]}
                        scores |= {"agreement": 0.8, "agreement_right": right, "agreement_wrong": wrong}
                        scores |= {} if words else {"auroc": student, "ece": 0.05, "margin": 1.5}
                        undefined = {"pgr": defined["pgr"], "pgr_low": defined["low"], "pgr_high": defined["high"]}
                        results.append(
                            {"task": task, **pair, "seed": seed} | scores | undefined | {"pgr_reason": reason}
                        )
        for s in () if words else strong:
            shown = [("base", {}, 0.7), ("ceiling", {"method": first}, 0.95)]
            shown += [("student", {"weak": w, "method": m}, 0.7 + 0.2 * r) for w in weak for m, r in recovered.items()]
            for role, model, probe in shown:
                row = {"task": task, "role": role, "weak": "", "strong": s, "method": ""} | model
                tables["saliency"].append(row | {"probe": probe, "low": probe - half, "high": probe + half})
        for w, s, method in product(simulated, strong, [first] if simulated else []):  # as the naive student of `first`
            pair = {"weak": w, "strong": s, "method": method}
            add(task, "supervisor", "accuracy", accuracy[weak[0]], half, weak=w)
            add(task, "student", "accuracy", accuracy[s], half, **pair)
            for subset in ("supervisor right", "supervisor wrong"):
                tables["agreement"].append(
                    {"task": task, **pair, "subset": subset, "agreement": 0.4, "low": 0.3, "high": 0.5}
                )
            tables["pgr"].append({"task": task, **pair, "pgr": 0.9, "low": 0.8, "high": 1.0, "reason": ""})
            scores = {"supervisor_accuracy": accuracy[weak[0]], "student_accuracy": accuracy[s]}
            scores |= {"student_low": 0.5, "student_high": 1, "ceiling": first, "ceiling_accuracy": accuracy[s]}
            scores |= {"agreement": 0.8, "agreement_right": 0.9, "agreement_wrong": 0.4, "auroc": 0.8, "ece": 0.1}
            results.append({"task": task, **pair, "seed": 0, "pgr": 0.9, "pgr_low": 0.8, "pgr_high": 1.0} | scores)
        w, s = max(product(weak, strong), key=lambda pair: accuracy[pair[1]] - accuracy[pair[0]])
        here = [row for row in summary if row["task"] == task and row["weak"] in ("", w) and row["strong"] in ("", s)]
        pgr_of = {row["method"]: row["value"] for row in here if row["metric"] == "pgr"}
        for row in here:
            if row["metric"] == "accuracy" and row["role"] in ("supervisor", "student", "ceiling"):
                bar = {key: row[key] for key in ("task", "role", "weak", "strong", "method", "low", "high")}
                bar |= {"setting": setting, "accuracy": row["value"]}
                tables["settings"].append(bar | ({"pgr": pgr_of[row["method"]]} if row["role"] == "student" else {}))


def tables(folder: Path, *blocks: dict[str, Any], **variation: Any) -> figures.Tables:
    make_tables(folder, *blocks, **variation)
    return figures.read_tables(folder)


def page(folder: Path, *blocks: dict[str, Any], **variation: Any) -> str:
    found = tables(folder, *blocks, **variation)
    images = {name: b"\x89PNG" for name in figures.FIGURES if found[name]}
    return report.page(found, CLAIMS, images, EVALUATE, RECIPES, "grid: {tasks: [<reviews>]}\n", {"commit": "abc"})


def text(html: str) -> str:
    """A page as it is read."""
    return " ".join(re.sub(r"<style>.*</style>|<[^>]*>", " ", html, flags=re.DOTALL).replace("\u202f", " ").split())


def answer(folder: Path, setting: str = "classification", *blocks: dict[str, Any], **variation: Any) -> str:
    results = report.Results(tables(folder, *blocks, **variation))
    return report.answer(results, setting, 0.95).replace("\u202f", " ")


def checks(folder: Path, *blocks: dict[str, Any], **variation: Any) -> dict[str, report.Check]:
    found = report.checks(report.Results(tables(folder, *blocks, **variation)))
    return {check.claim.replace("\u202f", " "): check for check in found}


def statuses(folder: Path, **variation: Any) -> dict[str, str]:
    return {claim: check.status for claim, check in checks(folder, **variation).items()}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as `evaluate` leaves it."""
    make_tables(tmp_path / "reports")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# -- The answer and the ladder --


def test_students_that_beat_their_supervisors(tmp_path: Path) -> None:
    assert answer(tmp_path) == (
        "Yes: strong students trained by the naive method clearly beat their weak supervisors in all 4 pairs of "
        "models; at the widest gap, xs → l (supervisor 58.0 %, ceiling 98.5 % correct), the naive method recovers "
        "25 % of it (95 % interval 18 to 32 %) and the confidence method 70 % (63 to 77 %)."
    )


def test_students_that_do_not(tmp_path: Path) -> None:
    said = answer(tmp_path, recovered={"naive": -0.3, "confidence": -0.2})
    assert said.startswith(
        "No: by no method does a strong student clearly beat its weak supervisor, in all 4 pairs of models;"
    )
    assert "recovers −30 % of it (95 % interval −37 to −23 %)" in said


def test_a_difference_within_its_interval_is_not_a_win(tmp_path: Path) -> None:
    said = answer(tmp_path, recovered={"naive": 0.1, "confidence": 0.7})
    assert said.startswith(
        "Partly: strong students trained by the naive method clearly beat their weak supervisors in 3 of 4 pairs "
        "(with the confidence method, in all 4 pairs of models)"
    )


def test_pgr_undefined_everywhere(tmp_path: Path) -> None:
    said = answer(tmp_path, accuracy={"xs": 0.9, "s": 0.91, "m": 0.92, "l": 0.93}, half=0.03)
    assert said.startswith("No: ")
    assert said.endswith(
        "how much of the gap was recovered is undefined, even for the widest, xs → l (gap of 3.0 points is under 5)."
    )
    assert " recovers " not in said


def test_one_pair_one_method(tmp_path: Path) -> None:
    said = answer(tmp_path, weak=("xs",), strong=("l",), recovered={"naive": 0.3})
    assert said.startswith("Yes: ")
    assert said.endswith("the naive method recovers 30 % of it (95 % interval 23 to 37 %).")


def test_a_student_no_larger_than_its_supervisor_is_no_test_of_the_claim(tmp_path: Path) -> None:
    assert "all 3 pairs" in answer(tmp_path, weak=("xs", "m"), strong=("m", "l"))


def test_a_sound_ladder(tmp_path: Path) -> None:
    assert set(statuses(tmp_path).values()) == {"holds"}


def test_a_ladder_that_is_not_is_said_to_be_not(tmp_path: Path) -> None:
    rises, scratch = RISES, "Without pretraining, the same models stay near chance (50 ± 5 %)"
    assert statuses(tmp_path, accuracy={"xs": 0.6, "s": 0.8, "m": 0.79, "l": 0.7})[rises] == "does not hold"
    assert statuses(tmp_path, half=0.3) == {rises: "undecided", scratch: "undecided"}
    assert statuses(tmp_path, scratch=0.6)[scratch] == "does not hold"


def test_every_setting_has_an_answer_of_its_own(tmp_path: Path) -> None:
    assert "the confidence method 70 %" in answer(tmp_path, "classification", *THREE)
    assert answer(tmp_path, "generation", *THREE) == (
        "Yes: strong students trained by the naive method clearly beat their weak supervisors in all 4 pairs of "
        "models; at the widest gap, chess-xs → chess-l (supervisor 20.0 %, ceiling 85.0 % correct), the naive method "
        "recovers 30 % of it (95 % interval 25 to 35 %) and the bootstrap method 50 % (45 to 55 %)."
    )
    assert answer(tmp_path, "preference", *THREE).endswith(
        "the generative method 60 % (53 to 67 %) of the gap to its own ceiling."
    )


def test_ladders_are_checked_in_every_setting(tmp_path: Path) -> None:
    found = checks(tmp_path, *THREE)
    where = {claim: {place.split(" · ")[0] for place, *_ in check.evidence} for claim, check in found.items()}
    every = {"reviews", "preferences", "endgames"}
    assert where[RISES] == every
    assert where["Without pretraining, the same models stay near chance (50 ± 5 %)"] == {"reviews", "preferences"}
    assert where["Without pretraining, the same models stay under half of their ceiling"] == {"endgames"}
    assert all(check.status == "holds" for check in found.values())


@pytest.mark.parametrize(("scratch", "status"), [(0.2, "holds"), (0.3, "undecided"), (0.5, "does not hold")])
def test_far_below_a_ceiling_is_under_half_of_it_by_intervals(tmp_path: Path, scratch: float, status: str) -> None:
    chess = CHESS | {"strong": ("chess-m",), "scratch": scratch}  # ceiling 60 ± 2 %, scratch ± 2 %
    assert (
        checks(tmp_path, chess)["Without pretraining, the same models stay under half of their ceiling"].status
        == status
    )


# -- The page --


def test_the_page_loads_nothing_and_carries_every_figure(tmp_path: Path) -> None:
    html = page(tmp_path)
    assert not re.findall(r"<script|<link|<iframe|@import|url\(", html)
    sources = re.findall(r'\bsrc="([^"]*)"', html)
    assert len(sources) == len(figures.FIGURES) - 1  # one setting: nothing to put side by side
    for source in sources:
        assert base64.b64decode(source.removeprefix("data:image/png;base64,")).startswith(b"\x89PNG")
    assert all(target.startswith("#") for target in re.findall(r'\bhref="([^"]*)"', html))
    assert "[&lt;reviews&gt;]" in html


def test_undefined_pgr_is_flagged_with_its_reason(tmp_path: Path) -> None:
    flag = "n/a: gap of 3.0 points is under 5"
    close = {"xs": 0.6, "s": 0.87, "m": 0.9, "l": 0.985}
    assert page(tmp_path, accuracy=close).count(flag) == 2 + 2 * 3  # one a method, one a cell
    found = figures.pgr(figures.read_tables(tmp_path)).findobj(Text)
    assert [said.get_text() for said in found].count(flag) == 1  # the same for both methods


def test_pretraining_leakage_is_noted_where_it_shows(tmp_path: Path) -> None:
    assert "Pretraining leakage" in page(tmp_path, zero_shot=0.97)
    assert "Pretraining leakage" not in page(tmp_path, zero_shot=0.6)


def test_three_settings_on_one_page(tmp_path: Path) -> None:
    html = page(tmp_path, *THREE)
    assert html.count("<img ") == len(figures.FIGURES)
    assert html.index("one panel a setting") < html.index("Test accuracy by model size")
    read = text(html)
    assert "reviews (classification): a text is answered by P(true)" in read
    assert "preferences (preference): a reward model scores two texts" in read
    assert "endgames (generation): a prompt is answered in words" in read
    assert "Of reviews, preferences, whose answers are probabilities: weak labels are soft" in read
    assert "A method with a ceiling of its own is held against that one." in read
    for method, section in (("naive", "4.2"), ("confidence", "4.3.2"), ("bootstrap", "4.3.1"), ("generative", "5.2.2")):
        assert f"section {section}" in read.split(f"The {method} method")[1].split(" The ")[0]
    assert "verdict word" in read
    assert "verdict word" not in page(tmp_path, PREFERENCES | {"tasks": ("other",)})


def test_of_answers_in_words_nothing_is_said_that_needs_probabilities(tmp_path: Path) -> None:
    read = text(page(tmp_path, CHESS))
    for word in ("P(true)", "alibration", "probabilit", "AUROC", "ECE", "chance (50", "soft", "verdict word"):
        assert word not in read, word
    assert set(figures.draw(tables(tmp_path, CHESS))) == figures.FIGURES.keys() - {"calibration", "saliency"}


def test_claims_stand_on_the_page_with_their_verdicts(tmp_path: Path) -> None:
    read = text(page(tmp_path)).split("Which of the paper’s claims hold here?")[1].split("How much of the gap")[0]
    assert "Students win. Paper, section 4.2. ✓ holds classification +8.1 points [+6.0, +10.2] , mean of 4" in read
    assert "– not tested preference nothing to prefer By this." in read
    assert "1 that this grid does not test Chess is odd. – not tested all together needs two boards By that." in read


def test_simulated_supervisors_show_their_agreement_and_change_nothing_by_size(tmp_path: Path) -> None:
    without = answer(tmp_path)
    simulated = {"simulated": ("random-errors", "hard-errors")}
    assert answer(tmp_path, **simulated) == without
    found = tables(tmp_path, **simulated)
    assert "Simulated supervisors (random-errors, hard-errors) are no models" in text(page(tmp_path, **simulated))
    panels = [axes.get_title("left") for axes in drawn("agreement", found).axes]
    assert panels == ["students of xs", "students of s", "random-errors", "hard-errors"]
    for name in figures.FIGURES.keys() - {"agreement"}:
        said = [each.get_text() for each in drawn(name, found).findobj(Text)]
        assert not any("errors" in each for each in said), name


# -- The figures --


def test_the_stage_draws_everything_with_the_same_bytes_twice_and_touches_nothing_else(project: Path) -> None:
    mine = project / "reports" / "figures" / "mine.txt"
    mine.parent.mkdir()
    mine.write_text("keep")
    plot.main()
    written = {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()}
    assert {file.name for file in mine.parent.iterdir()} == {"mine.txt", *(f"{name}.png" for name in figures.FIGURES)}
    plot.main()
    assert {file: file.read_bytes() for file in (project / "reports").rglob("*") if file.is_file()} == written


def test_a_large_grid_is_drawn(tmp_path: Path) -> None:
    sizes = {"a": 1e4, "b": 3e6, "pythia-160m": 1.6e8, "d": 1.5e9, "e": 1e11}
    found = tables(
        tmp_path,
        tasks=("reviews", "chess", "sciq"),
        weak=tuple(sizes)[:3],
        strong=tuple(sizes)[1:],
        sizes=sizes,
        accuracy={"a": 0.55, "b": 0.6, "pythia-160m": 0.7, "d": 0.8, "e": 0.9},
        recovered={name: 0.1 * index for index, name in enumerate(("naive", "b", "c", "d", "e", "f"))},
        points=3,
    )
    assert all(image.startswith(b"\x89PNG") for image in figures.draw(found).values())


def drawn(name: str, found: figures.Tables) -> Figure:
    with rc_context(figures.STYLE):
        return figures.FIGURES[name](found)


def heights(figure: Figure) -> dict[str, list[float]]:
    """The bars of each panel by its title."""
    return {axes.get_title("left"): [bar.get_height() for bar in axes.patches] for axes in figure.axes}


def test_settings_shows_supervisor_naive_best_and_ceiling(tmp_path: Path) -> None:
    better = {"recovered": {"naive": 0.25, "confidence": 0.5, "late": 0.75}}
    figure = drawn("settings", tables(tmp_path, better, PREFERENCES, CHESS))
    bars = heights(figure)
    assert list(bars) == ["classification · reviews", "preference · preferences", "generation · endgames"]
    low, high = ACCURACY["xs"], ACCURACY["l"]
    gap = high - low
    assert bars["classification · reviews"] == pytest.approx([low, low + gap / 4, low + 0.75 * gap, high])
    assert bars["preference · preferences"] == pytest.approx([low, low + gap / 4, low + 0.6 * (gap + 0.01), high])
    names = [[label.get_text() for label in axes.get_xticklabels()] for axes in figure.axes]
    assert [name[2] for name in names] == ["late", "generative", "bootstrap"]
    said = [found.get_text() for found in figure.findobj(Text)]
    assert {"PGR\n25%", "PGR\n75%", "PGR\n60%", "PGR\n30%", "PGR\n50%"} <= {*said}
    assert any("named after looking" in each for each in said)
    dashed = [line.get_ydata()[0] for line in figure.axes[1].lines if line.get_linestyle() == "--"]
    assert high + 0.01 in [pytest.approx(y) for y in dashed]
    chance = [0.5 in [*np.ravel([line.get_ydata() for line in axes.lines])] for axes in figure.axes]
    assert chance == [True, True, False]


def test_without_another_method_settings_names_none(tmp_path: Path) -> None:
    figure = drawn("settings", tables(tmp_path, recovered={"naive": 0.25}))
    assert [len(bars) for bars in heights(figure).values()] == [3]
    assert not any("named after looking" in found.get_text() for found in figure.findobj(Text))


def test_of_many_tasks_settings_shows_medians(tmp_path: Path) -> None:
    accuracies = [ACCURACY | {"xs": 0.5 + 0.05 * k} for k in range(5)]
    many = [{"tasks": (f"task{k}",), "accuracy": accuracy} for k, accuracy in enumerate(accuracies)]
    assert len(heights(drawn("settings", tables(tmp_path, *many[:4], CHESS)))) == 5  # one by one
    figure = drawn("settings", tables(tmp_path, *many, CHESS))
    bars = heights(figure)
    assert list(bars) == ["classification · 5 tasks", "generation · endgames"]
    assert bars["classification · 5 tasks"][0] == pytest.approx(0.6)  # of 50, 55, 60, 65 and 70 %
    ends = [line.get_ydata()[-1] for line in figure.axes[0].lines[:2]]
    assert ends == pytest.approx([0.55, 0.65])


def test_a_panel_a_method_draws_its_own_ceiling(tmp_path: Path) -> None:
    panels = {axes.get_title("left"): axes for axes in drawn("scaling", tables(tmp_path, *THREE)).axes}
    assert list(panels) == [
        *("reviews · naive", "reviews · confidence", "preferences · naive", "preferences · generative"),
        *("endgames · naive", "endgames · bootstrap"),
    ]
    tops = {name: axes.lines[0].get_ydata()[-1] for name, axes in panels.items()}
    assert tops["preferences · generative"] == pytest.approx(tops["preferences · naive"] + 0.01)


def test_a_method_is_filled_where_it_is_significant(tmp_path: Path) -> None:
    found = tables(tmp_path, recovered={"naive": 0.25, "confidence": 0.32})  # clear at gaps over 2 / 0.07 points
    (axes,) = drawn("comparison", found).axes
    assert axes.get_yticklabels()[0].get_text() == "xs → m\ngap 32.0"
    marks = [line for line in axes.lines if line.get_marker() == "s"]
    assert [mark.get_xdata()[0] for mark in marks] == pytest.approx([0.07 * gap for gap in (0.32, 0.405, 0.14, 0.225)])
    assert [mark.get_markerfacecolor() for mark in marks] == ["#882255", "#882255", "white", "white"]


def test_a_difference_far_off_is_an_arrow_with_its_value(tmp_path: Path) -> None:
    """It would squeeze all others; a zero that is far off stays on the axis, since it is what differences are from."""
    found = tables(tmp_path, recovered={"naive": 0.3, "few-shot": -2.9, "near": 0.31, "close": 0.29, "even": 0.3})
    (axes,) = drawn("comparison", found).axes
    left, right = axes.get_xlim()
    assert left < -0.03 < 0 < right < 0.1
    says = [text.get_text() for text in axes.texts if text.get_text()[:1] in "+−"]
    assert says == ["−102.4", "−129.6", "−44.8", "−72.0"]  # 3.2 gaps of 32, 40.5, 14 and 22.5 points
    assert [line.get_marker() for line in axes.lines].count("<") == 4
    for row in (found := tables(tmp_path))["overfitting"]:
        row |= {"difference": 0.2, "low": 0.19, "high": 0.21}
    (axes,) = drawn("overfitting", found).axes
    assert axes.get_xlim()[0] < 0


def test_features_stand_beside_their_base_model_and_ceiling(tmp_path: Path) -> None:
    axes = drawn("saliency", tables(tmp_path, weak=("xs",), strong=("m", "l"))).axes[0]
    ends = [
        line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == "-" and line.get_color() == figures.INK
    ]
    assert ends == [0.95, 0.95]
    points = [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
    assert points == pytest.approx([0.75, 0.84, 0.75, 0.84])


def test_one_prompted_answer_is_a_point_in_the_curves_and_no_panel_of_training(tmp_path: Path) -> None:
    make_tables(tmp_path, recovered={"naive": 0.25, "few-shot": 0.5}, weak=("xs",), strong=("l",))
    for table in ("curves", "training"):
        file = tmp_path / "plots" / f"{table}.csv"
        head, *lines = file.read_text().splitlines()
        kept = [line for line in lines if ",few-shot," not in line]
        if table == "curves":
            kept.append("reviews,student,xs,l,few-shot,0,0,0.7,0.68,0.72,0.6")
        file.write_text("\n".join([head, *kept, ""]))
    found = figures.read_tables(tmp_path)
    (axes,) = drawn("curves", found).axes
    assert [(0.0, 0.7)] in [[*zip(line.get_xdata(), line.get_ydata(), strict=True)] for line in axes.lines]
    assert [axes.get_title("left") for axes in drawn("training", found).axes] == ["truth", "naive"] * 2


def test_any_number_of_methods_look_different_and_fit_the_legend(tmp_path: Path) -> None:
    names = [f"method-{index}" for index in range(14)]
    found = tables(tmp_path, recovered={"naive": 0.2} | dict.fromkeys(names, 0.5))
    grid = figures.Grid.of(found)
    assert len({(*grid.method(method).values(),) for method in grid.methods}) == 15
    views = grid.tasks["reviews"].views
    assert [*views] == ["1 of 3", "2 of 3", "3 of 3"]
    assert {name for view in views.values() for name in view} == {*grid.methods}
    for view in views.values():
        assert view[0] == "naive"
        assert len({grid.method(method)["color"] for method in view}) == len(view)
    panels = [axes.get_title("left") for axes in drawn("curves", found).axes]
    assert panels[:4] == ["xs → m · 1 of 3", "xs → m · 2 of 3", "xs → m · 3 of 3", "xs → l · 1 of 3"]
    figure = drawn("comparison", found)
    (legend,) = figure.legends
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_a_name_looks_the_same_everywhere(tmp_path: Path) -> None:
    grid = figures.Grid.of(tables(tmp_path, *THREE))
    assert (grid.weak, grid.methods) == (
        ["xs", "s", "chess-xs", "chess-s"],
        ["naive", "confidence", "generative", "bootstrap"],
    )
    assert (
        len({grid.supervisor(weak) for weak in grid.weak}) == len({grid.method(m)["color"] for m in grid.methods}) == 4
    )


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        (11_184, "11k"),
        (102_272, "102k"),
        (999_999, "1M"),
        (1.5e9, "1.5B"),
        (1e11, "100B"),
        (1e4, "10k"),
        (124e6, "124M"),
    ],
)
def test_sizes_read_as_people_write_them(parameters: float, says: str) -> None:
    assert figures.human(parameters) == says


def test_dvc_plots_take_the_same_tables(tmp_path: Path) -> None:
    make_tables(tmp_path / "reports", *THREE)
    for plot_of in yaml.safe_load((ROOT / "dvc.yaml").read_text().replace("${grid.reports}", "reports"))["plots"]:
        for name, look in plot_of.items():
            ((file, y),) = look["y"].items()
            with (tmp_path / file).open(newline="") as lines:
                points = [row | {"rev": "workspace"} for row in csv.DictReader(lines)]
            renderer = VegaRenderer(points, name, **look | {"y": y}, template_dir=str(ROOT / ".dvc" / "plots"))
            spec = json.dumps(renderer.get_filled_template())
            assert "<DVC_METRIC" not in spec, name
            asked = set(re.findall(r'"field": "([^"]+)"', spec)) - set(re.findall(r'"as": "([^"]+)"', spec))
            assert asked <= points[0].keys(), name


# -- Where it ran --


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert environment()["commit"] == "unknown"

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    def commit(name: str) -> str:
        (tmp_path / name).write_text(name)
        git("add", ".")
        git("commit", "-m", name)
        return git("rev-parse", "HEAD")

    git("init")
    code = commit("params.yaml")
    commit("report.html")
    assert environment()["commit"] == code
    (tmp_path / "params.yaml").write_text("changed")
    assert environment()["commit"] == f"{code} + uncommitted changes"


def test_the_environment_names_no_machine_and_no_place() -> None:
    found = environment()
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", found["torch"])
    assert platform.node() not in found.values()
    assert not any(str(Path.home()) in value or str(ROOT) in value for value in found.values())


def test_drawing_does_not_wait_for_torch() -> None:
    command = "import sys, stages.plot; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], cwd=ROOT, check=False).returncode == 0
