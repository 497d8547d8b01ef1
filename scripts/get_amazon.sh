#!/bin/sh
# Gets interactions of Amazon's users into datasets/: scripts/get_amazon.sh [beauty beauty_core toys_core sports]. It goes on where a
# download broke off, and checks what it got.
set -eu
cd "$(dirname "$0")/.."
for set in "${@:-beauty}"; do
	go run ./cmd/finetune --config "configs/${set}_sasrec.yaml" --fetch .
done
