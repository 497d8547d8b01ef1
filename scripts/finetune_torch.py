"""The transformers side of the comparison on GLUE: Trainer with the settings of configs/rte.yaml, mrpc.yaml and sst2.yaml.

Usage: python scripts/finetune_torch.py TASK DATA MODEL SEED [key=value ...]
TASK: rte, mrpc or sst2. DATA: the directory of GLUE's TSV files. MODEL: a Hugging Face directory.
Keys: lr, decay (of weights), epochs, batch, length, steps (stop after so many), sampling (random, or group_by_length), device (cpu or cuda),
precision (fp32, or bf16: autocast).
Prints one line of JSON: the metrics of the dev rows after the last step, and the seconds of training.
Needs torch, transformers, accelerate and datasets; reads local files alone.
"""
import json
import os
import sys
import time

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding, Trainer, TrainingArguments, set_seed

COLUMNS = {"rte": (1, 2, 3), "mrpc": (3, 4, 0), "sst2": (0, None, 1)}
LABELS = {"entailment": 0, "not_entailment": 1}


def rows(task, path, part):
    file = os.path.join(path, part + ".tsv")
    if not os.path.exists(file):
        file = os.path.join(path, part + "_full.tsv")
    with open(file, encoding="utf-8-sig", newline="\n") as f:
        cells = [line.rstrip("\r\n").split("\t") for line in f][1:]
    a, b, y = COLUMNS[task]
    return [c[a] for c in cells], b and [c[b] for c in cells], [LABELS[c[y]] if c[y] in LABELS else int(c[y]) for c in cells]


def main():
    task, path, model_path, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    o = dict(lr="1e-4" if task == "sst2" else "5e-5", decay="0.01", epochs="3", batch="32", length="128", steps="-1", sampling="random", device="cpu", precision="fp32")
    given = dict(a.split("=", 1) for a in sys.argv[5:])
    if given.keys() - o.keys():
        sys.exit("unknown keys: " + ", ".join(sorted(given.keys() - o.keys())))
    o.update(given)
    if o["device"] not in ("cpu", "cuda") or o["device"] == "cuda" and not torch.cuda.is_available():
        sys.exit(f"device={o['device']}: must be cpu, or cuda where there is a GPU")
    if o["precision"] not in ("fp32", "bf16"):
        sys.exit(f"precision={o['precision']}: must be fp32 or bf16")
    torch.set_num_threads(int(os.environ.get("THREADS", "2")))
    tokenizer = AutoTokenizer.from_pretrained(model_path)

    def part(name):
        a, b, y = rows(task, path, name)
        e = tokenizer(a, b or None, truncation=True, max_length=int(o["length"]))
        return Dataset.from_dict({"input_ids": e["input_ids"], "token_type_ids": e["token_type_ids"], "attention_mask": e["attention_mask"], "labels": y})

    def metrics(p):
        y, z = p.label_ids, p.predictions.argmax(1)
        tp, wrong = int(((y == 1) & (z == 1)).sum()), int((y != z).sum())
        return {"accuracy": float((y == z).mean()), "f1": 2 * tp / max(1, 2 * tp + wrong)}

    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(model_path, num_labels=2)
    args = TrainingArguments(
        output_dir=os.path.join("runs", f"torch_{task}_{seed}"), learning_rate=float(o["lr"]), per_device_train_batch_size=int(o["batch"]),
        per_device_eval_batch_size=64, num_train_epochs=float(o["epochs"]), max_steps=int(o["steps"]), warmup_steps=0.1, weight_decay=float(o["decay"]),
        max_grad_norm=1.0, lr_scheduler_type="linear", seed=seed, save_strategy="no", eval_strategy="no", report_to=[], use_cpu=o["device"] == "cpu",
        disable_tqdm=True, train_sampling_strategy=o["sampling"], bf16=o["precision"] == "bf16")
    trainer = Trainer(
        model=model, args=args, train_dataset=part("train"), eval_dataset=part("dev"), data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=metrics, processing_class=tokenizer)
    start = time.time()
    trainer.train()
    seconds = time.time() - start
    e = trainer.evaluate()
    print(json.dumps({"task": task, "seed": seed, **o, "accuracy": e["eval_accuracy"], "f1": e["eval_f1"], "seconds": round(seconds, 1)}))


main()
