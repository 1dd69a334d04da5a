"""Methods in words: what the parts of a recipe do, in the order in which they happen."""

from collections.abc import Iterator

from w2s.core.params import Method

LOSSES = {
    "confidence": "a loss that strengthens its confidence in its own predictions, also where they contradict the weak "
    "labels (paper, section 4.3.2)",
    "product": "cross-entropy against the normalised product of the weak label and its own prediction (the paper’s "
    "public code)",
    "entropy": "cross-entropy and its own predictions’ entropy, so that it grows sure (Grandvalet & Bengio, 2004)",
    "window": "cross-entropy on the examples it is not yet sure of (EleutherAI’s w2s)",
    "kl": "the divergence of its predictions from the weak labels, whose slope is that of cross-entropy",
}
PROBES = {
    "logistic": "logistic regressions on its own base features",
    "neighbours": "a vote of the nearest neighbours among its own base features",
    "topological": "the largest connected component of each class among its own base features (Wu et al., 2020)",
}


def told(method: Method) -> str:
    """A recipe as the rest of a sentence that begins with the method's name."""
    does = [*_parts(method)] or ["finetunes the strong model on the weak labels as they are (paper, section 4.2)"]
    other = [f"{key} {value}" for key, value in method.finetune.items() if key != "tune"]
    return "; ".join(does) + (f"; with {', '.join(other)}" if other else "") + "."


def _parts(method: Method) -> Iterator[str]:
    if method.shots:
        yield f"trains nothing: {method.shots} labelled examples stand in the prompt (paper, section 5.2.1)"
        return
    if method.texts:
        yield (
            "first finetunes as a language model on the task’s unlabelled texts (paper, section 5.2.2), as does the "
            "ceiling that its students are held against"
        )
    if method.via:
        rungs = "the models between supervisor and student" if method.via == "between" else ", ".join(method.via)
        yield f"passes the labels on through {rungs}, each learning them and labelling anew (paper, section 4.3.1)"
    if method.rounds > 1:
        yield f"teaches the student {method.rounds} times from its base, each time by the labels of the last"
    if method.clean:
        does = {"relabel": "relabels", "filter": "leaves out"}[method.clean.action]
        share, by = f"{method.clean.share:.0%}", PROBES[method.clean.by]
        yield f"{does} up to {share} of the weak labels, those most contradicted by {by}"
    if method.labels == "hard":
        yield "rounds the weak labels"
    if method.probe:
        yield "trains the head alone on frozen features before the whole model"
    if tune := method.finetune.get("tune"):
        learns = {"head": "the linear head alone, on frozen features", "lora": "low-rank adapters and the head alone"}
        yield f"trains {learns.get(tune, 'all weights')}"
    if method.loss != "cross_entropy":
        yield f"minimises {LOSSES.get(method.loss, f'the loss {method.loss}')}"
    if method.stop:
        yield "stays with the snapshot that comes nearest to held-out weak labels (early stopping)"
