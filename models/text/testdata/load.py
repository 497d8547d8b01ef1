"""Loads directories that TestFiles wrote in transformers and compares their logits with parity.json's.

    SPLICE_EXPORT=/tmp/export go test ./models/text -run TestFiles
    python load.py /tmp/export         # torch 2.15, transformers 5.23: all differences at most 1.1e-6, nothing missing or unexpected
"""
import json
import os
import sys

import torch
import transformers

here = os.path.dirname(os.path.abspath(__file__))
for c in json.load(open(os.path.join(here, "parity.json"))):
    path = os.path.join(sys.argv[1], c["name"].replace("/", "_"))
    if not os.path.isdir(path):
        continue
    config = transformers.AutoConfig.from_pretrained(path)
    kind = getattr(transformers, config.architectures[0])
    m, info = kind.from_pretrained(path, output_loading_info=True)
    trouble = {k: v for k, v in info.items() if v}
    shape = (len(c["len"]), -1)
    live = torch.tensor([[int(i < n) for i in range(8)] for n in c["len"]])
    with torch.no_grad():
        z = m.eval()(input_ids=torch.tensor(c["ids"]).view(shape), token_type_ids=torch.tensor(c["segments"]).view(shape),
                     attention_mask=live).logits
    if "mlm" in c["name"]:
        z = z[torch.tensor(c["labels"]).view(shape) >= 0]
    worst = (z.double().ravel() - torch.tensor(c["logits"]).double()).abs().max().item()
    print(c["name"], kind.__name__, config.id2label, config.problem_type, m.dtype, f"worst difference {worst:.1e}", trouble)
    assert worst < 1e-5 and not trouble
