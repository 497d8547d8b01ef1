#!/bin/sh
# Gets tasks of the GLUE benchmark into datasets/: scripts/get_glue.sh [sst2 rte mrpc qnli cola]
set -eu
cd "$(dirname "$0")/.."
for task in "${@:-sst2}"; do
	go run ./cmd/finetune --config "configs/$task.yaml" --fetch datasets
done
