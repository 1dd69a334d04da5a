"""Varying and comparing by DVC's own commands, on the real command line."""

import csv
import io
import json
import time

import pytest

from tests.pipeline.conftest import Workspace

# Each of these runs for seconds.
pytestmark = pytest.mark.slow

METHOD = "method-classification@confidence-0"
STUDENT = "student-classification@reviews-xs-m-confidence-0"


def test_a_methods_coefficient_reruns_its_students_only(workspace: Workspace) -> None:
    output = workspace.run("dvc", "exp", "run", "-n", "half", "-S", "methods.confidence.loss.alpha_max=0.5")
    assert workspace.stages_run(output) == {"code", "check", METHOD, STUDENT, "evaluate", "plot"}

    shown = list(csv.DictReader(io.StringIO(workspace.run("dvc", "exp", "show", "--csv"))))
    half = next(row for row in shown if row["Experiment"] == "half")
    assert half["methods.confidence.loss.alpha_max"] == "0.5"
    assert any(name.endswith("student.xs.m.confidence.accuracy") for name in half)

    changes = json.loads(workspace.run("dvc", "metrics", "diff", "--all", "--json"))["reports/metrics.json"]
    assert "reviews.student.xs.m.confidence.accuracy" in changes
    assert changes["reviews.student.xs.m.naive.accuracy"].get("diff", 0) == 0

    workspace.run("dvc", "plots", "show")
    page = (workspace.path / "dvc_plots/index.html").read_text()
    for name in ("scaling", "pgr", "agreement", "curves", "training", "calibration"):
        assert name in page
    workspace.run("dvc", "plots", "diff", "HEAD", "workspace")
    page = (workspace.path / "dvc_plots/index.html").read_text()
    assert "supervisor xs" in page
    assert '"rev": "HEAD"' in page
    assert '"rev": "workspace"' in page


def test_a_queued_experiment_runs_and_compares(stubbed: Workspace) -> None:
    stubbed.run("dvc", "exp", "run", "--queue", "-S", "methods.confidence.loss.alpha_max=0.25")
    stubbed.run("dvc", "queue", "start")
    deadline = time.monotonic() + 400
    while (status := stubbed.run("dvc", "queue", "status")).count("Success") < 1:
        assert "Failed" not in status, stubbed.run("dvc", "queue", "logs", status.split()[0])
        assert time.monotonic() < deadline, status
        time.sleep(2)
    shown = list(csv.DictReader(io.StringIO(stubbed.run("dvc", "exp", "show", "--csv"))))
    assert {"0.25", "0.75"} <= {row["methods.confidence.loss.alpha_max"] for row in shown}
