"""How many stages run at a time, and on which GPU each."""

from w2s.core.ranks import cards

WITHOUT_GPUS = 2  # stages at a time, unless said otherwise


def slots(jobs: int | None) -> list[str]:
    """One entry for each stage that may run at a time: a GPU that it has to itself, or nothing where there is none."""
    given = cards()
    return given[:jobs] if given else [""] * (jobs or WITHOUT_GPUS)
