// Command export writes a run in the forms of other tools: go run ./cmd/export --run runs/criteo_deepfm --onnx model.onnx
package main

import "github.com/splice-ml/splice/cmd/internal/export"

func main() { export.Command().Main() }
