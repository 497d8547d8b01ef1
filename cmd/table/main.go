// Command table runs the merges of a table file over several seeds and prints their results:
//
//	go run ./cmd/table scripts/table_mlp.yaml
//
// A table file that has rows is a table of methods by data sets and models, in the quick or the full size:
//
//	go run ./cmd/table scripts/table1.yaml --quick
//
// With --runs it prints the metrics of finished runs, with means, standard deviations and paired differences:
//
//	go run ./cmd/table --runs 'runs/seeds/mrpc-*'
//
// With --html it writes stored tables and figures as one page that needs no other file:
//
//	go run ./cmd/table --html runs/report.html --from 'docs/results/*.json'
package main

import "github.com/splice-ml/splice/cmd/internal/table"

func main() { table.Command().Main() }
