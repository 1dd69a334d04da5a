"""What the machine lacks is said in one line, and every text is UTF-8 whatever the locale."""

import ast
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from w2s.core import files
from w2s.core.errors import UserError, lacking

ROOT = Path(__file__).parents[2]
WRITE = """
import resource, signal
from pathlib import Path
from w2s.core import files, stage
resource.setrlimit(resource.RLIMIT_{limit}, ({size}, {size}))
def main() -> None:
    {work}
stage.run(main)
"""


def run(script: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("limit", "size", "work", "expected"),
    [
        (
            "FSIZE",
            1000,
            "files.write_json(Path('{folder}/a.json'), 'x' * 9999)",
            "a limit on file sizes stands in the way",
        ),
        ("NOFILE", 3, "files.write_json(Path('{folder}/a.json'), 1)", "Too many open files"),
        ("AS", 2**33, "bytearray(2**40)", "out of memory; try one stage at a time (--jobs 1)"),
    ],
)
def test_a_limit_of_the_machine_ends_a_stage_in_one_line(
    tmp_path: Path, limit: str, size: int, work: str, expected: str
) -> None:
    done = run(WRITE.format(limit=limit, size=size, work=work.format(folder=tmp_path)))
    assert done.returncode == 1
    assert done.stdout == b""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.decode().startswith("error: ")
    assert expected in done.stderr.decode()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_other_libraries_words_for_it_are_known(code: int) -> None:
    of_python = OSError(code, os.strerror(code), "models/base/m")
    assert str(lacking(of_python)).startswith(f"models/base/m: {os.strerror(code)}; ")
    of_rust = RuntimeError(f"I/O error: {os.strerror(code)} (os error {code})")
    assert str(lacking(of_rust)).startswith(f"{os.strerror(code)}; ")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_memory_in_all_its_words(error: Exception) -> None:
    assert str(lacking(error)).startswith("out of memory; ")


def test_a_bug_lacks_nothing() -> None:
    assert lacking(KeyError("ours")) is None
    assert lacking(FileNotFoundError(errno.ENOENT, "No such file or directory", "x")) is None


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), "labels.parquet")

    path = tmp_path / "labels.parquet"
    path.write_bytes(b"no Parquet")
    with pytest.raises(UserError, match="not a whole Parquet file"):
        files.read_labels(path)
    monkeypatch.setattr(files.pq, "read_table", refused)
    monkeypatch.setattr(files.pq, "read_schema", refused)
    with pytest.raises(PermissionError):
        files.read_labels(path)


def test_a_locale_without_the_minus_neither_stops_nor_garbles_files(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from w2s.core import files, stage
def main() -> None:
    print("a \\u2212 b")
    files.write_json(Path({str(tmp_path / "a.json")!r}), "a \\u2212 b")
stage.run(main)
"""
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    done = run(script, **ascii_only)
    assert (done.returncode, done.stdout) == (0, b"a ? b\n"), done.stderr
    assert files.read_json(tmp_path / "a.json") == "a − b"


def test_every_file_is_opened_with_its_encoding() -> None:
    """`open`, `read_text` and `write_text` of w2s, the stages and the scripts name one, or open bytes."""
    missing = []
    for path in (path for folder in ("w2s", "stages", "benchmarks", "tools") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            in_bytes = any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in node.args)
            of_os = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") == "os"
            named = any(keyword.arg == "encoding" for keyword in node.keywords)
            if name in ("open", "read_text", "write_text") and not (named or in_bytes or of_os):
                missing.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert missing == []
