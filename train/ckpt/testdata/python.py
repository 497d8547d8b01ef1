"""Writes python.safetensors: a file of Python's safetensors with every type, and no checksum of ours.

    python python.py         # safetensors 0.8.0, numpy, torch
"""
import pathlib

import torch
from safetensors.torch import save_file

values = [0.0, 1.0, -2.5, 3.140625, 0.0078125, 100.0]
half = torch.tensor([0.0, -0.0, 1.0, -2.5, 65504.0, 6.103515625e-05, 5.960464477539063e-08, float("inf")])
save_file(
    {
        "f64": torch.tensor(values, dtype=torch.float64).reshape(2, 3),
        "f32": torch.tensor(values, dtype=torch.float32).reshape(3, 2),
        "f16": half.to(torch.float16),
        "bf16": torch.tensor(values, dtype=torch.bfloat16),
        "i64": torch.tensor([0, -1, 1 << 24], dtype=torch.int64),
        "big": torch.tensor([(1 << 24) + 1, 1 << 62], dtype=torch.int64),
        "i32": torch.tensor([0, -1, 7], dtype=torch.int32),
        "i16": torch.tensor([0, -1, 7], dtype=torch.int16),
        "i8": torch.tensor([0, -1, 7], dtype=torch.int8),
        "u8": torch.tensor([0, 255, 7], dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "scalar": torch.tensor(4.5),
        "empty": torch.zeros(0, 3),
        "naïve \"name\"": torch.ones(1),
    },
    str(pathlib.Path(__file__).with_suffix(".safetensors")),
    metadata={"format": "pt", "note": "a ≤ b"},
)
