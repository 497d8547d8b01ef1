package configs

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train/run"
)

// inputSections are the sections whose keys may name files, and inputKeys those keys, at any depth.
var (
	inputSections = []string{"data", "model", "init", "teacher", "merge"}
	inputKeys     = []string{"path", "valid_path", "test_path", "tokenizer", "config", "from", "parents", "file", "tokens"}
)

// Inputs returns the files, directories and globs that the experiment reads, as its keys name them.
func (e *Experiment) Inputs() ([]run.Input, error) {
	if e.Model == nil { // of a merge of files, which has no other section
		var list []run.Input
		for _, path := range e.Merge.Parents {
			list = append(list, run.Input{Key: "merge.parents", Path: path})
		}
		return list, nil
	}
	root, err := registry.Encode(e, nil)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	var list []run.Input
	for _, section := range inputSections {
		list = appendInputs(list, value(root, section), section)
	}
	return list, nil
}

// appendInputs adds those of a node and of all below it.
func appendInputs(list []run.Input, n *yaml.Node, at string) []run.Input {
	if n == nil || n.Kind != yaml.MappingNode {
		return list
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, v := n.Content[i].Value, n.Content[i+1]
		path := at + "." + key
		if v.Kind == yaml.MappingNode {
			list = appendInputs(list, v, path)
			continue
		}
		if key == "from" && strings.HasPrefix(at, "data.columns.") { // the name of a column
			continue
		}
		if !slices.Contains(inputKeys, key) && at != "init.parts" {
			continue
		}
		texts := []*yaml.Node{v}
		if v.Kind == yaml.SequenceNode {
			texts = v.Content
		}
		for _, t := range texts {
			if t.Kind == yaml.ScalarNode && t.Value != "" && t.Tag != "!!null" {
				list = append(list, run.Input{Key: path, Path: t.Value})
			}
		}
	}
	return list
}
