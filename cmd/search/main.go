// Command search looks for good settings of a config: go run ./cmd/search --config configs/search_frappe_deepfm.yaml
//
// The config is one of cmd/train in which some keys have several values, such as learning_rate: {log: [1e-4, 1e-2]}, and which has a
// section `search:`. The same command goes on with a study that was interrupted, and several may make one study together.
package main

import "github.com/splice-ml/splice/cmd/internal/search"

func main() { search.Command().Main() }
