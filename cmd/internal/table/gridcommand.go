package table

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/progress"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// gridOptions are the flags for table files that have rows.
type gridOptions struct {
	quick, full bool
	data        string
	jobs        int
	format      string
	into        string
	dir         string
	datasets    app.List
	models      app.List
	maker       cellMaker // nil: runner
}

func (o *gridOptions) flags(f *flag.FlagSet) {
	f.BoolVar(&o.quick, "quick", false, "of a table file with rows: the quick size, which shows that everything runs")
	f.BoolVar(&o.full, "full", false, "of a table file with rows: the full size, which takes hours")
	f.StringVar(&o.data, "data", "", "`directory` in which data sets are looked for before datasets/, by the same names")
	f.Var(&o.datasets, "dataset", "of a table file with rows: make the columns of this data set, by its `name`; may be given several times")
	f.Var(&o.models, "model", "of a table file with rows: make the columns of this model, by its `name`; may be given several times")
	f.IntVar(&o.jobs, "jobs", 1, "cells of a table with rows that are made at once, each on one thread; the results are the same")
	f.StringVar(&o.format, "format", "markdown", "how a table with rows is printed: markdown, csv or latex")
	f.StringVar(&o.into, "into", "", "also write a table with rows into a Markdown `file`, between the lines <!-- NAME --> and <!-- /NAME -->")
	f.StringVar(&o.dir, "dir", "", "also write a table with rows into this `directory`: NAME.json, .md, .csv and .tex")
}

// asked reports whether a flag was given that only tables with rows have.
func (o *gridOptions) asked() bool {
	return o.quick || o.full || o.data != "" || o.jobs != 1 || o.format != "markdown" || o.into != "" || o.dir != "" || len(o.datasets) > 0 || len(o.models) > 0
}

// run makes the table of a file that has rows, or shows one that is made: the JSON file of a result. done is false for other files.
func (o *gridOptions) run(ctx context.Context, c *app.Command, path string, set []string, out string) (done bool, err error) {
	if formats[o.format] == nil {
		return true, run.BadInput(fmt.Errorf("table: --format %q: want markdown, csv or latex", o.format))
	}
	name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	if filepath.Ext(path) == ".json" {
		r, err := readResult(path)
		if err != nil {
			return true, run.BadInput(err)
		}
		return true, o.show(c, r, name)
	}
	if p, err := readPage(path); p != nil || err != nil {
		return true, o.lay(c, p, err)
	}
	g, err := readGrid(path)
	switch {
	case err != nil:
		return true, run.BadInput(err)
	case g == nil && o.asked():
		return true, run.BadInput(fmt.Errorf("table: %s has no rows: --quick, --full, --data, --jobs, --format, --into, --dir, --dataset and --model are for tables that have", path))
	case g == nil:
		return false, nil
	case o.quick == o.full:
		return true, run.BadInput(errors.New("table: give --quick (minutes, to see that everything runs) or --full (hours)"))
	case o.jobs < 1 || o.jobs > 1024:
		return true, run.BadInput(errors.New("table: --jobs must be in [1, 1024]"))
	}
	a := asked{full: o.full, data: o.data, set: set, jobs: o.jobs, datasets: o.datasets, models: o.models}
	p, err := g.plan(a)
	if err != nil {
		return true, run.BadInput(err)
	}
	if len(p.columns) == 0 && len(p.leftOut) == 0 {
		return true, run.BadInput(errors.New("table: no column is both of these data sets and of these models"))
	}
	if len(p.columns) == 0 {
		return true, run.BadInput(fmt.Errorf("table: nothing is left to make: the files of %s are not there; see docs/tables.md", strings.Join(p.leftOut, ", ")))
	}
	show := &progress.Bar{Out: c.Progress(), Terminal: c.Terminal(), Unit: "cells"}
	m := o.maker
	if m == nil {
		m = &runner{jobs: o.jobs, job: func(x *cell) job.Job { return job.Job{Experiment: x.e, Dir: x.dir, Log: show.Warnings()} }}
	}
	defer kernel.SetThreads(kernel.Threads())
	if o.jobs > 1 {
		kernel.SetThreads(1)
	}
	if err := p.makeAll(ctx, m, o.jobs, show); err != nil {
		return true, err
	}
	r, err := p.assemble()
	if err != nil {
		return true, run.BadInput(err)
	}
	r.Command = gridCommand(path, r.Size, a)
	if o.full {
		out = cmp.Or(out, g.Out)
	}
	if out != "" {
		if err := writeResult(ctx, c, r, out, path); err != nil {
			return true, err
		}
	}
	return true, o.show(c, r, name)
}

// lay prints the tables of a page, and writes them where the flags say.
func (o *gridOptions) lay(c *app.Command, p *page, err error) error {
	if err != nil {
		return run.BadInput(err)
	}
	text, err := p.text()
	if err == nil && o.into != "" {
		err = p.into(o.into)
	}
	if err != nil {
		return run.BadInput(err)
	}
	_, err = io.WriteString(c.Out, text)
	return err
}

// show prints a result, and writes it where the flags say.
func (o *gridOptions) show(c *app.Command, r *gridResult, name string) error {
	if o.dir != "" {
		if err := r.save(o.dir, name); err != nil {
			return err
		}
	}
	if o.into != "" {
		if err := r.into(o.into, name); err != nil {
			return run.BadInput(err)
		}
	}
	return r.print(c.Out, o.format)
}

// writeResult writes the JSON file of a result.
func writeResult(ctx context.Context, c *app.Command, r *gridResult, out, table string) error {
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return run.BadInput(fmt.Errorf("table: %w", err))
	}
	w, err := c.Output(ctx, out, table)
	if err != nil {
		return err
	}
	defer w.Abort()
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("table: %w", err)
	}
	return w.Commit()
}

// gridCommand returns the command that makes the table again.
func gridCommand(path, size string, a asked) string {
	var text strings.Builder
	text.WriteString(command(path, a.set) + " --" + size)
	for _, name := range a.datasets {
		text.WriteString(" --dataset '" + name + "'")
	}
	for _, name := range a.models {
		text.WriteString(" --model '" + name + "'")
	}
	return text.String()
}
