package table

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// file is the content of a table file.
type file struct {
	Title     string          `yaml:"title"`             // what the table shows
	Seeds     int             `yaml:"seeds"`             // runs of each variant, with seeds 1, 2, ...
	Recipe    compare.RowName `yaml:"recipe"`            // the row that the others are compared with
	Runs      string          `yaml:"runs"`              // directory of the runs; a merge that is there with the same config is not made again
	Variants  []variant       `yaml:"variants,required"` // what is run
	Out       string          `yaml:"out"`               // JSON file of the result; empty: none
	Overrides []string        `yaml:"set"`               // overrides of every variant
}

// variant is one merge, run with every seed.
type variant struct {
	Name   string          `yaml:"name,required"`   // in the table
	Config string          `yaml:"config,required"` // config of cmd/cki
	Set    []string        `yaml:"set"`             // overrides, as of cmd/cki
	Recipe compare.RowName `yaml:"recipe"`          // the row that the others are compared with, if another than the file's
}

// Validate reports mistakes that concern several keys.
func (f *file) Validate() error {
	var errs []error
	if f.Seeds < 1 {
		errs = append(errs, registry.Field("seeds", "must be at least 1"))
	}
	if f.Recipe == "" {
		errs = append(errs, registry.Field("recipe", "must be the name of a row, such as merge"))
	}
	if len(f.Variants) == 0 {
		errs = append(errs, registry.Field("variants", "is empty: there is nothing to run"))
	}
	seen := map[string]bool{}
	for _, v := range f.Variants {
		if seen[v.dir()] {
			errs = append(errs, registry.Field("variants", fmt.Sprintf("two are called %q: each has a directory of its own", v.Name)))
		}
		seen[v.dir()] = true
	}
	return errors.Join(errs...)
}

// Validate reports a name that cannot be a directory's.
func (v *variant) Validate() error {
	if strings.ContainsAny(v.Name, `/\:*?"<>|`) || strings.Trim(v.Name, ". ") == "" {
		return registry.Field("name", "must be good for a directory: letters, digits, spaces and the like")
	}
	return nil
}

func (v *variant) dir() string { return strings.ReplaceAll(v.Name, " ", "_") }

// load reads a table file, strictly.
func load(path string) (*file, error) {
	src, err := bound.ReadFile(path, bound.Config)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	p := &registry.Problems{File: path}
	f := &file{Seeds: 5, Recipe: compare.RowMerge, Runs: filepath.Join("runs", "tables")}
	root := registry.Parse(src, p)
	if root == nil && p.Len() == 0 {
		p.Add(nil, "", "is empty; a table needs variants, each with a name and a config")
	}
	if p.Len() == 0 {
		registry.DecodeStruct(root, f, p, "")
	}
	return f, p.Err()
}

// seedMerge is the merge of one seed.
type seedMerge struct {
	seed int
	dir  string
	e    *configs.Experiment
}

// inputs returns the files that the table is made from: its own, which is at path, and the configs.
func (f *file) inputs(path string) []string {
	list := []string{path}
	for _, v := range f.Variants {
		list = append(list, v.Config)
	}
	return list
}

// plan returns the merges of every variant, by seed. It reads all configs, so that a mistake in the last one shows before the
// first one is run.
func (f *file) plan(set []string) ([][]seedMerge, error) {
	var jobs [][]seedMerge
	var errs []error
	for _, v := range f.Variants {
		var list []seedMerge
		for seed := 1; seed <= f.Seeds; seed++ {
			all := append(append(append([]string{}, f.Overrides...), v.Set...), set...)
			e, err := configs.LoadMerge(v.Config, append(all, fmt.Sprintf("seed=%d", seed)))
			if err == nil && e.Model == nil {
				err = fmt.Errorf("%s: has no model and data, so its merge cannot be evaluated", v.Config)
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("table: variant %s: %w", v.Name, err))
				break
			}
			list = append(list, seedMerge{seed, filepath.Join(f.Runs, v.dir(), fmt.Sprint(seed)), e})
		}
		jobs = append(jobs, list)
	}
	return jobs, errors.Join(errs...)
}

// run makes the merges that are missing and prints each variant when all its seeds are there.
func (f *file) run(ctx context.Context, c *app.Command, jobs [][]seedMerge, merge merger, markdown bool) (*result, error) {
	r := &result{Title: f.Title, Seeds: f.Seeds}
	for i, v := range f.Variants {
		recipe := v.Recipe
		if recipe == "" {
			recipe = f.Recipe
		}
		var tables []*compare.Table
		for _, j := range jobs[i] {
			c.Log().Info("table", "variant", v.Name, "seed", j.seed, "run", j.dir)
			t, err := one(ctx, c, j, merge, recipe)
			if err != nil {
				return nil, fmt.Errorf("table: %s, seed %d, after %d of %d merges; what is done is kept, and the same command goes on: %w",
					v.Name, j.seed, i*f.Seeds+len(tables), len(jobs)*f.Seeds, err)
			}
			tables = append(tables, t)
		}
		s, err := summarise(v.Name, recipe, tables)
		if err != nil {
			return nil, err
		}
		s.Config, s.Set = v.Config, v.Set
		r.Variants = append(r.Variants, s)
		if err := s.print(c.Out, markdown); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// one makes a merge and checks that its comparison can be summarised.
func one(ctx context.Context, c *app.Command, j seedMerge, merge merger, recipe compare.RowName) (*compare.Table, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := merge(ctx, c, j.e, j.dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range t.Rows {
		if _, ok := r.Test[t.Metric]; !ok {
			return nil, run.BadInput(fmt.Errorf("row %s has no %s on test rows: a table needs data with a test part; "+
				"set data.split or data.test_path", r.Name, t.Metric))
		}
		names = append(names, string(r.Name))
	}
	if t.Rows.Get(t.Passed) == nil {
		return nil, fmt.Errorf("%s: what was passed on, %q, is no row of it: remove it and merge again", filepath.Join(j.dir, run.TableFile),
			t.Passed)
	}
	if names = append(names, string(rowPassed)); !slices.Contains(names, string(recipe)) {
		return nil, run.BadInput(fmt.Errorf("there is no row %q to compare with: set recipe to one of %s", recipe, strings.Join(names, ", ")))
	}
	return t, nil
}
