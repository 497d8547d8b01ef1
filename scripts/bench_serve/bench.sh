#!/usr/bin/env bash
# Measures cmd/serve against FastAPI with PyTorch and ONNX Runtime: one DeepFM with a tower of 400x3 over 39 columns, requests of one row, and of 100.
#   scripts/bench_serve/bench.sh [--seconds 10] [--rounds 3] [--servers splice,torch,onnx] ...      flags of bench.py
# wrk must be installed (apt-get install wrk). The peers get an environment of their own in bin/serve-bench. Without RUN=runs/NAME, a run over
# synthetic rows is trained first; RUN is a run of configs/criteo_deepfm.yaml, ROWS a file of rows of Criteo's layout.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk" >&2; exit 2; }
go build -o bin/ ./cmd/serve ./cmd/train
python=bin/serve-bench/bin/python
[ -x "$python" ] || { python3 -m venv bin/serve-bench && "$python" -m pip install -q -r scripts/bench_serve/requirements.txt; }
run=${RUN:-runs/bench_serve}
[ -f "$run/result.json" ] || bin/train --config configs/criteo_deepfm.yaml --run "$run" --overwrite --set train.epochs=1 --set model.net_dropout=0
rows=${ROWS:-datasets/criteo_synth.tsv} # where the training has put them
[ -f "$rows" ] || { echo "$rows is missing: set ROWS to a file of rows of Criteo's layout" >&2; exit 2; }
for n in 1 100; do
	"$python" scripts/bench_serve/bench.py --serve bin/serve --run "$run" --rows "$rows" --request-rows "$n" "$@"
done
