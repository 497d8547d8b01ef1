#!/bin/sh
# Gets MovieLens into datasets/: scripts/get_movielens.sh [100k 1m]. It goes on where a download broke off, and checks what it got.
set -eu
cd "$(dirname "$0")/.."
for size in "${@:-100k}"; do
	go run ./cmd/finetune --config "configs/ml${size}_din.yaml" --fetch .
done
