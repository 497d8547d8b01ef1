#!/usr/bin/env bash
# Keeps cmd/serve under half its highest rate for ten minutes, with reloads every five seconds and broken runs among them.
#   scripts/bench_serve/soak.sh [--minutes 10] [--every 5] [--rate 0]      flags of soak.py
# vegeta, which makes the load, is installed into bin/. Two runs over synthetic rows are trained first, if they are not there.
set -euo pipefail
cd "$(dirname "$0")/../.."
go build -o bin/ ./cmd/serve ./cmd/train
[ -x bin/vegeta ] || GOBIN="$PWD/bin" GOFLAGS= go install github.com/tsenart/vegeta/v12@v12.13.0
runs=()
for seed in 1 2; do
	run=runs/soak_serve_$seed
	[ -f "$run/result.json" ] || bin/train --config configs/criteo_deepfm.yaml --run "$run" --overwrite --set train.epochs=1 --set "seed=$seed"
	runs+=("$run")
done
python3 scripts/bench_serve/soak.py --serve bin/serve --vegeta bin/vegeta --runs "$(IFS=,; echo "${runs[*]}")" --rows "${ROWS:-datasets/criteo_synth.tsv}" "$@"
