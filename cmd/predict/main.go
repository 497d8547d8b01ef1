// Command predict scores rows: go run ./cmd/predict --run runs/criteo_deepfm --in rows.txt --out scores.txt
package main

import "github.com/splice-ml/splice/cmd/internal/predict"

func main() { predict.Command().Main() }
