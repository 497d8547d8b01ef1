#!/bin/sh
# One HTML page with all stored tables and figures: scripts/report.sh [FILE=runs/report.html] [more patterns of JSON files]
# It reads docs/results/*.json, runs/tables/*.json (scripts/table1.sh to table8.sh) and runs/figures/*.json (scripts/figures.sh), and trains nothing.
set -eu
cd "$(dirname "$0")/.."
out=${1:-runs/report.html}
[ $# -eq 0 ] || shift
from="--from docs/results/*.json --from runs/tables/*.json --from runs/figures/*.json"
for pattern in "$@"; do from="$from --from $pattern"; done
set -f # the command finds the files of patterns itself
# shellcheck disable=SC2086
exec go run ./cmd/table --html "$out" $from
