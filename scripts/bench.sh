#!/usr/bin/env bash
# Times the training step against PyTorch's, in turns on this machine, and prints medians and the ratio of each pair.
# Usage: scripts/bench.sh [MODEL=deepfm] [MODE=lazy|dense] [PAIRS=5]      PYTHON=python3 (with torch)
#        scripts/bench.sh minilm TOKENS=16|32|64|128 [PAIRS=5]            a 6x384 encoder, 32 rows of so many tokens (with transformers)
set -euo pipefail
cd "$(dirname "$0")/.."
model=${1:-deepfm} mode=${2:-lazy} pairs=${3:-5} python=${PYTHON:-python3}
what="batch 4096, 39 fields, 1M rows, embedding 16, 400x3" torch_mode=$mode
[ "$mode" != lazy ] || torch_mode=sparse
if [ "$model" = minilm ]; then
	[ "$mode" != lazy ] || mode=32 torch_mode=32
	what="32 rows of $mode tokens, 6 layers of 384, AdamW"
fi
mkdir -p bin
CGO_ENABLED=0 go build -o bin/table ./cmd/table
CGO_ENABLED=0 go test -c -o bin/train.test ./train
number() { grep -oE "$1" | grep -oE '[0-9]+(\.[0-9]+)?'; }
echo "$model $mode, $what; milliseconds a step:"
for _ in $(seq "$pairs"); do
	ours=$(cd train && ../bin/train.test -test.run '^$' -test.bench "^BenchmarkStep\$/^$model\$/^$mode\$" -test.benchtime 15x | number '[0-9.]+ ms/step')
	theirs=$("$python" scripts/bench_torch.py "$model" "$torch_mode" 15 | number ': [0-9.]+ ms')
	echo "$ours $theirs"
done | bin/table --pairs splice,torch
