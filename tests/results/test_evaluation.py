"""The tables of `evaluate`, on made-up predictions of a whole grid."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.grid import task_blocks
from w2s.core.params import Evaluate, Grid, Params, Simulated
from w2s.results import evaluation
from w2s.results.statistics import holm

SIZES = {"xs": 11, "s": 26, "m": 35, "l": 102, "chess-xs": 12, "chess-s": 30, "chess-l": 200}
SKILL = {"xs": 0.5, "s": 1.2, "m": 2.5, "l": 4.0, "chess-xs": 0.5, "chess-s": 1.2, "chess-l": 4.0}
EMPTY: dict[str, list[str]] = {"tasks": [], "weak": [], "strong": [], "methods": [], "ceilings": []}
REVIEWS = {
    "tasks": ["reviews"],
    "weak": ["xs", "s"],
    "strong": ["s", "l"],
    "methods": ["naive", "confidence"],
    "ceilings": ["naive"],
}
PREFERENCES = REVIEWS | {"tasks": ["preferences"], "methods": ["naive", "generative"]}
PREFERENCES |= {"ceilings": ["naive", "generative"]}
CHESS = {
    "tasks": ["endgames"],
    "weak": ["chess-xs", "chess-s"],
    "strong": ["chess-l"],
    "methods": ["naive", "bootstrap"],
    "ceilings": ["naive"],
}
NOT_SIMULATED = {"of": "xs", "tasks": [], "weak": [], "strong": [], "methods": []}
SIMULATED = {"of": "xs", "tasks": ["reviews"], "weak": ["random-errors"], "strong": ["l"], "methods": ["naive"]}
MOVES = np.array(["e4", "Nf3", "Qxd5", "O-O", "Kh1"], object)
Rows = list[dict[str, str]]


def parameters(
    resamples: int = 200,
    smallest_gap: float = 0.05,
    seeds: tuple[int, ...] = (0, 1, 2),
    preference: dict = EMPTY,
    generation: dict = EMPTY,
    simulated: dict = NOT_SIMULATED,
    **classification: list,
) -> Params:
    how = Evaluate(seed=0, resamples=resamples, confidence=0.95, smallest_gap=smallest_gap)
    grid = Grid(
        reports="reports",
        ladder=list(SIZES),
        seeds=list(seeds),
        classification=REVIEWS | classification,
        preference=preference,
        generation=generation,
        simulated=simulated,
    )
    return Params.model_construct(grid=grid, evaluate=how)


def three_settings() -> Params:
    return parameters(preference=PREFERENCES, generation=CHESS)


def make(root: Path, params: Params, examples: int = 300, snapshots: int = 3, shuffle: int = 0) -> None:
    """Write a grid's files: each prediction is a noisy view of the truth, in an order of its own."""
    order = np.random.default_rng(shuffle)

    def view(skill: float, *key: str | int, of: np.ndarray) -> np.ndarray:
        """P(true), rounded so that there are ties; in words, the more of the truth the more skill."""
        noise = np.random.default_rng([ord(c) for c in "/".join(map(str, key))]).normal(size=examples)
        if of.dtype == object:
            return np.where(noise < skill - 1, of, MOVES[(1000 * np.abs(noise)).astype(int) % len(MOVES)])
        return np.round(1 / (1 + np.exp(-(skill * (2 * of - 1) + noise))), 3)

    def labels(path: Path, answers: np.ndarray) -> None:
        write(path, ids[order.permutation(examples)], dict(zip(ids, answers, strict=True)))

    def run(folder: Path, model: str, answers: np.ndarray) -> None:
        steps = [10 * (t + 1) for t in range(snapshots)]
        rows = order.permutation(examples * snapshots)
        if answers.dtype == object:  # ever more of the final answers
            early = [np.where(np.arange(examples) < examples * step / steps[-1], answers, "e4") for step in steps]
        else:
            early = [0.5 + (answers - 0.5) * (t + 1) / snapshots for t in range(snapshots)]
        columns = {"step": np.repeat(steps, examples)[rows], "id": np.tile(ids, snapshots)[rows]}
        kind = files.ANSWERS if answers.dtype == object else files.LABELS
        columns[kind.names[-1]] = np.concatenate(early)[rows]
        files.write(folder / "predictions.parquet", pa.schema([files.STEP, *kind]), columns)
        files.write_json(folder / "run.json", {"model": model, "parameters": SIZES[model], "examples": 9, "steps": 30})
        live = folder / "live/plots/metrics"
        live.mkdir(parents=True)
        for name, value in {"loss": 0.7, "learning_rate": 1e-3, "accuracy": 0.6}.items():
            lines = [f"{step}\t{value + int(folder.name)}" for step in steps]
            (live / f"{name}.tsv").write_text("\n".join([f"step\t{name}", *lines, ""]))
        if "student" in folder.parts:
            (live / "agreement.tsv").write_text("step\tagreement\n30\t0.9\n")

    for task, block in task_blocks(params.grid).items():
        ids = np.array([f"{task}/{k:05}" for k in range(examples)])
        spoken = block is params.grid.generation
        truth = MOVES[np.arange(examples) % 3] if spoken else np.arange(examples) % 2.0
        labels(root / files.truth(task, "test"), truth)
        if not spoken:
            group = [f"{k // 2}" for k in range(examples)]
            inputs = {"id": ids, "text": ids, "group": group}
            files.write(root / files.inputs(task, "test"), files.TEXTS, inputs)
        weak_labels = {}
        for seed in params.grid.seeds:
            for weak in block.weak:
                weak_labels[weak] = view(SKILL[weak], "supervisor", weak, seed, of=truth)
                labels(root / "data/weak_labels" / task / weak / str(seed) / "test.parquet", weak_labels[weak])
                run(root / "models/supervisor" / task / weak / str(seed), weak, weak_labels[weak])
            made_up = params.grid.simulated if task in params.grid.simulated.tasks else Simulated(**NOT_SIMULATED)
            for weak in made_up.weak:
                weak_labels[weak] = np.round(view(1, weak, seed, of=truth))
                labels(root / "data/weak_labels" / task / weak / str(seed) / "test.parquet", weak_labels[weak])
            for strong in block.strong:
                control = root / "models/control" / task / strong
                labels(control / "zero_shot.parquet", view(0.2, "zero", strong, of=truth))
                run(control / "scratch" / str(seed), strong, view(0, "scratch", strong, seed, of=truth))
                for method in block.ceilings:
                    folder = root / "models/ceiling" / task / strong / method / str(seed)
                    skill = SKILL[strong] / (1 if method == "naive" else 2)
                    run(folder, strong, view(skill, "ceiling", strong, seed, of=truth))
                lessons = [*product(block.weak, block.methods)]
                lessons += product(made_up.weak, made_up.methods) if strong in made_up.strong else []
                for weak, method in lessons:
                    folder = root / "models/student" / task / weak / strong / method / str(seed)
                    run(folder, strong, view(1.5, weak, strong, method, seed, of=weak_labels[weak]))


def write(path: Path, ids: np.ndarray | list, answers: dict[str, float | str]) -> None:
    """Labels of these ids: P(true), or answers in words."""
    values = [answers[id] for id in ids]
    kind = files.ANSWERS if isinstance(values[0], str) else files.LABELS
    files.write(path, kind, {"id": ids, kind.names[-1]: values})


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tables(folder: Path) -> dict[str, Rows]:
    return {path: list(csv.DictReader((folder / path).open(newline=""))) for path in evaluation.COLUMNS}


def evaluated(params: Params, folder: str = "reports") -> dict[str, Rows]:
    evaluation.write(*evaluation.evaluate(params)[:2], Path(folder))
    return tables(Path(folder))


def final(path: str) -> np.ndarray:
    """Final hard answers in the order of ids, read by another way than the code under test."""
    frame = pq.read_table(path, partitioning=None).to_pandas()
    if "step" in frame:
        frame = frame[frame["step"] == frame["step"].max()]
    frame = frame.sort_values("id")
    return frame["answer"].to_numpy() if "answer" in frame else frame["p"].to_numpy() > 0.5


def test_each_cell_is_what_its_own_files_say(work: Path) -> None:
    params = three_settings()
    make(work, params)
    rows = evaluated(params)["results.csv"]
    assert [sum(row["task"] == task for row in rows) for task in task_blocks(params.grid)] == [24, 24, 12]
    assert [(r["weak"], r["strong"], r["method"], r["seed"]) for r in rows[:4]] == [
        ("xs", "s", "naive", "0"),
        ("xs", "s", "naive", "1"),
        ("xs", "s", "naive", "2"),
        ("xs", "s", "confidence", "0"),
    ]
    held = {(r["task"], r["method"]): r["ceiling"] for r in rows}
    assert held.pop(("preferences", "generative")) == "generative"
    assert set(held.values()) == {"naive"}
    for row in rows:
        task = row["task"]
        truth = final(f"data/tasks/{task}/test/truth.parquet")
        weak = final(f"data/weak_labels/{task}/{row['weak']}/{row['seed']}/test.parquet")
        place = f"{row['weak']}/{row['strong']}/{row['method']}/{row['seed']}"
        student = final(f"models/student/{task}/{place}/predictions.parquet")
        place = f"{row['strong']}/{row['ceiling']}/{row['seed']}"
        ceiling = final(f"models/ceiling/{task}/{place}/predictions.parquet")
        right, same = weak == truth, weak == student
        a, b, c = ((answers == truth).mean() for answers in (weak, student, ceiling))
        expected = {"supervisor_accuracy": a, "student_accuracy": b, "ceiling_accuracy": c, "agreement": same.mean()}
        expected |= {"agreement_right": same[right].mean(), "agreement_wrong": same[~right].mean()}
        for column, value in expected.items():
            assert float(row[column]) == pytest.approx(value, abs=1e-12), column
        assert float(row["student_low"]) <= b <= float(row["student_high"])
        assert all((row[metric] == "") == (task == "endgames") for metric in ("auroc", "ece", "margin"))
        if row["pgr"]:
            assert float(row["pgr"]) == pytest.approx((b - a) / (c - a))
            assert not row["pgr_reason"]
        else:
            assert row["pgr_reason"].startswith("gap ")
            assert not row["pgr_low"]


def test_a_summary_is_the_mean_over_seeds_and_pgr_the_ratio_of_means(work: Path) -> None:
    params = parameters()
    make(work, params)
    found = evaluated(params)
    summary = {(r["role"], r["weak"], r["strong"], r["method"], r["metric"]): r for r in found["summary.csv"]}
    cells = [r for r in found["results.csv"] if (r["weak"], r["strong"], r["method"]) == ("xs", "l", "confidence")]
    naive = [r for r in found["results.csv"] if (r["weak"], r["strong"], r["method"]) == ("xs", "l", "naive")]

    def mean(column: str, rows: Rows = cells) -> float:
        return fmean(float(row[column]) for row in rows)

    def value(
        metric: str, role: str = "student", weak: str = "xs", strong: str = "l", method: str = "confidence"
    ) -> float:
        return float(summary[role, weak, strong, method, metric]["value"])

    for metric in ("auroc", "ece", "margin", "agreement", "agreement_right", "agreement_wrong"):
        assert value(metric) == pytest.approx(mean(metric)), metric
    weak, student, ceiling = (mean(f"{role}_accuracy") for role in ("supervisor", "student", "ceiling"))
    assert value("accuracy", "supervisor", strong="", method="") == pytest.approx(weak)
    assert value("accuracy", "ceiling", weak="", method="naive") == pytest.approx(ceiling)
    assert value("over_supervisor") == pytest.approx(student - weak)
    assert value("over_naive") == pytest.approx(student - mean("student_accuracy", naive))
    assert value("pgr") == pytest.approx((student - weak) / (ceiling - weak))
    assert ("student", "xs", "l", "naive", "over_naive") not in summary
    roles = {role: sum(key[0] == role and key[-1] == "accuracy" for key in summary) for role, *_ in summary}
    assert roles == {"supervisor": 2, "ceiling": 2, "zero_shot": 2, "scratch": 2, "student": 8}
    for row in found["summary.csv"]:
        assert (row["reason"] == "") == (row["value"] != "")
        if row["value"]:
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"]), row


def test_a_student_is_held_against_its_own_ceiling_if_its_method_has_one(work: Path) -> None:
    params = three_settings()
    make(work, params)
    found = evaluated(params)
    keys = ("task", "role", "weak", "strong", "method", "metric")
    value = {tuple(r[key] for key in keys): float(r["value"]) for r in found["summary.csv"] if r["value"]}
    naive, own = (value["preferences", "ceiling", "", "l", method, "accuracy"] for method in ("naive", "generative"))
    assert naive != own
    weak = value["preferences", "supervisor", "xs", "", "", "accuracy"]
    for method, ceiling in (("naive", naive), ("generative", own)):
        student = value["preferences", "student", "xs", "l", method, "accuracy"]
        recovered = value["preferences", "student", "xs", "l", method, "pgr"]
        assert recovered == pytest.approx((student - weak) / (ceiling - weak))
        line = [r for r in found["plots/scaling.csv"] if (r["task"], r["method"]) == ("preferences", method)]
        truth = {r["model"]: float(r["accuracy"]) for r in line if r["series"] == "ground truth"}
        assert truth["l"] == ceiling
        assert truth["xs"] == weak
    values = json.loads(Path("reports/metrics.json").read_text())
    assert values["preferences"]["ceiling"]["l"] == {"naive": round(naive, 4), "generative": round(own, 4)}
    assert set(values["endgames"]["ceiling"]["chess-l"]) == {"naive"}


def test_what_weighs_probabilities_is_not_measured_of_words(work: Path) -> None:
    params = three_settings()
    make(work, params)
    found = evaluated(params)
    measured: dict[str, set[str]] = {}
    for row in found["summary.csv"]:
        measured.setdefault(row["task"], set()).add(row["metric"])
    of_words = {"accuracy", "agreement", "agreement_right", "agreement_wrong", "pgr", "over_supervisor", "over_naive"}
    of_words |= {"best", "overfit", "halfway_agreement_wrong", "late_agreement_wrong"}
    assert measured["endgames"] == of_words
    assert measured["reviews"] == measured["preferences"] == of_words | {"auroc", "ece", "margin"}
    assert {row["task"] for row in found["plots/calibration.csv"]} == {"reviews", "preferences"}
    assert {row["task"] for row in found["plots/curves.csv"]} == {"reviews", "preferences", "endgames"}


def test_settings_shows_each_tasks_widest_gap(work: Path) -> None:
    params = three_settings()
    make(work, params)
    found = evaluated(params)
    rows = found["plots/settings.csv"]
    assert {row["task"]: row["setting"] for row in rows} == {
        "reviews": "classification",
        "preferences": "preference",
        "endgames": "generation",
    }
    summary = {
        tuple(r[k] for k in ("task", "role", "weak", "strong", "method", "metric")): r for r in found["summary.csv"]
    }
    for task, block in task_blocks(params.grid).items():

        def accuracy(role: str, *name: str, task: str = task) -> float:
            return float(summary[task, role, *name, "accuracy"]["value"])

        gaps = {
            (weak, strong): accuracy("ceiling", "", strong, "naive") - accuracy("supervisor", weak, "", "")
            for weak, strong in product(block.weak, block.strong)
            if SIZES[strong] > SIZES[weak]
        }
        weak, strong = max(gaps, key=lambda pair: gaps[pair])
        expected = [("supervisor", weak, "", "")]
        expected += [("student", weak, strong, method) for method in block.methods]
        expected += [("ceiling", "", strong, method) for method in block.ceilings]
        own = [row for row in rows if row["task"] == task]
        assert [(r["role"], r["weak"], r["strong"], r["method"]) for r in own] == expected
        for row, name in zip(own, expected, strict=True):
            interval = [summary[task, *name, "accuracy"][key] for key in ("value", "low", "high")]
            assert [row["accuracy"], row["low"], row["high"]] == interval
            assert row["pgr"] == (summary[task, *name, "pgr"]["value"] if name[0] == "student" else "")


def test_a_supervisor_of_words_must_not_answer_by_probabilities(work: Path) -> None:
    params = parameters(generation=CHESS)
    make(work, params)
    path = work / "data/weak_labels/endgames/chess-xs/1/test.parquet"
    write(path, ids := files.read_labels(path)["id"].to_pylist(), dict.fromkeys(ids, 0.5))
    with pytest.raises(UserError, match=r"chess-xs/1/test\.parquet: has the column p, but the task's truth has answer"):
        evaluation.evaluate(params)


def test_undefined_pgr_is_flagged_everywhere(work: Path) -> None:
    params = parameters(weak=["s"], strong=["s", "l"])  # a ceiling of the supervisor's own size
    make(work, params)
    found = evaluated(params)
    flagged = [r for r in found["plots/pgr.csv"] if r["strong"] == "s"]
    assert all(r["pgr"] == r["low"] == r["high"] == "" and "points is under 5" in r["reason"] for r in flagged)
    values = json.loads(Path("reports/metrics.json").read_text())["reviews"]
    assert values["student"]["s"]["s"]["naive"]["pgr"] is None
    assert values["student"]["s"]["l"]["naive"]["pgr"] is not None


def test_metrics_json_is_small_and_nested(work: Path) -> None:
    params = parameters()
    make(work, params)
    summary = {
        (r["role"], r["weak"], r["strong"], r["method"], r["metric"]): r["value"]
        for r in evaluated(params)["summary.csv"]
    }
    values = json.loads(Path("reports/metrics.json").read_text())["reviews"]
    assert list(values) == ["supervisor", "ceiling", "student", "zero_shot", "scratch"]
    assert values["supervisor"]["xs"] == round(float(summary["supervisor", "xs", "", "", "accuracy"]), 4)
    assert set(values["student"]["xs"]["l"]["naive"]) == {"accuracy", "pgr", "agreement"}
    assert set(values["zero_shot"]) == set(values["scratch"]) == set(values["ceiling"]) == {"s", "l"}


def test_scaling_series_rise_by_size_and_start_at_the_supervisor(work: Path) -> None:
    params = parameters()
    make(work, params)
    rows = [r for r in evaluated(params)["plots/scaling.csv"] if r["method"] == "naive"]
    series: dict[str, list[tuple[str, int]]] = {}
    for row in rows:
        series.setdefault(row["series"], []).append((row["model"], int(row["parameters"])))
    assert series == {
        "ground truth": [("xs", 11), ("s", 26), ("l", 102)],
        "supervisor xs": [("xs", 11), ("s", 26), ("l", 102)],
        "supervisor s": [("s", 26), ("s", 26), ("l", 102)],
    }
    summary = {(r["role"], r["strong"]): r for r in tables(Path("reports"))["summary.csv"] if r["metric"] == "accuracy"}
    truth = next(r for r in rows if r["series"] == "ground truth" and r["model"] == "s")  # in both lists: the ceiling
    assert truth["accuracy"] == summary["ceiling", "s"]["value"]


def test_curves_end_at_the_final_predictions(work: Path) -> None:
    params = parameters()
    make(work, params)
    found = evaluated(params)
    curve = [r for r in found["plots/curves.csv"] if (r["weak"], r["strong"], r["method"]) == ("xs", "l", "naive")]
    assert [r["step"] for r in curve] == ["10", "20", "30"]
    assert [float(r["progress"]) for r in curve] == pytest.approx([1 / 3, 2 / 3, 1])
    cells = [r for r in found["results.csv"] if (r["weak"], r["strong"], r["method"]) == ("xs", "l", "naive")]
    accuracy = [float(r["student_accuracy"]) for r in cells]
    assert float(curve[-1]["accuracy"]) == pytest.approx(fmean(accuracy))
    assert (float(curve[-1]["low"]), float(curve[-1]["high"])) == pytest.approx((min(accuracy), max(accuracy)))
    assert float(curve[-1]["agreement"]) == pytest.approx(fmean(float(r["agreement"]) for r in cells))
    assert {r["role"] for r in found["plots/curves.csv"]} == {"supervisor", "ceiling", "scratch", "student"}
    assert all(r["agreement"] == "" for r in found["plots/curves.csv"] if r["role"] != "student")


def test_training_curves_are_means_over_seeds(work: Path) -> None:
    params = parameters()
    make(work, params)
    rows = [
        r
        for r in evaluated(params)["plots/training.csv"]
        if (r["role"], r["weak"], r["strong"]) == ("student", "s", "l")
    ]
    assert [r["step"] for r in rows] == ["10", "20", "30"] * 2
    assert float(rows[0]["loss"]) == pytest.approx(0.7 + 1)  # seeds 0, 1, 2 log 0.7, 1.7, 2.7
    assert rows[0]["agreement"] == ""
    assert float(rows[2]["agreement"]) == pytest.approx(0.9)


def test_calibration_counts_every_prediction_once(work: Path) -> None:
    params = parameters()
    make(work, params, examples=300)
    rows = evaluated(params)["plots/calibration.csv"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["role"]] = counts.get(row["role"], 0) + int(row["count"])
    seeds, n = 3, 300
    assert counts == {
        "supervisor": 2 * seeds * n,
        "ceiling": 2 * seeds * n,
        "scratch": 2 * seeds * n,
        "zero_shot": 2 * n,
        "student": 8 * seeds * n,
    }


def test_row_order_does_not_matter_and_reruns_give_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = parameters()
    written = []
    for shuffle in (1, 2):
        root = tmp_path / str(shuffle)
        make(root, params, shuffle=shuffle)
        monkeypatch.chdir(root)
        evaluated(params)
        written.append({path.name: path.read_bytes() for path in (root / "reports").rglob("*.*")})
    assert written[0] == written[1]


def test_another_task_or_leftover_changes_nothing(work: Path) -> None:
    both = parameters(tasks=["reviews", "other"], preference=PREFERENCES, generation=CHESS)
    make(work, both)
    together = evaluated(both, "both")["results.csv"]
    assert evaluated(parameters(), "one")["results.csv"] == [r for r in together if r["task"] == "reviews"]
    fewer = evaluated(parameters(seeds=(0,), methods=["naive"]), "fewer")["results.csv"]
    assert [r["student_low"] for r in fewer] == [
        r["student_low"] for r in together if (r["task"], r["seed"], r["method"]) == ("reviews", "0", "naive")
    ]


def drop_an_id(path: Path) -> None:
    table = files.read_labels(path)
    files.write(path, files.LABELS, {name: table[name][1:] for name in table.column_names})


def halve_the_truth(path: Path) -> None:
    table = files.read_labels(path)
    files.write(path, files.LABELS, {"id": table["id"], "p": np.full(len(table), 0.5)})


def drop_a_snapshot(path: Path) -> None:
    table = files.read_predictions(path)
    files.write(path, table.schema, table.filter(pc.not_equal(table["step"], 10)).to_pydict())


@pytest.mark.parametrize(
    ("path", "spoil", "message"),
    [
        (
            "data/weak_labels/reviews/s/1/test.parquet",
            drop_an_id,
            "test.parquet: ids do not match.*1 missing, 0 unknown",
        ),
        ("data/tasks/reviews/test/truth.parquet", drop_an_id, "ids do not match.*0 missing, 1 unknown"),
        ("data/tasks/reviews/test/truth.parquet", halve_the_truth, "truth.parquet: truth must be 0 or 1"),
        (
            "models/student/reviews/xs/l/naive/2/predictions.parquet",
            Path.unlink,
            "naive/2/predictions.parquet: no such",
        ),
        (
            "models/ceiling/reviews/l/naive/1/predictions.parquet",
            drop_a_snapshot,
            "l/naive/1: predicts at steps .20, 30., the first seed at",
        ),
        ("models/ceiling/reviews/l/naive/0/run.json", Path.unlink, "l/naive/0/run.json: not a run's record"),
    ],
)
def test_faults_name_the_file(work: Path, path: str, spoil: Callable[[Path], None], message: str) -> None:
    params = parameters()
    make(work, params)
    spoil(work / path)
    with pytest.raises(UserError, match=message):
        evaluation.evaluate(params)


def test_a_spoilt_live_curve_is_named(work: Path) -> None:
    params = parameters()
    make(work, params)
    (work / "models/ceiling/reviews/l/naive/0/live/plots/metrics/loss.tsv").write_text("step\tloss\n10\n")
    with pytest.raises(UserError, match=r"loss\.tsv: not a DVCLive curve"):
        evaluation.evaluate(params)


def test_simulated_supervisors_are_measured_like_any_but_stay_out_of_what_goes_by_size(work: Path) -> None:
    with_them, without = parameters(simulated=SIMULATED), parameters()
    make(work, with_them)
    found, before = evaluated(with_them, "with"), evaluated(without, "without")
    summary = {tuple(r[k] for k in ("role", "weak", "method", "metric")): r["value"] for r in found["summary.csv"]}
    truth = final("data/tasks/reviews/test/truth.parquet")
    weak = [final(f"data/weak_labels/reviews/random-errors/{seed}/test.parquet") for seed in range(3)]
    student = [final(f"models/student/reviews/random-errors/l/naive/{seed}/predictions.parquet") for seed in range(3)]
    accuracy = float(summary["supervisor", "random-errors", "", "accuracy"])
    assert accuracy == pytest.approx(np.mean([one == truth for one in weak]))
    wrong = fmean((s == w)[w != truth].mean() for s, w in zip(student, weak, strict=True))
    assert float(summary["student", "random-errors", "naive", "agreement_wrong"]) == pytest.approx(wrong)
    for path in ("plots/settings.csv", "plots/scaling.csv", "plots/comparison.csv"):
        assert found[path] == before[path], path
    assert {r["weak"] for r in found["plots/agreement.csv"]} == {"xs", "s", "random-errors"}
    assert [r for r in found["summary.csv"] if r["weak"] != "random-errors"] == before["summary.csv"]


def test_a_prompted_answer_has_no_training(work: Path) -> None:
    params = parameters(methods=["naive", "few-shot"])
    make(work, params)
    for folder in work.glob("models/student/reviews/*/*/few-shot/*"):
        path = folder / "predictions.parquet"
        last = files.read_predictions(path).to_pandas().query("step == 30")
        columns = {"step": np.zeros(len(last), np.int32), "id": last["id"], "p": last["p"]}
        files.write(path, pa.schema([files.STEP, *files.LABELS]), columns)
        shutil.rmtree(folder / "live")
    found = evaluated(params)
    curve = [r for r in found["plots/curves.csv"] if r["method"] == "few-shot"]
    assert {(r["step"], r["progress"]) for r in curve} == {("0", "0.0")}
    assert "few-shot" not in {r["method"] for path in ("training", "overfitting") for r in found[f"plots/{path}.csv"]}
    assert "few-shot" in {r["method"] for r in found["plots/comparison.csv"]}


def test_the_oracle_chooses_on_one_half_what_counts_on_the_other(work: Path) -> None:
    """A run that is best midway gains what it lost since; one that only seems so by luck gains nothing on average."""
    params = parameters(weak=["xs"], strong=["l"], methods=["naive"])
    make(work, params, examples=2000)
    truth = files.read_labels(work / files.truth("reviews", "test")).to_pandas().set_index("id")["p"]
    rng = np.random.default_rng(0)
    for seed, shares in enumerate([(0.6, 0.9, 0.7), (0.6, 0.8, 0.7), (0.7, 0.7, 0.7)]):
        path = work / f"models/student/reviews/xs/l/naive/{seed}/predictions.parquet"
        rights = [rng.permutation(2000) < 2000 * share for share in shares]
        p = np.concatenate([np.where(right, truth, 1 - truth) for right in rights])
        columns = {"step": np.repeat(np.int32([10, 20, 30]), 2000), "id": [*truth.index] * 3, "p": p}
        files.write(path, pa.schema([files.STEP, *files.LABELS]), columns)
    (row,) = evaluated(params)["plots/overfitting.csv"]
    assert float(row["end"]) == pytest.approx(0.7)
    assert float(row["best"]) == pytest.approx((0.9 + 0.8 + 0.7) / 3, abs=0.015)
    assert float(row["difference"]) == pytest.approx(float(row["best"]) - 0.7)
    assert float(row["low"]) < float(row["difference"]) < float(row["high"])
    summary = {r["metric"]: float(r["value"]) for r in tables(Path("reports"))["summary.csv"] if r["role"] == "student"}
    late = []
    for seed in range(3):
        weak = final(f"data/weak_labels/reviews/xs/{seed}/test.parquet")
        frame = pq.read_table(f"models/student/reviews/xs/l/naive/{seed}/predictions.parquet", partitioning=None)
        said = frame.to_pandas().pivot_table(index="id", columns="step", values="p").sort_index() > 0.5
        wrong = weak != (truth.sort_index() > 0.5).to_numpy()
        late.append((said[30] == weak)[wrong].mean() - (said[10] == weak)[wrong].mean())
    assert summary["late_agreement_wrong"] == pytest.approx(fmean(late))


def test_methods_are_compared_with_naive_widest_gap_first(work: Path) -> None:
    params = parameters(methods=["naive", "confidence", "hard"])
    make(work, params)
    found = evaluated(params)
    rows = found["plots/comparison.csv"]
    assert [float(r["gap"]) for r in rows] == sorted((float(r["gap"]) for r in rows), reverse=True)
    assert len(rows) == 8
    summary = {tuple(r[k] for k in ("weak", "strong", "method", "metric")): r for r in found["summary.csv"]}
    for row in rows:
        same = summary[row["weak"], row["strong"], row["method"], "over_naive"]
        assert [row[k] for k in ("difference", "low", "high")] == [same[k] for k in ("value", "low", "high")]
        assert row["significant"] == str(int(float(row["p_corrected"]) < 0.05))
    assert [float(r["p_corrected"]) for r in rows] == pytest.approx(holm([float(r["p"]) for r in rows]))


def test_probes_are_measured_where_features_were_kept(work: Path) -> None:
    """What shows the truth is read from features; what shows nothing is not; and the order of rows does not matter."""
    params = parameters(weak=["xs"], strong=["l"], methods=["naive"])
    make(work, params)
    truth = files.read_labels(work / files.truth("reviews", "test")).to_pandas()[:200]
    rng = np.random.default_rng(0)
    clear = {"models/control/reviews/l": 0.0, "models/ceiling/reviews/l/naive": 5.0}
    clear["models/student/reviews/xs/l/naive"] = 1.0
    for place, share in clear.items():
        for folder in [place] if "control" in place else [f"{place}/{seed}" for seed in range(3)]:
            features = (rng.normal(size=(200, 3)) + share * truth["p"].to_numpy()[:, None]).astype(np.float32)
            schema = pa.schema([("id", pa.string()), ("features", pa.list_(pa.float32(), 3))])
            files.write(work / folder / "features.parquet", schema, {"id": truth["id"], "features": [*features]})
    found = evaluated(params)
    probe = {r["role"]: float(r["probe"]) for r in found["plots/saliency.csv"]}
    assert list(probe) == ["ceiling", "student", "base"]
    assert probe["ceiling"] > 0.95
    assert 0.7 < probe["student"] < 0.9
    assert abs(probe["base"] - 0.5) < 0.12
    half = 1.96 * np.sqrt(probe["base"] * (1 - probe["base"]) / 200)
    (base,) = [r for r in found["summary.csv"] if r["role"] == "base"]
    assert (float(base["low"]), float(base["high"])) == pytest.approx(
        (probe["base"] - half, probe["base"] + half), abs=0.02
    )


def test_undefined_metrics_say_why(work: Path) -> None:
    params = parameters(weak=["xs"], strong=["l"])
    make(work, params)
    truth = files.read_labels(work / "data/tasks/reviews/test/truth.parquet")
    for seed in params.grid.seeds:  # a supervisor that is always right
        path = work / f"data/weak_labels/reviews/xs/{seed}/test.parquet"
        files.write(path, files.LABELS, {"id": truth["id"], "p": truth["p"]})
    found = {(r["role"], r["metric"]): r for r in evaluated(params)["summary.csv"]}
    assert found["student", "agreement_wrong"]["reason"] == "a supervisor is never wrong"
    assert found["student", "agreement_right"]["value"] == found["student", "agreement"]["value"]
    assert found["student", "pgr"]["reason"] == "gap of 0.00 points is under 5"


def test_a_full_grid_is_light_and_its_start_imports_nothing_heavy(work: Path) -> None:
    """24 cells × 4,000 examples × 1,000 replicates: under 700 MB, measured in a process."""
    make(work, parameters(resamples=1000, weak=["xs", "s"], strong=["m", "l"]), examples=4000, snapshots=8)
    script = """if True:
        import resource, sys
        from tests.results.test_evaluation import evaluated, parameters
        heavy = {"torch", "sklearn", "scipy", "matplotlib"} & set(sys.modules)
        assert not heavy, heavy
        evaluated(parameters(resamples=1000, weak=["xs", "s"], strong=["m", "l"]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    """
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, env={"PYTHONPATH": str(here)}, stdout=subprocess.PIPE, text=True)
    assert float(done.stdout) < 700
