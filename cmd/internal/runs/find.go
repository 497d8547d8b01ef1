package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/configs/search"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// found is a run, as its result.json and, if it is asked for, its config.yaml tell of it.
type found struct {
	dir    string
	name   string // dir, relative to where runs were looked for
	result job.Result
	done   bool // it has a result
	date   time.Time
	size   int64

	once   sync.Once
	config map[string]string // every key with its value as YAML on a line
}

// find returns the directories below dir that have the files of a run, in the order of their names. It looks into no run, and into the
// trials of studies only if that is asked for. Symbolic links are not followed.
func find(dir string, trials bool) (dirs []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil || !d.IsDir(): // what cannot be read is not listed
			return nil
		case bound.Exists(filepath.Join(path, run.ConfigFile)):
			dirs = append(dirs, path)
			return fs.SkipDir
		case !trials && d.Name() == search.TrialsDir && search.IsStudy(filepath.Dir(path)):
			return fs.SkipDir
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, run.BadInput(fmt.Errorf("runs: there is no directory %s; give another one with --dir", dir))
	}
	if err != nil {
		return nil, run.BadInput(fmt.Errorf("runs: %w", err))
	}
	return dirs, nil
}

// read reads runs, several at once.
func read(root string, dirs []string) []*found {
	all := make([]*found, len(dirs))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(dirs); i += workers {
				all[i] = readRun(root, dirs[i])
			}
		})
	}
	wg.Wait()
	return all
}

func readRun(root, dir string) *found {
	r := &found{dir: dir, name: dir}
	if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) && root != "" {
		r.name = filepath.ToSlash(rel)
	}
	for _, name := range []string{run.ResultFile, run.ConfigFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil {
			r.date = info.ModTime()
			break
		}
	}
	if b, err := bound.ReadFile(filepath.Join(dir, run.ResultFile), bound.JSON); err == nil {
		r.done = json.Unmarshal(b, &r.result) == nil
	}
	if !r.done { // it is still trained, or was given up
		r.result = job.Result{Model: r.key("model.type"), Data: r.key("data.type")}
		r.result.Seed, _ = strconv.ParseUint(r.key("seed"), 10, 64)
	}
	r.size = sizeOf(dir)
	return r
}

// sizeOf returns how many bytes the regular files below a directory have.
func sizeOf(dir string) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				size += info.Size()
			}
		}
		return nil
	})
	return size
}

// key returns the value of a key of the run's config, "" if there is none.
func (r *found) key(path string) string {
	r.once.Do(func() { r.config = settings(filepath.Join(r.dir, run.ConfigFile)) })
	return r.config[path]
}

// settings returns the keys of a run's config with their values, nil if it cannot be read.
func settings(path string) map[string]string {
	b, err := bound.ReadFile(path, bound.Config)
	if err != nil {
		return nil
	}
	p := &registry.Problems{File: path}
	root := registry.Parse(b, p)
	if root == nil || p.Len() > 0 {
		return nil
	}
	all := map[string]string{}
	flatten(root, "", all)
	return all
}

// flatten adds the keys of a section and of those below it. Lists are values.
func flatten(n *yaml.Node, path string, all map[string]string) {
	if n.Kind == yaml.MappingNode && (len(n.Content) > 0 || path == "") {
		for i := 0; i+1 < len(n.Content); i += 2 {
			below := n.Content[i].Value
			if path != "" {
				below = path + "." + below
			}
			flatten(n.Content[i+1], below, all)
		}
		return
	}
	if n.Kind == yaml.ScalarNode {
		all[path] = n.Value
		return
	}
	inline(n)
	if b, err := registry.Marshal(n); err == nil {
		all[path] = strings.TrimSpace(string(b))
	}
}

func inline(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = yaml.FlowStyle
	}
	for _, c := range n.Content {
		inline(c)
	}
}

// value returns what a run has under a name: number says that it is one. It returns "" for nothing.
func (r *found) value(name string) (text string, number float64, isNumber bool) {
	num := func(v float64, ok bool) (string, float64, bool) {
		if !ok || v != v {
			return "", 0, false
		}
		return strconv.FormatFloat(v, 'g', -1, 64), v, true
	}
	switch name {
	case "name":
		return r.name, 0, false
	case "model":
		return r.result.Model, 0, false
	case "data":
		return r.result.Data, 0, false
	case "seed":
		return num(float64(r.result.Seed), true)
	case "digest":
		return r.result.Digest, 0, false
	case "date":
		return r.date.UTC().Format(time.RFC3339), float64(r.date.UnixNano()), true
	case "size":
		return num(float64(r.size), true)
	}
	if v, ok := r.metric(name); ok {
		return num(v, true)
	}
	text = r.key(name)
	v, err := strconv.ParseFloat(text, 64)
	return text, v, err == nil
}

// metric returns a metric: test.auc, valid.auc, or auc of the test rows, of the validation rows if there are no others.
func (r *found) metric(name string) (float64, bool) {
	part, metric, ok := strings.Cut(name, ".")
	switch {
	case ok && part == "test":
		v, has := r.result.Test[metric]
		return v, has
	case ok && part == "valid":
		v, has := r.result.Valid[metric]
		return v, has
	}
	if v, has := r.result.Test[name]; has {
		return v, true
	}
	v, has := r.result.Valid[name]
	return v, has
}

// order sorts runs by a key, those that lack it last, and equal ones by their names.
func order(runs []*found, key string) {
	key, down := strings.TrimPrefix(key, "-"), strings.HasPrefix(key, "-")
	slices.SortStableFunc(runs, func(a, b *found) int {
		x, u, xn := a.value(key)
		y, v, yn := b.value(key)
		if x == "" || y == "" {
			return cmp.Or(-cmp.Compare(min(1, len(x)), min(1, len(y))), cmp.Compare(a.name, b.name))
		}
		c := cmp.Compare(x, y)
		if xn && yn {
			c = cmp.Compare(u, v)
		}
		if down {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.name, b.name))
	})
}
