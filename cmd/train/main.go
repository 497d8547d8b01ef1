// Command train fits the model of a config and evaluates it: go run ./cmd/train --config configs/criteo_deepfm.yaml
package main

import "github.com/splice-ml/splice/cmd/internal/train"

func main() { train.Command().Main() }
