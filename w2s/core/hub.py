"""The Hugging Face hub: the files of one pinned repository, downloaded once or taken from the local cache."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from w2s.core.errors import UserError


def snapshot(
    kind: Literal["model", "dataset"],
    repository: str,
    revision: str,
    patterns: Iterable[str],
    param_path: str,
    *,
    optional: Iterable[str] = (),
) -> Path:
    """The folder with a repository's files that match `patterns`; the folder's name is the exact commit.

    `revision` is a branch, tag or commit; `optional` patterns may match nothing. Follows `HF_HUB_OFFLINE`,
    `HF_ENDPOINT`, `HF_HUB_CACHE` and `HF_TOKEN`. Raises `UserError`, with `param_path`, that says what to do.
    """
    from huggingface_hub import errors, snapshot_download

    name = f"{param_path}: {kind} {repository}"
    wanted = list(patterns)
    for pattern in wanted:
        if not pattern.strip() or PurePosixPath(pattern).is_absolute() or ".." in PurePosixPath(pattern).parts:
            raise UserError(f"{name}: '{pattern}' must name files inside the repository, like data/train-*.parquet")
    try:
        folder = Path(
            snapshot_download(repository, repo_type=kind, revision=revision, allow_patterns=[*wanted, *optional])
        )
    except errors.GatedRepoError:
        raise UserError(
            f"{name} is gated: accept its terms on its page while logged in, then `hf auth login` or set HF_TOKEN"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name} has no revision '{revision}'; give a branch, a tag or a whole commit") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{name} does not exist or is private: check the spelling (owner/name), or log in by `hf auth login`"
        ) from None
    except errors.HFValidationError as error:
        raise UserError(f"{name} is not a repository's name, owner/name ({error})") from None
    except (errors.HTTPError, OSError, UnicodeEncodeError) as error:
        # The client's own errors, of which the hub's are some, and the disk's; of a token that fits into no header.
        if "Invalid credentials" in str(error) or isinstance(error, UnicodeEncodeError):
            raise UserError(f"{name}: the hub refuses your token; `hf auth login` again or mend HF_TOKEN") from None
        raise UserError(
            f"{name} (revision '{revision}') is not in the local cache and could not be fetched ({_cause(error)}); "
            "connect, unset HF_HUB_OFFLINE, or fill the cache on a machine that can: "
            f"hf download {repository} --repo-type {kind} --revision {revision}"
        ) from None
    missing = [pattern for pattern in wanted if not matching(folder, [pattern])]
    if missing:
        only = " (weights are read from safetensors files only)" if "safetensors" in missing[0] else ""
        raise UserError(f"{name} at {folder.name} has no file {missing[0]}{only}")
    return folder


def matching(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """The files of a snapshot that match any of the patterns, sorted."""
    return sorted({path for pattern in patterns for path in folder.glob(pattern) if path.is_file()})


def _cause(error: BaseException) -> str:
    while error.__cause__:
        error = error.__cause__
    # Long enough that a path in it stays whole.
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
