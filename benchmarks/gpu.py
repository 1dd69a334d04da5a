"""What finetuning makes of a GPU: GPT-2-medium and -xl shapes, w2s and transformers' Trainer, in bf16.

Run `python -m benchmarks.gpu` where there is a GPU (minutes; no network: weights are random). Printed are, beside what
`benchmarks.finetuning` prints, the rate of large bf16 matrix products, measured here, and which share of it learning
is, at 6 FLOPs a weight and token.
"""

import sys
import time

import torch

from benchmarks.finetuning import ON_GPU, SHAPES, compare

SIDE = 8192  # of the matrices
PRODUCTS = 50


def matmul_rate() -> float:
    """FLOPs a second."""
    one, other = (torch.randn(SIDE, SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for repeats in (5, PRODUCTS):  # the first ones warm up
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            one @ other
        torch.cuda.synchronize()
    return PRODUCTS * 2 * SIDE**3 / (time.perf_counter() - start)


def main() -> None:
    if not ON_GPU:
        sys.exit("no GPU here")
    peak = matmul_rate()
    print(f"{torch.cuda.get_device_name()}: {peak / 1e12:.0f} TFLOP/s in bf16 products of {SIDE} × {SIDE}")
    for model in ("medium", "xl"):
        width, layers, *_ = SHAPES[model]
        weights = 12 * layers * width**2
        for side, found in compare(model, rounds=1).items():
            print(f"{model:8} {side}: {6 * weights * found['tokens a second'] / peak:.0%} of that")


if __name__ == "__main__":
    main()
