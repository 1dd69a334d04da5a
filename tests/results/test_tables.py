"""The tables of `evaluate`, on made-up predictions of a whole grid."""

import json
import shutil
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest

from tests.results.made_up import METHODS, SIZES, evaluated, final, make, parameters, tables, three_settings
from w2s.core import files
from w2s.core.errors import UserError
from w2s.core.grid import task_blocks
from w2s.results import tables as declared
from w2s.results.collect import CONTROLS
from w2s.results.evaluate import evaluate
from w2s.results.measure import TaskMeasurements, TaskSummary
from w2s.results.statistics import holm


@pytest.mark.slow
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
        truth = final(f"data/tasks/{task}/0/truth/test.parquet")
        weak = final(f"data/weak_labels/{task}/{row['weak']}/{row['seed']}/test.parquet")
        place = f"{row['weak']}/{row['strong']}/{row['method']}/{row['seed']}"
        student = final(f"runs/student/{task}/{place}/predictions.parquet")
        place = f"{row['strong']}/{row['ceiling']}/{row['seed']}"
        ceiling = final(f"runs/ceiling/{task}/{place}/predictions.parquet")
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
        expected += [(role, "", strong, "") for role in CONTROLS]
        own = [row for row in rows if row["task"] == task]
        assert [(r["role"], r["weak"], r["strong"], r["method"]) for r in own] == expected
        for row, name in zip(own, expected, strict=True):
            interval = [summary[task, *name, "accuracy"][key] for key in ("value", "low", "high")]
            assert [row["accuracy"], row["low"], row["high"]] == interval
            assert row["pgr"] == (summary[task, *name, "pgr"]["value"] if name[0] == "student" else "")


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
    assert list(values) == ["supervisor", "ceiling", "student", "zero_shot", "supervisor_truth", "scratch"]
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
        **{control: [("l", 102), ("s", 26)] for control in CONTROLS},
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
    assert {r["role"] for r in found["plots/curves.csv"]} == {
        "supervisor",
        "ceiling",
        "supervisor_truth",
        "scratch",
        "student",
    }
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
        "supervisor_truth": 2 * seeds * n,
        "scratch": 2 * seeds * n,
        "zero_shot": 2 * seeds * n,
        "student": 8 * seeds * n,
    }


def test_a_spoilt_live_curve_is_named(work: Path) -> None:
    params = parameters()
    make(work, params)
    (work / "runs/ceiling/reviews/l/naive/0/live/plots/metrics/loss.tsv").write_text("step\tloss\n10\n")
    with pytest.raises(UserError, match=r"loss\.tsv: not a DVCLive curve"):
        evaluate(params, Path("reports"))


def test_a_budget_counts_all_trainings_on_the_way(work: Path) -> None:
    params = parameters()
    make(work, params)
    own = work / "runs/student/reviews/xs/l/confidence"
    for seed, live in product(params.grid.seeds, ("via/0-s/live", "texts")):
        shutil.copytree(own / f"{seed}/live", own / f"{seed}/{live}")
    rows = {tuple(row[k] for k in ("role", *declared.STUDENT)): row for row in evaluated(params)["plots/budgets.csv"]}
    last = max(files.read_predictions(own / "0/predictions.parquet")["step"].to_pylist())
    assert int(rows["student", "xs", "l", "naive"]["updates"]) == last
    assert int(rows["student", "xs", "l", "confidence"]["updates"]) == 3 * last
    assert float(rows["student", "xs", "l", "confidence"]["learning_rate"]) == 1e-3


def test_methods_are_compared_with_naive_widest_gap_first(work: Path) -> None:
    params = parameters(methods=["naive", "confidence", "hard"])
    make(work, params)
    found = evaluated(params)
    compared = found["plots/comparison.csv"]
    assert [float(r["gap"]) for r in compared] == sorted((float(r["gap"]) for r in compared), reverse=True)
    rows = [row for row in compared if row["role"] == "student"]
    assert len(rows) == 8
    summary = {tuple(r[k] for k in ("weak", "strong", "method", "metric")): r for r in found["summary.csv"]}
    for row in rows:
        same = summary[row["weak"], row["strong"], row["method"], "over_naive"]
        assert [row[k] for k in ("difference", "low", "high")] == [same[k] for k in ("value", "low", "high")]
        assert row["significant"] == str(int(float(row["p_corrected"]) < 0.05))
    assert [float(r["p_corrected"]) for r in rows] == pytest.approx(holm([float(r["p"]) for r in rows]))


def test_a_table_is_declared_in_one_place(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters()
    make(work, params)
    monkeypatch.setattr(declared, "TABLES", declared.TABLES.copy())

    @declared.table("plots/sizes.csv", "model", "parameters")
    def sizes(_: TaskMeasurements, summary: TaskSummary) -> Iterator[declared.Row]:
        for model, count in summary.sizes.items():
            yield {"model": model, "parameters": count}

    rows = evaluated(params)["plots/sizes.csv"]
    assert {(row["task"], row["model"], row["parameters"]) for row in rows} == {
        ("reviews", "xs", "11"),
        ("reviews", "s", "26"),
        ("reviews", "l", "102"),
    }
    assert sizes in [table.rows for table in declared.TABLES.values()]


def test_no_method_is_known_by_its_name(work: Path) -> None:
    """Exchange the names of two methods and their files: all numbers are exchanged, too."""
    make(work, parameters())
    before = evaluated(parameters(), "before")
    catalogue = {"naive": METHODS["confidence"], "confidence": METHODS["naive"]}
    for folder in [*work.glob("runs/student/*/*/*"), *work.glob("runs/ceiling/*/*")]:
        for old, new in (("naive", "moved"), ("confidence", "naive"), ("moved", "confidence")):
            if (folder / old).exists():
                (folder / old).rename(folder / new)
    after = evaluated(
        parameters(methods=["confidence", "naive"], ceilings=["confidence"], catalogue=catalogue), "after"
    )
    other_name = {"naive": "confidence", "confidence": "naive"}
    for path, rows in before.items():
        renamed = [
            {key: other_name.get(value, value) if key in ("method", "ceiling") else value for key, value in row.items()}
            for row in rows
        ]
        assert after[path] == renamed, path


def test_without_a_baseline_nothing_is_compared(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    params = parameters(catalogue={"naive": METHODS["kl"], "confidence": METHODS["confidence"]})
    make(work, params)
    found = evaluated(params)
    assert found["plots/comparison.csv"] == []
    assert "over_naive" not in {row["metric"] for row in found["summary.csv"]}
    assert {row["method"] for row in found["plots/settings.csv"]} == {"", "naive", "confidence"}
    assert "reviews: no method is naive" in capsys.readouterr().err
