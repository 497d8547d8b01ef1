#!/usr/bin/env bash
# Trains a config with several seeds. Prints each run's test metrics, their mean and their standard deviation. Without test rows these
# are the validation metrics.
# Usage: scripts/seeds.sh CONFIG [SEEDS=5] [more flags of cmd/train, such as --set data.path=F]
# Runs go to runs/seeds/NAME-SEED; a run that is there already (result.json) is not trained again.
set -euo pipefail
cd "$(dirname "$0")/.."
config=$1
seeds=${2:-5}
shift $(($# > 1 ? 2 : 1))
name=$(basename "$config" .yaml)
mkdir -p bin runs/seeds
CGO_ENABLED=0 go build -o bin/ ./cmd/train ./cmd/table
runs=()
for seed in $(seq 1 "$seeds"); do
	dir=runs/seeds/$name-$seed
	[ -s "$dir/result.json" ] || bin/train --quiet --config "$config" --run "$dir" --resume --set seed="$seed" "$@" >/dev/null
	runs+=(--runs "$dir")
done
bin/table "${runs[@]}"
