"""Checks a server of runs with a client of the Open Inference Protocol that others wrote: tritonclient, which KServe's users have too.

    python3 -m venv bin/serve-venv && bin/serve-venv/bin/pip install -q -r scripts/serve/requirements.txt
    go run ./cmd/serve --run runs/NAME --listen 127.0.0.1:8080
    bin/serve-venv/bin/python scripts/serve/conformance.py 127.0.0.1:8080 NAME [rows.json]

rows.json has {"rows": [...]} as /v1/score takes them; without it, each column is blank. Every way of sending tensors must give the scores that
/v1/score gives. Prints a line for each check; the exit code is 1 if one fails.
"""
import json
import sys
import urllib.error
import urllib.request

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

NUMPY = {"BYTES": np.object_, "FP32": np.float32, "FP64": np.float64, "INT64": np.int64}
failed = 0


def check(what, ok, detail=""):
    global failed
    failed += not ok
    print("ok  " if ok else "FAIL", what, "" if ok else detail)


def score(address, model, rows):
    path = "score"
    while True:
        body = json.dumps({"model": model, "rows": rows}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(f"http://{address}/v1/{path}", body)) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            if path == "recommend" or "recommend" not in e.read().decode():
                raise
            path = "recommend"


def plain(v):
    """Lists of strings in the place of arrays, whose elements are bytes if they were sent so."""
    return [plain(x) for x in v] if isinstance(v, np.ndarray) else v.decode() if isinstance(v, bytes) else v


def inputs(meta, rows, binary, flat):
    tensors = []
    for column in meta["inputs"]:
        values = [row[column["name"]] for row in rows]
        lists = len(column["shape"]) == 2
        kind = column["datatype"]
        if any(v is None for v in values) and kind != "BYTES":
            kind = "BYTES"  # numpy has no blank number; its text is one
        if lists:  # as the JSON array that a value may be
            values = [json.dumps(v) if isinstance(v, list) else v or "" for v in values]
        if kind == "BYTES":
            values = ["" if v is None else str(v) for v in values]
        array = np.array(values, dtype=NUMPY[kind])
        array = array if flat else array.reshape(-1, 1)
        t = triton.InferInput(column["name"], list(array.shape), kind)
        t.set_data_from_numpy(array, binary_data=binary)
        assert np_to_triton_dtype(array.dtype) == kind
        tensors.append(t)
    return tensors


def main(address, model, path=None):
    client = triton.InferenceServerClient(address)
    check("live", client.is_server_live())
    check("ready", client.is_server_ready())
    check("model ready", client.is_model_ready(model))
    check("no such model is not ready", not client.is_model_ready(model + "-none"))
    server = client.get_server_metadata()
    check("server metadata", {"name", "version", "extensions"} <= server.keys(), server)
    meta = client.get_model_metadata(model)
    check("model metadata", {"name", "versions", "platform", "inputs", "outputs"} <= meta.keys(), meta)
    version = meta["versions"][0]
    check("model ready, by version", client.is_model_ready(model, version))
    rows = [{c["name"]: None for c in meta["inputs"]}] * 3
    if path:
        with open(path) as f:
            rows = json.load(f)["rows"]
    want = score(address, model, rows)
    outputs = [o["name"] for o in meta["outputs"]]
    for binary in (False, True):
        for flat in (False, True):
            for wanted in (None, [triton.InferRequestedOutput(n, binary_data=binary) for n in outputs]):
                what = f"infer, binary {binary}, flat {flat}, outputs {'named' if wanted else 'all'}"
                r = client.infer(model, inputs(meta, rows, binary, flat), outputs=wanted, request_id="7", model_version=version if flat else "")
                answer = r.get_response()
                check(what + ": id, name, version", (answer.get("id"), answer["model_name"], answer["model_version"]) == ("7", model, version), answer)
                first = r.as_numpy(outputs[0])
                if outputs[0] == "score":
                    same = first.dtype == np.float32 and np.array_equal(first, np.array(want["scores"], dtype=np.float32))
                else:
                    key = "items" if outputs[0] == "items" else "scores"
                    same = plain(first) == want[key]
                check(what + ": scores", same, f"{first} is not {want}")
    for what, call in {
        "a missing input": lambda: client.infer(model, inputs(meta, rows, True, True)[1:] or [triton.InferInput("none", [1], "BYTES")]),
        "no such output": lambda: client.infer(model, inputs(meta, rows, True, True), outputs=[triton.InferRequestedOutput("none")]),
        "no such model": lambda: client.infer(model + "-none", inputs(meta, rows, True, True)),
        "no such version": lambda: client.infer(model, inputs(meta, rows, True, True), model_version="none"),
    }.items():
        try:
            call()
            check(what + " is an error", False, "there is none")
        except InferenceServerException as e:
            check(what + " is an error", bool(e.message()), e)
    return failed > 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
