#!/usr/bin/env bash
# Trains a config with several seeds and prints each run's test metrics, or where there are no test rows the validation metrics, their
# mean and standard deviation.
# Usage: scripts/seeds.sh CONFIG [SEEDS=5] [more flags of cmd/train, such as --set data.path=F]
# Runs go to runs/seeds/NAME-SEED; a run that is there already (result.json) is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
config=$1
seeds=${2:-5}
shift $(($# > 1 ? 2 : 1))
name=$(basename "$config" .yaml)
mkdir -p bin runs/seeds
CGO_ENABLED=0 go build -o bin/train ./cmd/train
for seed in $(seq 1 "$seeds"); do
	dir=runs/seeds/$name-$seed
	[ -s "$dir/result.json" ] || bin/train --quiet --config "$config" --run "$dir" --resume --set seed="$seed" "$@" >/dev/null
	(tr -d ' \n' <"$dir/result.json"; echo) | sed -E 's/.*"valid":\{([^}]*)\}(,"test":\{([^}]*)\})?.*"seconds":([0-9.]+).*/\1|\3|\4/; s/^.*\|(.+)\|/\1 /; s/\|\|/ /' |
		sed -E 's/"([a-z_@0-9]+)":([0-9.eE+-]+),?/\1 \2 /g' | sed "s/^/$name seed $seed: /; s/ \([0-9.]*\)$/ seconds \1/"
done | awk '{ print; for (i = 4; i < NF; i += 2) { if (!($i in n)) order[++k] = $i; n[$i]++; s[$i] += $(i+1); q[$i] += $(i+1)^2 } }
	END { for (j = 1; j <= k; j++) { m = order[j]; d = n[m] > 1 ? sqrt((q[m] - s[m]^2/n[m]) / (n[m]-1)) : 0
	printf "%s mean %.5f sd %.5f over %d seeds\n", m, s[m]/n[m], d, n[m] } }'
