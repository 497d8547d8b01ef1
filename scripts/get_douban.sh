#!/bin/sh
# Gets Douban Book into datasets/: scripts/get_douban.sh. It goes on where a download broke off, and checks what it got.
set -eu
cd "$(dirname "$0")/.."
go run ./cmd/finetune --config configs/douban_book_din.yaml --fetch .
