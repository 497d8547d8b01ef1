#!/bin/sh
# Table 3, click-through rates: scripts/table3.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table3.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table3.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
