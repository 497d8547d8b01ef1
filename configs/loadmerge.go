package configs

import (
	"path/filepath"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// files is a config that merges checkpoints of which nothing but the tensors is known.
type files struct {
	Run     string      `yaml:"run,nodigest"`
	Seed    uint64      `yaml:"seed"`
	Threads int         `yaml:"threads,nodigest"`
	Merge   cki.Options `yaml:"merge,required"`
}

// Validate reports every value out of range.
func (f *files) Validate() error { return checkThreads(f.Threads) }

// LoadMerge reads a config whose merge.parents are given, as [Load] does. Sections data, model, task and train that it leaves out
// are those of the first parent that is a run. If all parents are bare checkpoints, and the config has no model, the experiment has
// neither Data nor Model. Its tensors can then be merged, but not evaluated.
func LoadMerge(path string, overrides []string) (*Experiment, error) {
	bare := false
	inherit := func(root *yaml.Node, p *registry.Problems) *yaml.Node {
		root, _ = withFallback(root, overrides, p)
		parents := givenParents(root)
		if len(parents) == 0 || hasKey(root, "model") {
			return root
		}
		name, src := firstConfig(parents)
		if src == nil {
			bare = !hasKey(root, "data")
			return root
		}
		q := &registry.Problems{File: name}
		parent := registry.Parse(src, q)
		if q.Len() > 0 {
			return root // the missing sections are reported
		}
		for _, key := range []string{"run", "merge", "init", "teacher", "threads", "fetch", "fallback"} {
			takeKey(parent, key)
		}
		p.SetFile(parent, name)
		return merge(parent, root, "", p)
	}
	e := Default()
	err := loadWith(path, overrides, &e, inherit)
	if !bare {
		if err != nil {
			return nil, err
		}
		return &e, nil
	}
	f := files{Seed: e.Seed, Merge: cki.DefaultOptions()}
	if err := load(path, overrides, &f); err != nil {
		return nil, err
	}
	e = Default()
	e.Run, e.Seed, e.Threads, e.Merge = f.Run, f.Seed, f.Threads, f.Merge
	return &e, nil
}

// firstConfig returns the path and the text of the config of the first parent that is a run; nil if there is none.
func firstConfig(parents []string) (path string, src []byte) {
	for _, p := range parents {
		path = filepath.Join(run.Of(p), run.ConfigFile)
		if src, err := bound.ReadFile(path, bound.Config); err == nil {
			return path, src
		}
	}
	return "", nil
}

// givenParents returns merge.parents.
func givenParents(root *yaml.Node) (list []string) {
	n := value(value(root, "merge"), "parents")
	switch {
	case n == nil:
	case n.Kind == yaml.SequenceNode:
		for _, p := range n.Content {
			list = append(list, p.Value)
		}
	case n.Kind == yaml.ScalarNode && n.Tag == "!!str":
		list = append(list, n.Value)
	}
	return list
}

func value(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func hasKey(n *yaml.Node, key string) bool { return value(n, key) != nil }
