#!/bin/sh
# Table 8, runs on other data: scripts/table8.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table8.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table8.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
