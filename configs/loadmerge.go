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

// LoadMerge reads a config whose merge.parents are given, as [Load] does. Sections data, model, task and train that it leaves out
// are those of the first parent's run. If the first parent is a bare checkpoint and no run, and the config has no model, the
// experiment has neither Data nor Model. Its tensors can then be merged, but not evaluated.
func LoadMerge(path string, overrides []string) (*Experiment, error) {
	bare := false
	inherit := func(root *yaml.Node, p *registry.Problems) *yaml.Node {
		root, _ = withFallback(root, overrides, p)
		base := firstParent(root)
		if base == "" || hasKey(root, "model") {
			return root
		}
		name := filepath.Join(run.Of(base), run.ConfigFile)
		src, err := bound.ReadFile(name, bound.Config)
		if err != nil {
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

// firstParent returns the first of merge.parents, "" if there is none.
func firstParent(root *yaml.Node) string {
	list := value(value(root, "merge"), "parents")
	switch {
	case list == nil:
		return ""
	case list.Kind == yaml.SequenceNode && len(list.Content) > 0:
		return list.Content[0].Value
	case list.Kind == yaml.ScalarNode && list.Tag == "!!str":
		return list.Value
	}
	return ""
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
