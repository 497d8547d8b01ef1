package configs

import (
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train/run"
)

// LoadFinetune returns the experiment that goes on with the training of a run's model. It has the run's data, model, task and train
// sections, for one whole epoch, with overrides laid over them. The caller sets where to start from and where to write.
func LoadFinetune(dir string, overrides []string) (*Experiment, error) {
	path := filepath.Join(dir, run.ConfigFile)
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p := &registry.Problems{File: path}
	root := registry.Parse(src, p)
	if p.Len() > 0 {
		return nil, p.Err()
	}
	for _, key := range []string{"run", "init", "teacher", "merge", "fetch", "fallback"} {
		takeKey(root, key)
	}
	if root, err = once(root, p); err != nil {
		return nil, err
	}
	root = override(root, overrides, p)
	e := Default()
	registry.DecodeStruct(root, &e, p, "")
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &e, nil
}

// once replaces the train section of a run's config by that of one more whole epoch.
func once(root *yaml.Node, p *registry.Problems) (*yaml.Node, error) {
	e := Default()
	registry.DecodeStruct(root, &e, p, "")
	if p.Len() > 0 {
		return nil, p.Err()
	}
	l := e.Train.Length()
	l.Epochs, l.MaxSteps = 1, 0
	section, err := registry.Encode(e.Train.Derive(l), nil)
	if err != nil {
		return nil, err
	}
	takeKey(root, "train")
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "train"}, section)
	return root, nil
}
