// Command finetune trains the model of a run, of a merge or of a Hugging Face directory on:
//
//	go run ./cmd/finetune --from runs/criteo_deepfm
//	go run ./cmd/finetune --config configs/sst2.yaml
package main

import "github.com/splice-ml/splice/cmd/internal/finetune"

func main() { finetune.Command().Main() }
