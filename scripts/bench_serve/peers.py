"""A server as teams write it in Python: FastAPI on uvicorn, with the model of a Splice run in PyTorch or ONNX Runtime. It answers POST /v1/score as cmd/serve does.

Usage: SERVE_RUN=runs/NAME SERVE_KIND=torch|onnx SERVE_THREADS=1 uvicorn --app-dir scripts/bench_serve peers:app --workers 2 --no-access-log

The run is a DeepFM over Criteo's layout with numeric: {transform: log1p} and vocabularies. Its vocabularies, weights and sizes are read from the run, so that the
scores are those of cmd/serve but for rounding. Categorical columns share one table, which takes one lookup a row.
"""
import io
import json
import math
import os

import numpy as np
import orjson
import torch
import zstandard
from fastapi import FastAPI, Request, Response
from safetensors.numpy import load_file

RUN, KIND, THREADS = os.environ["SERVE_RUN"], os.environ["SERVE_KIND"], int(os.environ.get("SERVE_THREADS", "1"))
torch.set_num_threads(THREADS)
torch.set_grad_enabled(False)

with open(os.path.join(RUN, "features.json.zst"), "rb") as f:
    features = json.load(zstandard.ZstdDecompressor().stream_reader(f))
weights = {k: torch.from_numpy(v) for k, v in load_file(os.path.join(RUN, "model.safetensors")).items()}
numbers = [f for f in features["features"] if f.get("transform")]
tables = {t["name"]: t for t in features["tables"]}
columns, rows = [], 0  # name, ids by token, first row of the common table
for f in features["features"]:
    if not f.get("transform"):
        tokens = tables[f["table"]]["tokens"]
        columns.append((f["name"], {t: 2 + i for i, t in enumerate(tokens)}, rows))
        rows += 2 + len(tokens)


class DeepFM(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.cat([weights[f"embedding.{name}.weight"] for name, _, _ in columns]))
        self.linear = torch.nn.Parameter(torch.cat([weights[f"linear.{name}.weight"] for name, _, _ in columns]))
        self.number = torch.nn.Parameter(torch.cat([weights[f"embedding.{f['name']}.weight"] for f in numbers]))
        self.slope = torch.nn.Parameter(torch.cat([weights[f"linear.{f['name']}.weight"] for f in numbers]))
        self.bias = torch.nn.Parameter(weights["linear.bias"].reshape(1))
        layers = []
        for i in range(sum(k.startswith("mlp.") and k.endswith(".bias") for k in weights)):
            w, b = weights[f"mlp.{i}.weight"], weights[f"mlp.{i}.bias"]
            layer = torch.nn.Linear(w.shape[1], w.shape[0])
            layer.weight.copy_(w)
            layer.bias.copy_(b)
            layers += [layer, torch.nn.ReLU()]
        self.mlp = torch.nn.Sequential(*layers[:-1])

    def forward(self, ids, x):
        e = torch.cat([x.unsqueeze(2) * self.number, self.table[ids]], 1)  # [B, 39, D], in the order of the columns
        first = x @ self.slope + self.linear[ids].sum(1) + self.bias
        total = e.sum(1)
        pairs = 0.5 * (total * total - (e * e).sum(1)).sum(1, keepdim=True)
        return torch.sigmoid(first + pairs + self.mlp(e.flatten(1)))


model = DeepFM().eval()
if KIND == "onnx":
    import onnxruntime

    buffer = io.BytesIO()
    batch = torch.export.Dim("batch")
    program = torch.onnx.export(model, (torch.zeros(2, len(columns), dtype=torch.int64), torch.zeros(2, len(numbers))), dynamo=True,
                                input_names=["ids", "x"], output_names=["p"], dynamic_shapes=({0: batch}, {0: batch}), verbose=False)
    program.save(buffer)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(buffer.getvalue(), options, providers=["CPUExecutionProvider"])


def log1p(v):
    v = float(v) if v not in (None, "") else math.nan
    return 0.0 if math.isnan(v) else math.copysign(math.log1p(abs(v)), v)


def score(rows):
    x = np.array([[log1p(r[f["name"]]) for f in numbers] for r in rows], dtype=np.float32)
    ids = np.array([[first + known.get(r[name] or "", 1) for name, known, first in columns] for r in rows], dtype=np.int64)
    if KIND == "onnx":
        return session.run(None, {"ids": ids, "x": x})[0][:, 0]
    return model(torch.from_numpy(ids), torch.from_numpy(x)).numpy()[:, 0]


app = FastAPI()


@app.post("/v1/score")
async def v1_score(request: Request):
    p = score(orjson.loads(await request.body())["rows"])
    return Response(orjson.dumps({"scores": p.tolist()}), media_type="application/json")


@app.get("/v2/health/ready")
async def ready():
    return {"ready": True}
