"""Writes schedule.json: learning rates of PyTorch's and Hugging Face's schedulers.

    python schedule.py       # torch 2.15.0, transformers
"""
import json
import pathlib

import torch
import transformers
from transformers import optimization as hf

LR, TOTAL = 0.02, 40


def optimizer():
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=LR)


def rates(make, n=TOTAL):
    opt = optimizer()
    s, out = make(opt), []
    for _ in range(n + 1):
        out.append(opt.param_groups[0]["lr"])
        opt.step()
        s.step()
    return out


def plateau(values, **kw):
    opt = optimizer()
    s, out = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, threshold_mode="abs", eps=0, **kw), []
    for v in values:
        s.step(v)
        out.append(opt.param_groups[0]["lr"])
    return {"values": values, "lr": out}


auc = [0.70, 0.72, 0.72, 0.7204, 0.71, 0.73, 0.729, 0.728, 0.727, 0.726, 0.74, 0.70, 0.71, 0.72, 0.73, 0.60]
out = {
    "about": f"written by schedule.py with torch {torch.__version__}, transformers {transformers.__version__}",
    "lr": LR,
    "total": TOTAL,
    "rates": {
        "constant": rates(lambda o: hf.get_constant_schedule(o)),
        "constant warmup": rates(lambda o: hf.get_constant_schedule_with_warmup(o, 7)),
        "linear": rates(lambda o: hf.get_linear_schedule_with_warmup(o, 0, TOTAL)),
        "linear warmup": rates(lambda o: hf.get_linear_schedule_with_warmup(o, 7, TOTAL)),
        "cosine": rates(lambda o: hf.get_cosine_schedule_with_warmup(o, 0, TOTAL)),
        "cosine warmup": rates(lambda o: hf.get_cosine_schedule_with_warmup(o, 7, TOTAL)),
        "cosine cycles": rates(lambda o: hf.get_cosine_schedule_with_warmup(o, 7, TOTAL, num_cycles=1.5)),
        "cosine min": rates(lambda o: hf.get_cosine_with_min_lr_schedule_with_warmup(o, 7, TOTAL, min_lr_rate=0.1)),
        "step": rates(lambda o: torch.optim.lr_scheduler.StepLR(o, 6, gamma=0.5)),
    },
    "plateau": {
        "max": plateau(auc, mode="max", factor=0.5, patience=1, threshold=1e-3, cooldown=0, min_lr=1e-3),
        "min": plateau([1 - v for v in auc], mode="min", factor=0.1, patience=0, threshold=1e-6, cooldown=0, min_lr=1e-6),
        "cooldown": plateau(auc, mode="max", factor=0.5, patience=1, threshold=1e-3, cooldown=2, min_lr=1e-3),
    },
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(out) + "\n")
