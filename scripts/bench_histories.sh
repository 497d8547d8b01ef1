#!/usr/bin/env bash
# Times the training step of models of histories against PyTorch's, on the same rows, in turns on this machine. It prints the mean of our steps and
# the median of PyTorch's, which leaves out the steps that it compiles in, in
# milliseconds, and the peak memory of both, PyTorch in each of its modes, then medians over the pairs and ratios.
# Usage: scripts/bench_histories.sh MODEL FILE [PAIRS=3] [STEPS=40]      PYTHON=python3 (with torch) THREADS=2 MODES="eager compile bf16 compile-bf16"
# MODEL: din, gru4rec, sasrec or duet_* of configs/ml100k_*.yaml (FILE is u.data), next_full (configs/beauty_sasrec.yaml, beauty.txt) or
# next_sampled (configs/beauty_core_sasrec.yaml, Beauty.txt).
set -euo pipefail
cd "$(dirname "$0")/.."
model=$1 file=$2 pairs=${3:-3} steps=${4:-40} python=${PYTHON:-python3}
export THREADS=${THREADS:-2}
case $model in
next_full) config=beauty_sasrec ;;
next_sampled) config=beauty_core_sasrec ;;
*) config=ml100k_$model ;;
esac
mkdir -p bin
CGO_ENABLED=0 go build -o bin/ ./cmd/train ./cmd/table
peak='import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print("peak", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024, "MB")'
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
ours() { # the mean of the steps after the first 8, from two trainings, and the larger one's peak memory
	local n seconds=()
	for n in 8 $((8 + steps)); do
		"$python" -c "$peak" bin/train --quiet --config "configs/$config.yaml" --run "$out/run" --overwrite --set fallback=none --set "data.path=$file" --set threads="$THREADS" \
			--set train.epochs=1000 --set train.max_steps="$n" --set task.metrics="$metric" >"$out/log"
		seconds+=("$(grep -oE '[0-9.]+ s of training' "$out/log" | grep -oE '^[0-9.]+')")
	done
	awk -v a="${seconds[0]}" -v b="${seconds[1]}" -v n="$steps" 'BEGIN { printf "%.1f\n", 1000 * (b - a) / n }'
}
case $model in next_*) metric='["hr@10"]' ;; *) metric='[auc]' ;; esac
for i in $(seq "$pairs"); do
	t=$(ours)
	line="splice $t ($(grep -oE 'peak [0-9]+ MB' "$out/log"))"
	for mode in ${MODES:-eager compile bf16 compile-bf16}; do
		"$python" scripts/histories_torch.py step "$model" "$file" mode="$mode" steps="$steps" >"$out/torch"
		m=$(grep -oE '[0-9.]+ ms a step' "$out/torch" | cut -d' ' -f1)
		line="$line, torch $mode $m ($(grep -oE 'peak [0-9]+ MB' "$out/torch"))"
		echo "$t $m" >>"$out/pairs.$mode"
	done
	echo "pair $i: $line"
done
for mode in ${MODES:-eager compile bf16 compile-bf16}; do
	bin/table --pairs "splice,torch $mode" <"$out/pairs.$mode"
done
