#!/bin/sh
# Table 1, recommendation: scripts/table1.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table1.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table1.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
