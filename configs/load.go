package configs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
)

// load reads a config file, what it extends and the overrides, and decodes the result into the struct that into points
// to, which holds the defaults. The error lists every mistake of every source.
func load(path string, overrides []string, into any) error {
	return loadWith(path, overrides, into, nil)
}

// loadWith is load with a last change of the syntax tree before it is decoded. The change may be nil.
func loadWith(path string, overrides []string, into any, last func(*yaml.Node, *registry.Problems) *yaml.Node) error {
	src, err := readFile(path)
	if err != nil {
		return err
	}
	p := &registry.Problems{File: path}
	root := registry.Parse(src, p)
	if p.Len() > 0 {
		return p.Err()
	}
	root, err = extend(root, path, reflect.TypeOf(into).Elem(), p)
	if err != nil {
		return err
	}
	root = override(root, overrides, p)
	if root == nil {
		p.Add(nil, "", "is empty; a config needs at least the sections data and model (see docs/config.md)")
		return p.Err()
	}
	if last != nil {
		if root = last(root, p); root == nil {
			return p.Err()
		}
	}
	registry.DecodeStruct(root, into, p, "")
	return p.Err()
}

// readFile reads a config, and suggests a file of nearly the same name if there is none of that one.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s: no such file%s", path, nearFile(path))
		}
		return nil, fmt.Errorf("configs: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s: is a directory; give a .yaml file", path)
	}
	src, err := bound.Read(f, path, bound.Config)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	return src, nil
}

func nearFile(path string) string {
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range list {
		if strings.HasSuffix(e.Name(), ".yaml") {
			names = append(names, e.Name())
		}
	}
	if n, ok := registry.Nearest(filepath.Base(path), names); ok {
		return "; did you mean " + filepath.Join(filepath.Dir(path), n) + "?"
	}
	return ""
}

// extend removes the key `extends` and merges what it names below the rest. root may be nil (an empty file). A file of which no key is one
// of the config's is not taken, and what is in it is not said: whoever wrote the path need not be one who may read the file.
func extend(root *yaml.Node, path string, config reflect.Type, p *registry.Problems) (*yaml.Node, error) {
	key, val := takeKey(root, "extends")
	if key == nil {
		return root, nil
	}
	if val.Kind != yaml.ScalarNode || val.Tag != "!!str" || val.Value == "" {
		p.Add(key, "extends", "want one file name, relative to this file")
		return root, nil
	}
	name := val.Value
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(path), name)
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !info.IsDir() { // a pipe would be waited for
		p.Add(key, "extends", "%s is no regular file", name)
		return root, nil
	}
	src, err := readFile(name)
	if err != nil {
		p.Add(key, "extends", "%v", err)
		return root, nil
	}
	q := &registry.Problems{File: name}
	parent := registry.Parse(src, q)
	if k, _ := takeKey(parent, "extends"); k != nil {
		q.Add(k, "extends", "%s extends this file, and only one level is allowed; extend the last one directly", path)
	}
	switch {
	case q.Len() > 0:
		q = withoutText(q)
	case parent == nil:
		q.AddAt(0, "", "is empty, so there is nothing to extend")
	case !hasKeyOf(parent, config):
		q.AddAt(parent.Line, "", "is no config: it has none of a config's keys; extends names a config whose keys hold where this file has none")
	}
	if q.Len() > 0 {
		return nil, q.Err()
	}
	p.SetFile(parent, name)
	return merge(parent, root, "", p), nil
}

// withoutText returns the problems of parsing without those words of the file that the parser repeats.
func withoutText(q *registry.Problems) *registry.Problems {
	out := &registry.Problems{File: q.File}
	for _, r := range q.List() {
		if r.Path == "" && strings.Contains(r.Msg, "anchor") {
			r.Msg = "not valid YAML: an alias of nothing; is it a config?"
		}
		out.Append(r)
	}
	return out
}

// hasKeyOf reports whether a mapping has a key of the config that a struct type holds.
func hasKeyOf(n *yaml.Node, config reflect.Type) bool {
	for field := range config.Fields() {
		if key, _, _ := strings.Cut(field.Tag.Get("yaml"), ","); key != "" && hasKey(n, key) {
			return true
		}
	}
	return hasKey(n, syntheticKey)
}

// takeKey removes a key of a mapping and returns it with its value, or nil.
func takeKey(n *yaml.Node, name string) (key, val *yaml.Node) {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k := n.Content[i]; k.Kind == yaml.ScalarNode && k.Value == name {
			key, val = k, n.Content[i+1]
			n.Content = append(n.Content[:i:i], n.Content[i+2:]...)
			return key, val
		}
	}
	return nil, nil
}
