"""One lane of `reproduce`: `dvc repro --single-item` of many stages, by DVC's own means.

The command reads dvc.yaml and dvc.lock anew for every target, and rewrites dvc.lock after every stage; in a grid of
hundreds of stages each takes seconds, during which other lanes wait. A lane reads them once and writes them once, in
the end. One that is killed before loses no result: the next `reproduce` finds what it ran in DVC's run cache.
"""

import logging
import sys
from typing import Any

from dvc.dvcfile import PROJECT_FILE, load_file
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.stage import PipelineStage


def main(names: list[str]) -> int:
    """Bring these stages up to date, in their order; the exit code is 1 if one fails."""
    done: list[PipelineStage] = []

    def reproduced(stage: PipelineStage, **how: Any) -> PipelineStage | None:
        if ran := stage.reproduce(**how):
            done.append(ran)
        return ran

    with Repo(_wait_for_lock=True) as repo:
        project = load_file(repo, PROJECT_FILE)
        stages = project.stages
        repo.stage.collect = lambda name, **_: [stages[name]]
        try:
            repo.reproduce(names, single_item=True, repro_fn=reproduced)
        except DvcException:
            logging.getLogger("dvc").exception("")  # in DVC's own words
            return 1
        finally:
            with repo.lock:
                project.dump_stages(done, update_pipeline=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
