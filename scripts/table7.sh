#!/bin/sh
# Table 7, cost: scripts/table7.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table7.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table7.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
