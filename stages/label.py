"""Label: the supervisor's own answers to inputs it never saw the truth of."""

from w2s.core import files, ranks
from w2s.core.checks import load
from w2s.core.stage import run
from w2s.settings import setting_for


def main(task: str, weak: str, seed: int) -> None:
    setting = setting_for(load(), task, weak, files.bases(seed))
    ranks.share(setting.hparams.processes)
    model = setting.HEAD.load_tuned(files.model("supervisor", task, weak, seed), setting.base, setting.hparams)
    for part in ("student", "validation", "test"):
        inputs = files.read(files.inputs(task, seed, part), setting.INPUTS)
        setting.label(model, inputs, files.weak_labels(task, weak, seed) / f"{part}.parquet")


if __name__ == "__main__":
    run(main)
