#!/bin/sh
# Table 4, ablation of CKI: scripts/table4.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table4.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table4.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
