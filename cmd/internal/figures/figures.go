// Package figures is the command figures.
package figures

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command { return newCommand() }

// asked is what the command line asks for.
type asked struct {
	quick, full bool
	data        string   // directory in which data sets are looked for before datasets/; may be empty
	only        []string // names of figures; empty: all
	set         []string // overrides of every config
}

func newCommand() *app.Command {
	var a asked
	var only, set app.List
	c := app.New("figures", "makes and draws the figures of a file", func(ctx context.Context, c *app.Command) error {
		a.only, a.set = only, set
		args := c.Flags.Args()
		switch {
		case len(args) != 1:
			return run.BadInput(errors.New("figures: give one file, such as scripts/figures.yaml"))
		case a.quick == a.full:
			return run.BadInput(errors.New("figures: give --quick (minutes, to see that everything runs) or --full (hours)"))
		}
		f, err := load(args[0])
		if err != nil {
			return run.BadInput(err)
		}
		list, err := f.wanted(a.only)
		if err != nil {
			return run.BadInput(err)
		}
		m, err := f.maker(a, c, list)
		if err != nil {
			return run.BadInput(err)
		}
		return m.all(ctx, args[0], list)
	})
	c.Args, c.FileFirst = 1, true
	c.Flags.BoolVar(&a.quick, "quick", false, "the quick size, which shows that everything runs")
	c.Flags.BoolVar(&a.full, "full", false, "the full size, which takes hours")
	c.Flags.StringVar(&a.data, "data", "", "`directory` in which data sets are looked for before datasets/, by the same names")
	c.Flags.Var(&only, "only", "make the figure of this `name` alone; may be given several times")
	c.Flags.Var(&set, "set", "override a key of every config, `a.b=value`; may be given several times")
	c.Examples = []string{
		"scripts/figures.yaml --quick",
		"scripts/figures.yaml --full --data datasets",
	}
	return c
}

// all makes and writes figures, one after the other.
func (m *maker) all(ctx context.Context, path string, list []drawing) error {
	if err := m.plan(list); err != nil {
		return run.BadInput(err)
	}
	if err := os.MkdirAll(m.file.Runs, 0o777); err != nil {
		return run.BadInput(fmt.Errorf("figures: %w", err))
	}
	for _, d := range list {
		f, err := m.figure(ctx, d)
		if err != nil {
			return fmt.Errorf("figures: %s: what is done is kept, and the same command goes on: %w", d.name(), err)
		}
		f.Command = "go run ./cmd/figures " + filepath.ToSlash(path) + " --" + m.size()
		for _, s := range m.asked.set {
			f.Command += " --set '" + s + "'"
		}
		if err := f.Write(m.file.Out); err != nil {
			return err
		}
		fmt.Fprintln(m.command.Out, filepath.ToSlash(filepath.Join(m.file.Out, f.Name+".svg")))
	}
	return nil
}

// wanted returns the figures of a file that have one of some names; all without names.
func (f *file) wanted(names []string) ([]drawing, error) {
	all := f.drawings()
	if len(names) == 0 {
		return all, nil
	}
	var have []string
	for _, d := range all {
		have = append(have, d.name())
	}
	for _, n := range names {
		if !slices.Contains(have, n) {
			return nil, fmt.Errorf("figures: --only %s: there are %s", n, strings.Join(have, ", "))
		}
	}
	return slices.DeleteFunc(all, func(d drawing) bool { return !slices.Contains(names, d.name()) }), nil
}
