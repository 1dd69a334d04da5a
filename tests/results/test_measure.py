"""Metrics over seeds and the differences of models, on made-up predictions of a whole grid."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.results.made_up import (
    SIMULATED,
    Rows,
    evaluated,
    final,
    make,
    parameters,
    tables,
    three_settings,
)
from w2s.core import files


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
    assert roles == {"supervisor": 2, "ceiling": 2, "zero_shot": 2, "supervisor_truth": 2, "scratch": 2, "student": 8}
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
    assert measured["reviews"] == measured["preferences"] == of_words | {"auroc", "ece", "margin", "says_true"}
    assert {row["task"] for row in found["plots/calibration.csv"]} == {"reviews", "preferences"}
    assert {row["task"] for row in found["plots/curves.csv"]} == {"reviews", "preferences", "endgames"}


def test_simulated_supervisors_are_measured_like_any_but_stay_out_of_what_goes_by_size(work: Path) -> None:
    with_them, without = parameters(simulated=SIMULATED), parameters()
    make(work, with_them)
    found, before = evaluated(with_them, "with"), evaluated(without, "without")
    summary = {tuple(r[k] for k in ("role", "weak", "method", "metric")): r["value"] for r in found["summary.csv"]}
    truth = final("data/tasks/reviews/0/truth/test.parquet")
    weak = [final(f"data/weak_labels/reviews/random-errors/{seed}/test.parquet") for seed in range(3)]
    student = [final(f"runs/student/reviews/random-errors/l/naive/{seed}/predictions.parquet") for seed in range(3)]
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
    for folder in work.glob("runs/student/reviews/*/*/few-shot/*"):
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
    truth = files.read_labels(work / files.truth("reviews", 0, "test")).to_pandas().set_index("id")["p"]
    rng = np.random.default_rng(0)
    for seed, shares in enumerate([(0.6, 0.9, 0.7), (0.6, 0.8, 0.7), (0.7, 0.7, 0.7)]):
        path = work / f"runs/student/reviews/xs/l/naive/{seed}/predictions.parquet"
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
        frame = pq.read_table(f"runs/student/reviews/xs/l/naive/{seed}/predictions.parquet", partitioning=None)
        said = frame.to_pandas().pivot_table(index="id", columns="step", values="p").sort_index() > 0.5
        wrong = weak != (truth.sort_index() > 0.5).to_numpy()
        late.append((said[30] == weak)[wrong].mean() - (said[10] == weak)[wrong].mean())
    assert summary["late_agreement_wrong"] == pytest.approx(fmean(late))


def test_probes_are_measured_where_features_were_kept(work: Path) -> None:
    """What shows the truth is read from features; what shows nothing is not; and the order of rows does not matter."""
    params = parameters(weak=["xs"], strong=["l"], methods=["naive"])
    make(work, params)
    truth = files.read_labels(work / files.truth("reviews", 0, "test")).to_pandas()[:200]
    rng = np.random.default_rng(0)
    clear = {"runs/control/reviews/l": 0.0, "runs/ceiling/reviews/l/naive": 5.0}
    clear["runs/student/reviews/xs/l/naive"] = 1.0
    for place, share in clear.items():
        for folder in [f"{place}/{seed}" for seed in range(3)]:
            features = (rng.normal(size=(200, 3)) + share * truth["p"].to_numpy()[:, None]).astype(np.float32)
            schema = pa.schema([("id", pa.string()), ("features", pa.list_(pa.float32(), 3))])
            files.write(work / folder / "features.parquet", schema, {"id": truth["id"], "features": [*features]})
    found = evaluated(params)
    probe = {r["role"]: float(r["probe"]) for r in found["plots/saliency.csv"]}
    assert list(probe) == ["ceiling", "student", "base"]
    assert probe["ceiling"] > 0.95
    assert 0.7 < probe["student"] < 0.9
    assert abs(probe["base"] - 0.5) < 0.12
    (base,) = [r for r in found["summary.csv"] if r["role"] == "base" and r["metric"] == "probe"]
    low, high = float(base["low"]), float(base["high"])
    assert low < probe["base"] < high
    assert (low + high) / 2 == pytest.approx(probe["base"])


def test_undefined_metrics_say_why(work: Path) -> None:
    params = parameters(weak=["xs"], strong=["l"])
    make(work, params)
    truth = files.read_labels(work / "data/tasks/reviews/0/truth/test.parquet")
    for seed in params.grid.seeds:  # a supervisor that is always right
        path = work / f"data/weak_labels/reviews/xs/{seed}/test.parquet"
        files.write(path, files.LABELS, {"id": truth["id"], "p": truth["p"]})
    found = {(r["role"], r["metric"]): r for r in evaluated(params)["summary.csv"]}
    assert found["student", "agreement_wrong"]["reason"] == "a supervisor is never wrong"
    assert found["student", "agreement_right"]["value"] == found["student", "agreement"]["value"]
    assert found["student", "pgr"]["reason"] == "gap of 0.00 points is under 5"


@pytest.mark.slow
def test_a_full_grid_is_light_and_its_start_imports_nothing_heavy(work: Path) -> None:
    """24 cells × 4,000 examples: under 700 MB, measured in a process."""
    make(work, parameters(weak=["xs", "s"], strong=["m", "l"]), examples=4000, snapshots=8)
    script = """if True:
        import re, sys
        from pathlib import Path
        from tests.results.made_up import evaluated, parameters
        heavy = {"torch", "sklearn", "scipy", "matplotlib"} & set(sys.modules)
        assert not heavy, heavy
        evaluated(parameters(weak=["xs", "s"], strong=["m", "l"]))
        # Of this process alone: getrusage counts what the one that started it held, too.
        print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024)
    """
    here = Path(__file__).parents[2]
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, check=True, env={"PYTHONPATH": str(here)}, stdout=subprocess.PIPE, text=True)
    assert float(done.stdout) < 700
