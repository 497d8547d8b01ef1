#!/bin/sh
# Table 5, number of parents: scripts/table5.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table5.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table5.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
