"""PyTorch's modes, and loops that measure in turns with another program: steps, epochs with their data, inference in batches and of single rows.

Each prints a line "ready" when it is warm, and for each line of standard input one of milliseconds and the process's peak memory in MB, and of single
rows the 99th percentile after them.
"""
import json
import os
import resource
import sys
import time

import numpy as np
import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler

MODES = ["eager", "matmul-bf16", "autocast", "compile", "compile-matmul-bf16", "compile-autocast"]
MEASURES = ["step", "epoch", "inference", "single"]


def use(mode, f, dynamic=None):
    """f as it runs in a mode."""
    if mode not in MODES:
        sys.exit(f"unknown mode {mode}: want one of {MODES}")
    if mode.endswith("matmul-bf16"):
        torch.backends.mkldnn.matmul.fp32_precision = "bf16"
    if mode.startswith("compile"):
        f = torch.compile(f, dynamic=dynamic)

    def run(*b):
        with torch.autocast("cpu", torch.bfloat16, enabled=mode.endswith("autocast")):
            return f(*b)
    return run


def turns(turn):
    """Answers each line of standard input by what turn returns."""
    print("ready", flush=True)
    for _ in sys.stdin:
        ms, *rest = turn()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{ms:.5f} {peak:.0f}" + "".join(f" {x:.5f}" for x in rest), flush=True)


def optimize(opts, loss, clip, b):
    """A training step."""
    for o in opts:
        o.zero_grad(set_to_none=True)
    loss(*b).backward()
    clip()
    for o in opts:
        o.step()


def clock(f, *a):
    """The milliseconds that f takes."""
    start = time.perf_counter()
    f(*a)
    return 1000 * (time.perf_counter() - start)


def serve(mode, steps, data, loss, opts, clip=lambda: None, dynamic=None):
    """Turns are the median of steps over batches in memory, after 10 to warm up. loss takes the parts of a batch. clip runs between backward and the optimizers."""
    loss, at = use(mode, loss, dynamic), 0

    def step():
        nonlocal at
        at += 1
        return clock(optimize, opts, loss, clip, data[at % len(data)])

    for _ in range(max(10, len(data))):
        step()

    def turn():
        for _ in range(max(3, steps // 3)):  # what other programs took of the caches since
            step()
        return (np.median([step() for _ in range(steps)]),)
    turns(turn)


def epochs(mode, rows, batch, loss, opts, clip=lambda: None, dynamic=None):
    """Turns are an epoch over a Dataset of whole batches, in the faster of two loaders: in the process, or with a worker beside it."""
    loss = use(mode, loss, dynamic)

    def epoch(loader):
        for b in loader:
            optimize(opts, loss, clip, b)
    loaders = [DataLoader(rows, batch_sampler=rows.order(batch), collate_fn=lambda b: b, num_workers=n, persistent_workers=n > 0) for n in (0, 1)]
    epoch(loaders[0])
    fastest = min(loaders, key=lambda loader: min(clock(epoch, loader) for _ in range(2)))
    turns(lambda: (clock(epoch, fastest),))


def infer(mode, steps, data, forward, single, dynamic=None):
    """Turns are the median of batches, or of single rows the median and the 99th percentile, in inference mode. Compiled weights are frozen: packed once."""
    import torch._inductor.config as inductor
    inductor.freezing = True
    if single:
        data = [[x[i:i + 1].clone() for x in b] for b in data for i in range(min(16, len(b[0])))]
    with torch.inference_mode():
        forward, at = use(mode, forward, dynamic), 0

        def once():
            nonlocal at
            at += 1
            return clock(forward, *data[at % len(data)])
        n = 100 * steps if single else steps
        for _ in range(max(10, min(n, 100))):
            once()

        def turn():
            for _ in range(max(3, n // 3)):
                once()
            times = sorted(once() for _ in range(n))
            return (np.median(times), times[(n - 1) * 99 // 100]) if single else (np.median(times),)
        turns(turn)


class Rows(Dataset):
    """Tensors of all rows, of which whole batches are indexed at once. prepare makes of a batch's parts what the loss takes."""

    def __init__(self, *tensors, prepare=lambda *b: b):
        self.tensors, self.prepare = tensors, prepare

    def __len__(self):
        return len(self.tensors[0])

    def __getitems__(self, rows):
        rows = torch.as_tensor(rows)
        return self.prepare(*(t[rows] for t in self.tensors))

    def order(self, batch):
        return BatchSampler(RandomSampler(self), batch, False)


class Texts(Rows):
    """Rows of token ids that lie one after the other. Batches are of rows of about equal length, padded to their longest."""

    def __init__(self, ids, lengths, labels):
        self.ids, self.lengths, self.labels, self.starts = ids, lengths, labels, lengths.cumsum(0) - lengths

    def __len__(self):
        return len(self.lengths)

    def __getitems__(self, rows):
        rows = torch.as_tensor(rows)
        n, at = self.lengths[rows], torch.arange(int(self.lengths[rows].max()))
        mask = at < n[:, None]
        ids = self.ids[(self.starts[rows][:, None] + at).clamp(max=len(self.ids) - 1)] * mask
        return ids, mask.long(), self.labels[rows]

    def order(self, batch):
        return ByLength(self.lengths, batch)


class ByLength:
    """Batches of a random order whose runs of 50 batches are sorted by length, as transformers' group_by_length has it."""

    def __init__(self, lengths, batch):
        self.lengths, self.batch = lengths, batch

    def __len__(self):
        return -(-len(self.lengths) // self.batch)

    def __iter__(self):
        order = torch.randperm(len(self.lengths))
        for window in order.split(50 * self.batch):
            window = window[self.lengths[window].argsort(descending=True)].split(self.batch)
            for k in torch.randperm(len(window)):
                yield window[k].tolist()


def encoded(folder):
    """What `bench` wrote of encoded rows: the description, and a function that reads a file of numbers."""
    with open(os.path.join(folder, "rows.json")) as f:
        return json.load(f), lambda name, kind: torch.from_numpy(np.fromfile(os.path.join(folder, name), kind))
