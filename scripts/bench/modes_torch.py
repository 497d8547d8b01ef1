"""PyTorch's modes, and a loop that times steps in turns with another program's."""
import resource
import sys
import time

import numpy as np
import torch

MODES = ["eager", "matmul-bf16", "autocast", "compile", "compile-matmul-bf16", "compile-autocast"]


def serve(mode, steps, data, loss, opts, clip=lambda: None, dynamic=None):
    """Warms up by 10 steps over data, prints ready, and for each line of standard input the median milliseconds of steps and the peak MB.

    loss takes the parts of a batch. clip runs between backward and the optimizers.
    """
    if mode not in MODES:
        sys.exit(f"unknown mode {mode}: want one of {MODES}")
    if mode.endswith("matmul-bf16"):
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    if mode.startswith("compile"):
        loss = torch.compile(loss, dynamic=dynamic)
    at = 0

    def step():
        nonlocal at
        b, at = data[at % len(data)], at + 1
        start = time.perf_counter()
        for o in opts:
            o.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=mode.endswith("autocast")):
            v = loss(*b)
        v.backward()
        clip()
        for o in opts:
            o.step()
        return 1000 * (time.perf_counter() - start)

    for _ in range(max(10, len(data))):
        step()
    print("ready", flush=True)
    for _ in sys.stdin:
        for _ in range(max(3, steps // 3)):  # what other programs took of the caches since
            step()
        times = [step() for _ in range(steps)]
        print(f"{np.median(times):.3f} {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}", flush=True)
