// Command runs tells of finished runs, compares them and removes them:
//
//	go run ./cmd/runs list --where 'model=deepfm' --sort -test.auc
//	go run ./cmd/runs compare runs/a runs/b --html compare.html
//	go run ./cmd/runs delete runs/a --yes
//	go run ./cmd/runs disk
package main

import "github.com/splice-ml/splice/cmd/internal/runs"

func main() { runs.Command().Main() }
