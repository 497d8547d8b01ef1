package runs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/search"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/run"
)

// remove removes runs and studies: the files that commands of ours write there, and the directories if nothing else is in them.
func (o *options) remove(_ context.Context, c *app.Command, dirs []string) error {
	if len(dirs) == 0 {
		return run.BadInput(errors.New("runs: delete wants runs, such as runs delete runs/a"))
	}
	isStudy := func(d string) bool { return search.IsStudy(d) && !run.IsRun(d) }
	if err := check(dirs, "run and no study", func(d string) bool { return run.IsRun(d) || search.IsStudy(d) }); err != nil {
		return err
	}
	caches, err := o.cachesOf(dirs)
	if err != nil {
		return err
	}
	sizes := map[string]int64{}
	for _, d := range dirs {
		sizes[d] = sizeOf(d)
	}
	if !o.yes {
		for _, d := range dirs {
			if _, err := fmt.Fprintf(c.Out, "would remove %s, %s\n", d, memory.Format(float64(sizes[d]))); err != nil {
				return err
			}
		}
		for _, e := range caches {
			if _, err := fmt.Fprintf(c.Out, "would remove the cache %s, %s\n", filepath.Join(o.cache, e.Key), memory.Format(float64(e.Bytes))); err != nil {
				return err
			}
		}
		return run.BadInput(errors.New("runs: nothing is removed without --yes"))
	}
	for _, d := range dirs { // all of them, before anything is removed
		lock, err := run.Acquire(d, run.Command(os.Args))
		if err != nil && !errors.Is(err, run.ErrUnsupported) {
			return run.BadInput(err)
		}
		defer lock.Release() //nolint:errcheck // a lock that stays behind has no holder
	}
	for _, d := range dirs {
		clear := run.Clear
		if isStudy(d) {
			clear = search.Clear
		}
		if err := clear(d); err != nil {
			return err
		}
		left := ""
		if rest := others(d); rest > 0 {
			left = fmt.Sprintf("; other files in it stay: %d files or directories", rest)
		}
		if _, err := fmt.Fprintf(c.Out, "removed %s, %s%s\n", d, memory.Format(float64(sizes[d])), left); err != nil {
			return err
		}
	}
	return removeCaches(c, o.cache, caches)
}

// others returns how many entries of a directory are not its lock. A directory of the lock alone is removed with it.
func others(dir string) (n int) {
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if e.Name() != run.LockFile {
			n++
		}
	}
	if n == 0 {
		_ = os.Remove(filepath.Join(dir, run.LockFile))
		_ = os.Remove(dir)
	}
	return n
}

// cachesOf returns the caches of the rows that runs were trained on, which no other run below o.dir has: those of their feature maps.
func (o *options) cachesOf(dirs []string) ([]*evict.Entry, error) {
	if !o.caches {
		return nil, nil
	}
	all, err := evict.List(o.cache)
	if err != nil {
		return nil, err
	}
	inside, err := find(o.dir, true)
	if err != nil {
		return nil, err
	}
	going := func(d string) bool {
		return slices.ContainsFunc(dirs, func(parent string) bool {
			rel, err := filepath.Rel(parent, d)
			return err == nil && filepath.IsLocal(rel)
		})
	}
	var kept [][]byte
	for _, d := range inside {
		if !going(d) {
			kept = append(kept, featuresOf(d))
		}
	}
	var out []*evict.Entry
	for _, d := range append(slices.Clone(dirs), inside...) {
		b := featuresOf(d)
		if b == nil || !going(d) || slices.ContainsFunc(kept, func(k []byte) bool { return bytes.Equal(k, b) }) {
			continue
		}
		m, err := data.LoadFeatureMap(filepath.Join(d, run.FeatureFile))
		if err != nil {
			continue // it is damaged: what it is of is not known
		}
		for _, e := range evict.Of(all, m.Digest()) {
			if !slices.Contains(out, e) {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// featuresOf returns the file of a run's feature map, nil if there is none.
func featuresOf(dir string) []byte {
	b, err := bound.ReadFile(filepath.Join(dir, run.FeatureFile), bound.Vocabulary)
	if err != nil {
		return nil
	}
	return b
}

// removeCaches removes entries of the cache, and says which are in use.
func removeCaches(c *app.Command, dir string, list []*evict.Entry) error {
	for _, e := range list {
		gone, err := e.Remove()
		if err != nil {
			return err
		}
		what := "removed the cache"
		if !gone {
			what = "in use, or just used, and not removed: the cache"
		}
		if _, err := fmt.Fprintf(c.Out, "%s %s, %s\n", what, filepath.Join(dir, e.Key), memory.Format(float64(e.Bytes))); err != nil {
			return err
		}
	}
	return nil
}
