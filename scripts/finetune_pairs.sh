#!/usr/bin/env bash
# Fine-tunes MiniLM-L6 on a task of GLUE with several seeds, each here and with transformers' Trainer in turns, and prints the dev rows'
# accuracy after the last step and the seconds of the whole commands, from texts and weights to the dev rows' metrics: each pair, means with
# standard deviations, and medians. (The seconds in result.json are of the steps alone, those in runs/torch of Trainer.train.)
# Usage: scripts/finetune_pairs.sh TASK=rte|mrpc|sst2 DATA [SEEDS=5] [EPOCHS=3]     PYTHON=python3 (see finetune_torch.py) THREADS=2
# DATA is the directory of GLUE's TSV files. Runs go to runs/seeds/TASK-SEED and runs/torch; those that are there are not made again.
set -euo pipefail
cd "$(dirname "$0")/.."
task=$1 data=$2 seeds=${3:-5} epochs=${4:-3} python=${PYTHON:-python3}
export THREADS=${THREADS:-2}
mkdir -p bin runs/seeds runs/torch
CGO_ENABLED=0 go build -o bin/finetune ./cmd/finetune
accuracy() { tr -d ' \n' <"$1" | sed -E 's/.*"valid"://; s/"test":.*//; s/.*"accuracy":([0-9.eE+-]+).*/\1/'; } # of the dev rows: valid in result.json
timed() { # FILE COMMAND...: runs the command and writes the seconds that it took
	local file=$1 start
	shift
	start=$(date +%s.%N)
	"$@" || return
	echo "$(date +%s.%N) $start" | awk '{ printf "%.1f\n", $1 - $2 }' >"$file"
}
torch() { # SEED OUT
	"$python" scripts/finetune_torch.py "$task" "$data" pretrained/all-MiniLM-L6-v2 "$1" epochs="$epochs" sampling=group_by_length >"$2.tmp" 2>"$2.log" && mv "$2.tmp" "$2"
}
for seed in $(seq 1 "$seeds"); do
	dir=runs/seeds/$task-$seed out=runs/torch/$task-$seed.json
	[ -s "$dir.seconds" ] || timed "$dir.seconds" bin/finetune --quiet --config "configs/$task.yaml" --run "$dir" --overwrite --set seed="$seed" \
		--set train.epochs="$epochs" --set threads="$THREADS" --set fallback=none --set "data.path=$data" >/dev/null
	[ -s "$out.seconds" ] || timed "$out.seconds" torch "$seed" "$out"
	echo "$(accuracy "$dir/result.json") $(cat "$dir.seconds") $(accuracy "$out") $(cat "$out.seconds")"
done | awk -v task="$task" '
	function median(a, n,   i, j, t) { for (i = 1; i < n; i++) for (j = i+1; j <= n; j++) if (a[j] < a[i]) { t = a[i]; a[i] = a[j]; a[j] = t }
		return n % 2 ? a[(n+1)/2] : (a[n/2] + a[n/2+1]) / 2 }
	function mean(a, n,   i, s) { for (i = 1; i <= n; i++) s += a[i]; return s / n }
	function sd(a, n,   i, s, m) { m = mean(a, n); for (i = 1; i <= n; i++) s += (a[i] - m)^2; return n > 1 ? sqrt(s / (n - 1)) : 0 }
	{ n++; a[n] = $1; s[n] = $2; b[n] = $3; t[n] = $4; r[n] = $4 / $2
		printf "%s seed %d: splice accuracy %.4f in %.0f s, transformers %.4f in %.0f s, ratio of times %.2f\n", task, n, a[n], s[n], b[n], t[n], r[n] }
	END { if (!n) exit 1
		printf "%s, %d seeds: splice accuracy %.4f (sd %.4f), transformers %.4f (sd %.4f)\n", task, n, mean(a, n), sd(a, n), mean(b, n), sd(b, n)
		printf "%s, medians of %d pairs: splice %.0f s, transformers %.0f s, ratio %.2f\n", task, n, median(s, n), median(t, n), median(r, n) }'
