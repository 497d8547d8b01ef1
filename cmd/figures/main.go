// Command figures makes what the figures of a file are from, and draws them:
//
//	go run ./cmd/figures scripts/figures.yaml --quick
//
// Runs that are there already are not made again, so that a command that was stopped goes on.
package main

import "github.com/splice-ml/splice/cmd/internal/figures"

func main() { figures.Command().Main() }
