// Command serve answers requests over HTTP with the predictions of runs: go run ./cmd/serve --run runs/criteo_deepfm
package main

import "github.com/splice-ml/splice/cmd/internal/serve"

func main() { serve.Command().Main() }
