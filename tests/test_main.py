"""The command line: one entry for `w2s` and `python -m w2s`, and faults of a user in one line."""

import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from w2s import __main__ as command

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


def test_the_installed_command_is_the_modules_main() -> None:
    scripts = tomllib.loads(PYPROJECT.read_text())["project"]["scripts"]
    assert scripts == {"w2s": f"{command.__name__}:{command.main.__name__}"}


@pytest.mark.parametrize("name", ["reproduce", "cost", "status", "verdict", "claims"])
def test_every_command_explains_itself(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["w2s", name, "--help"])
    with pytest.raises(SystemExit) as stopped:
        command.main()
    assert stopped.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: w2s {name}")


def test_the_installed_command_finds_the_stages_of_where_it_runs(tmp_path: Path) -> None:
    """They belong to no package, and `cost` and `status` import some."""
    (tmp_path / "stages.py").write_text("raise SystemExit('found')\n")
    program = "import sys; from w2s.__main__ import main; sys.argv = ['w2s', 'claims']; main(); import stages"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stderr.splitlines()[-1] == "found"


def test_a_users_fault_is_one_line_and_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["w2s", "reproduce", "--grid", "none.yaml"])
    assert command.main() == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not out


def test_a_reader_that_has_gone_is_no_fault() -> None:
    """As `w2s claims | head -1` is."""
    program = [sys.executable, "-m", "w2s", "claims"]
    root = PYPROJECT.parent
    with subprocess.Popen(program, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE
