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
CGO_ENABLED=0 go test -c -o bin/train.test ./train
for _ in $(seq "$pairs"); do
	ours=$(cd train && ../bin/train.test -test.run '^$' -test.bench "^BenchmarkStep\$/^$model\$/^$mode\$" -test.benchtime 15x | awk '/ms\/step/ { for (i = 1; i < NF; i++) if ($(i+1) == "ms/step") print $i }')
	theirs=$("$python" scripts/bench_torch.py "$model" "$torch_mode" 15 | sed -E 's/.*: ([0-9.]+) ms.*/\1/')
	echo "$ours $theirs"
done | awk -v name="$model $mode" -v what="$what" '
	function median(a, n,   i, j, t) { for (i = 1; i < n; i++) for (j = i+1; j <= n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
		return n % 2 ? a[(n+1)/2] : (a[n/2] + a[n/2+1]) / 2 }
	{ n++; a[n] = $1; b[n] = $2; r[n] = $2 / $1; printf "pair %d: splice %.1f ms, torch %.1f ms, ratio %.2f\n", n, $1, $2, r[n] }
	END { if (!n) exit 1; printf "%s, %s: splice %.1f ms/step, torch %.1f ms/step; torch/splice %.2f (medians of %d pairs)\n", name, what, median(a, n), median(b, n), median(r, n), n }'
