// Command evaluate measures a run's model, or several runs' ensemble: go run ./cmd/evaluate --run runs/criteo_deepfm
package main

import "github.com/splice-ml/splice/cmd/internal/evaluate"

func main() { evaluate.Command().Main() }
