"""The locked environment: pyproject.toml and the lock agree, and what runs here is what is locked."""

import re
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINNED = [Requirement(line) for line in [*PROJECT["dependencies"], *EXTRAS["cluster"], *EXTRAS["test"]]]
ENTRY = re.compile(r"^(\S.*?)(?: \\)?\n((?: +\S.*\n)*)", re.MULTILINE)


def locked() -> dict[str, tuple[Requirement, str]]:
    """Every package of both lock files that is for this platform: its requirement and what stands below it."""
    text = "".join((ROOT / name).read_text() for name in ("requirements.lock", "requirements-torch.lock"))
    found = {}
    for line, below in ENTRY.findall(re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate():
            found[canonicalize_name(requirement.name)] = requirement, below
    return found


def test_every_pinned_package_is_locked_in_its_version() -> None:
    lock = locked()
    for requirement in PINNED:
        assert canonicalize_name(requirement.name) in lock, f"{requirement}: run `make lock`"
        assert lock[canonicalize_name(requirement.name)][0].specifier == requirement.specifier, "run `make lock`"


def test_every_locked_package_has_one_version_and_hashes() -> None:
    lock = locked()
    assert len(lock) > 100
    for name, (requirement, below) in lock.items():
        assert re.fullmatch(r"==[^,*]+", str(requirement.specifier)), name
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", below), name


def test_what_runs_here_is_what_is_locked() -> None:
    """Whatever an installed package of ours needs is locked, and installed in that version."""
    lock = locked()
    waiting = [requirement.name for requirement in PINNED]
    seen: set[str] = set()
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = distribution(name).requires or []
        except PackageNotFoundError:
            # Only the CUDA build of torch needs these.
            assert name.startswith(("nvidia-", "cuda-", "triton")), name
            continue
        # The CPU build of torch has a version of its own name: 2.13.0+cpu.
        assert lock[name][0].specifier.contains(version(name).partition("+")[0]), name
        for line in needed:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)


# Licences that ask more of who passes the package on than to keep its notice.
COPYLEFT = {
    "asyncssh": "EPL",
    "certifi": "MPL",
    "chess": "GPL",
    "grandalf": "GPL",
    "hypothesis": "MPL",
    "orjson": "MPL",
    "pathspec": "MPL",
    "pygit2": "GPL",
    "shtab": "MPL",
    "tqdm": "MPL",
}


def licence(package: Distribution) -> str:
    """All that a package says of its licence."""
    metadata = package.metadata
    classifiers = [line for line in metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    # Some give the licence's whole text.
    said = [metadata.get("License-Expression") or "", (metadata.get("License") or "").partition("\n")[0], *classifiers]
    return "; ".join(filter(None, said))


def test_every_package_that_is_not_permissive_is_known_by_name() -> None:
    """A new one is to be looked at, and README names those under the GPL."""
    installed = {canonicalize_name(package.name): licence(package) for package in distributions()}
    found = {
        name: said.group()
        for name in locked()
        if (said := re.search("MPL|EPL|[AL]?GPL|EUPL|SSPL|CC-BY-(NC|SA)", installed.get(name, "")))
        and "Apache-2.0 OR GPL" not in installed[name]
    }
    assert found == COPYLEFT
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{name}`" in readme for name, family in found.items() if family == "GPL")
