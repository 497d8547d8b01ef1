#!/usr/bin/env bash
# Fine-tunes MiniLM-L6 on a task of GLUE with several seeds, each here and with transformers' Trainer in turns, and prints the dev rows'
# metrics after the last step and the seconds of the whole commands, from texts and weights to the dev rows' metrics. It prints each run,
# means with standard deviations, medians and paired differences. (The seconds in result.json are those of the steps alone, the seconds
# in runs/torch those of Trainer.train.)
# Usage: scripts/finetune_pairs.sh TASK=rte|mrpc|sst2 DATA [SEEDS=5] [EPOCHS=3]     PYTHON=python3 (see finetune_torch.py) THREADS=2
# DATA is the directory of GLUE's TSV files. Runs go to runs/seeds/TASK-SEED and runs/torch; those that are there are not made again.
set -euo pipefail
cd "$(dirname "$0")/.."
task=$1 data=$2 seeds=${3:-5} epochs=${4:-3} python=${PYTHON:-python3}
export THREADS=${THREADS:-2}
mkdir -p bin runs/seeds runs/torch
CGO_ENABLED=0 go build -o bin/ ./cmd/finetune ./cmd/table
timed() { # FILE COMMAND...: runs the command and writes the seconds that it took
	local file=$1 start tenths
	shift
	start=$(date +%s%N)
	"$@" || return
	tenths=$((($(date +%s%N) - start) / 100000000))
	echo "$((tenths / 10)).$((tenths % 10))" >"$file"
}
torch() { # SEED OUT
	"$python" scripts/finetune_torch.py "$task" "$data" pretrained/all-MiniLM-L6-v2 "$1" epochs="$epochs" sampling=group_by_length >"$2.tmp" 2>"$2.log" && mv "$2.tmp" "$2"
}
runs=()
for seed in $(seq 1 "$seeds"); do
	dir=runs/seeds/$task-$seed out=runs/torch/$task-$seed.json
	[ -s "$dir.seconds" ] || timed "$dir.seconds" bin/finetune --quiet --config "configs/$task.yaml" --run "$dir" --overwrite --set seed="$seed" \
		--set train.epochs="$epochs" --set threads="$THREADS" --set fallback=none --set "data.path=$data" >/dev/null
	[ -s "$out.seconds" ] || timed "$out.seconds" torch "$seed" "$out"
	runs+=(--runs "$dir" --against "$out")
done
bin/table --valid "${runs[@]}"
