"""Checks the ONNX files of a directory and prints what ONNX Runtime computes of them, as JSON.

Made with onnx 1.23.2 and onnxruntime 1.32.0:

    SPLICE_ONNX_DIR=DIR go test -run TestRuntime ./models/onnx
    python models/onnx/testdata/onnx_expected.py DIR > models/onnx/testdata/onnx_expected.json
"""

import glob
import hashlib
import json
import sys

import numpy as np
import onnx
import onnxruntime


def run(path, case):
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {}
    for name, x in case["inputs"].items():
        values = np.array(x["ints"], np.int64) if "ints" in x else np.array(x["floats"], np.float32)
        feeds[name] = values.reshape(x["shape"])
    names = [o.name for o in session.get_outputs()]
    out = dict(zip(names, session.run(names, feeds)))

    # The rows of a batch are those that each is alone, and padding of lists is padding however much there is.
    first = {k: v[:1] for k, v in feeds.items()}
    alone = session.run(["logits"], {k: np.pad(v, [(0, 0), (0, 3)]) if longer(case, k, v) else v for k, v in first.items()})[0]
    np.testing.assert_allclose(alone, out["logits"][:1], rtol=1e-5, atol=1e-5)

    with open(path, "rb") as f:
        result = {"sha256": hashlib.sha256(f.read()).hexdigest()}
    for name in names:
        result[name] = [float(f"{v:.9g}") for v in out[name].ravel().tolist()]
    return result


def longer(case, name, x):
    """Whether an input is a list, of which the graph takes longer ones too: texts have a table of places."""
    return x.ndim == 2 and x.dtype == np.int64 and name not in ("input_ids", "attention_mask", "token_type_ids")


def main(directory):
    results = {}
    for path in sorted(glob.glob(directory + "/*.json")):
        with open(path) as f:
            case = json.load(f)
        try:
            results[case["name"]] = run(path[: -len("json")] + "onnx", case)
        except Exception as e:
            sys.exit(f"{case['name']}: {e}")
    json.dump(results, sys.stdout, indent=None, sort_keys=True, separators=(",", ":"))
    print()


main(sys.argv[1])
