#!/bin/sh
# The figures: scripts/figures.sh --quick|--full [more flags of cmd/figures]     DATA=directory of the data sets (else datasets/)
# Each goes to runs/figures as NAME.png, .svg, .json and .csv.
set -eu
cd "$(dirname "$0")/.."
exec go run ./cmd/figures scripts/figures.yaml ${DATA:+--data "$DATA"} "$@"
