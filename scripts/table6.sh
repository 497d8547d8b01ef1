#!/bin/sh
# Table 6, static and dynamic classifiers: scripts/table6.sh --quick|--full [more flags of cmd/table]     DATA=directory of the data sets (else datasets/)
# It also goes to runs/tables/table6.json, .md, .csv and .tex.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/table scripts/table6.yaml ${DATA:+--data "$DATA"} --dir runs/tables "$@"
