// Command cki merges runs of one model into one run: go run ./cmd/cki --config configs/cki_tastes.yaml
package main

import "github.com/splice-ml/splice/cmd/internal/cki"

func main() { cki.Command().Main() }
