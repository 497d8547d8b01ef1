#!/bin/sh
# Table 2, language: scripts/table2.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table2.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table2.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
