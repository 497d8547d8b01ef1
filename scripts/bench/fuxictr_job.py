"""FuxiCTR's side of the whole job: from a raw file of Criteo's layout to the metrics of its test rows.

Usage: python scripts/bench/fuxictr_job.py MODEL FILE ROWS DIR [min_count=10] [embedding=16] [hidden=400,400,400] [cross=3] [dropout=0.1] [batch=4096]
       [epochs=1] [rate=0.001] [clip=10] [seed=1]
MODEL: deepfm or dcnv2. The first 80 % of FILE's ROWS rows are for training, then 10 % for validation and 10 % for the test. DIR is an empty folder
for what FuxiCTR writes: encoded rows and weights.
The data goes through FuxiCTR's FeatureProcessor, its encoding and its loader of Parquet files; the model is put together of its layers, as its
package holds none of its model zoo but those of long histories; its trainer fits it and evaluates it. Numbers are sign(v) ln(1 + |v|) and missing
ones 0; categories rarer than min_count in the training rows are one. The weights of numbers start as those of categories do.
Prints a line of JSON: auc and logloss of the test rows, the ids of all columns, and the seconds of encoding, of training with validation, and of the test.
Environment: THREADS (2). Needs the packages of scripts/bench/requirements_fuxictr.txt.
"""
import json
import logging
import os
import sys
import time

THREADS = int(os.environ.get("THREADS", "2"))
os.environ.setdefault("POLARS_MAX_THREADS", str(THREADS))
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
import polars as pl
import ray
import torch
from fuxictr.preprocess import FeatureProcessor, build_dataset
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import CrossNetV2, FactorizationMachine, FeatureEmbedding, FeatureEmbeddingDict, MLP_Block
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything

NUMERIC, CATEGORICAL = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]


class Criteo(FeatureProcessor):
    """Reads parts of one file without a header: a path is FILE:FIRST:COUNT."""

    def read_data(self, data_path, **_):
        path, first, count = data_path.rsplit(":", 2)
        names = ["label"] + NUMERIC + CATEGORICAL
        types = {n: pl.Float64 if n in NUMERIC or n == "label" else pl.String for n in names}
        return pl.scan_csv(path, separator="\t", has_header=False, schema=types, quote_char=None).slice(int(first), int(count))

    def log1p(self, column):
        v = pl.col(column)
        return v.sign() * v.abs().log1p()


class Model(BaseModel):
    """DeepFM, or DCN-V2 whose cross layers and tower are parallel."""

    def __init__(self, feature_map, kind, o, **common):
        super().__init__(feature_map, model_id=kind, **common)
        width, hidden = int(o["embedding"]), [int(n) for n in o["hidden"].split(",")]
        self.embedding, self.kind = FeatureEmbedding(feature_map, width), kind
        flat, tower = width * feature_map.num_fields, dict(hidden_units=hidden, dropout_rates=float(o["dropout"]))
        if kind == "deepfm":
            self.fm, self.tower = FactorizationMachine(feature_map), MLP_Block(flat, output_dim=1, **tower)
        else:
            self.cross, self.tower = CrossNetV2(flat, int(o["cross"])), MLP_Block(flat, **tower)
            self.head = torch.nn.Linear(flat + hidden[-1], 1)
        self.compile("adam", "binary_crossentropy", float(o["rate"]))
        self.reset_parameters()
        for m in self.modules():  # which would start numbers at weights of .3, and logits in the dozens
            if isinstance(m, FeatureEmbeddingDict):
                for layer in m.embedding_layers.values():
                    if isinstance(layer, torch.nn.Linear):
                        torch.nn.init.normal_(layer.weight, 0, 1e-4)
        self.model_to_device()

    def forward(self, inputs):
        x = self.get_inputs(inputs)
        e = self.embedding(x)
        flat = e.flatten(1)
        if self.kind == "deepfm":
            z = self.fm(x, e) + self.tower(flat)
        else:
            z = self.head(torch.cat([self.cross(flat), self.tower(flat)], 1))
        return {"y_pred": self.output_activation(z)}


def main():
    o = dict(min_count="10", embedding="16", hidden="400,400,400", cross="3", dropout="0.1", batch="4096", epochs="1", rate="0.001", clip="10", seed="1")
    if len(sys.argv) < 5 or sys.argv[1] not in ("deepfm", "dcnv2"):
        sys.exit(__doc__)
    kind, path, rows, out = sys.argv[1], os.path.abspath(sys.argv[2]), int(sys.argv[3]), os.path.abspath(sys.argv[4])
    given = dict(a.split("=", 1) for a in sys.argv[5:])
    if given.keys() - o.keys():
        sys.exit("unknown keys: " + ", ".join(sorted(given.keys() - o.keys())))
    o.update(given)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    torch.set_num_threads(THREADS)
    seed_everything(int(o["seed"]))
    start = time.perf_counter()
    features = [{"name": n, "active": True, "dtype": "float", "type": "numeric", "preprocess": f"log1p({n})"} for n in NUMERIC]
    features += [{"name": n, "active": True, "dtype": "str", "type": "categorical"} for n in CATEGORICAL]
    p = Criteo(features, {"name": "label", "dtype": "float"}, dataset_id="criteo", data_root=out)
    ray.init(num_cpus=THREADS, logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False, _temp_dir=os.path.join(out, "ray"),
             runtime_env={"env_vars": {"PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}})
    a, b = rows * 8 // 10, rows * 9 // 10
    parts = [f"{path}:{lo}:{hi - lo}" for lo, hi in ((0, a), (a, b), (b, rows))]
    train, valid, test = build_dataset(p, *parts, min_categr_count=int(o["min_count"]))
    encoded = time.perf_counter()
    load = dict(feature_map=p.feature_map, train_data=train, valid_data=valid, test_data=test, batch_size=int(o["batch"]), data_format="parquet")
    model = Model(p.feature_map, kind, o, gpu=-1, verbose=0, model_root=out, metrics=["AUC", "logloss"], monitor="AUC", monitor_mode="max")
    train_rows, valid_rows = RankDataLoader(stage="train", shuffle=True, **load)
    model.fit(train_rows, validation_data=valid_rows, epochs=int(o["epochs"]), max_gradient_norm=float(o["clip"]))
    fitted = time.perf_counter()
    m = model.evaluate(RankDataLoader(stage="test", **load))
    end = time.perf_counter()
    print(json.dumps({"auc": m["AUC"], "logloss": m["logloss"], "ids": p.feature_map.total_features, "encode": encoded - start, "train": fitted - encoded, "test": end - fitted}))


if __name__ == "__main__":
    main()
