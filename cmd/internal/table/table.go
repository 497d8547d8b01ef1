// Package table is the command table.
package table

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/run"
)

// Command returns the command.
func Command() *app.Command { return newCommand(makeMerge) }

// merger makes one merge in a directory, or reads the result of an earlier call.
type merger func(ctx context.Context, c *app.Command, e *configs.Experiment, dir string) (*compare.Table, error)

func makeMerge(ctx context.Context, c *app.Command, e *configs.Experiment, dir string) (*compare.Table, error) {
	j := job.Job{Experiment: e, Dir: dir, Log: c.Log(), Show: c.Bars}
	m, err := j.Merge(ctx, false)
	if err != nil {
		return nil, err
	}
	return m.Table, nil
}

func newCommand(merge merger) *app.Command { return newTable(merge, nil) }

// newTable returns the command. cells makes the cells of tables with rows; nil: by their configs.
func newTable(merge merger, cells cellMaker) *app.Command {
	var set app.List
	var out string
	var markdown bool
	o := gridOptions{maker: cells}
	stats := statistics{in: os.Stdin}
	web := webOptions{}
	c := app.New("table", "runs merges over several seeds and prints what they come to", func(ctx context.Context, c *app.Command) error {
		args := c.Flags.Args()
		if web.asked() && len(args) == 0 && !stats.asked() {
			return web.write(ctx, c)
		}
		if stats.asked() && len(args) == 0 {
			return run.BadInput(stats.print(c.Out, markdown))
		}
		if len(args) != 1 || stats.asked() || web.asked() {
			return run.BadInput(errors.New("table: give one table file, such as scripts/table_mlp.yaml, or --runs"))
		}
		if done, err := o.run(ctx, c, args[0], set, out); done || err != nil {
			return err
		}
		f, err := load(args[0])
		if err != nil {
			return run.BadInput(err)
		}
		if out != "" {
			f.Out = out
		}
		jobs, err := f.plan(set)
		if err != nil {
			return run.BadInput(err)
		}
		if f.Out == "" {
			_, err := f.run(ctx, c, jobs, merge, markdown)
			return err
		}
		if dir := filepath.Dir(f.Out); os.Mkdir(dir, 0o777) == nil {
			defer os.Remove(dir) // if it is empty after all
		} else if err := os.MkdirAll(dir, 0o777); err != nil {
			return run.BadInput(fmt.Errorf("table: %w", err))
		}
		w, err := c.Output(ctx, f.Out, f.inputs(args[0])...) // before the merges are made
		if err != nil {
			return err
		}
		defer w.Abort()
		r, err := f.run(ctx, c, jobs, merge, markdown)
		if err != nil {
			return err
		}
		r.Command, r.Made = command(args[0], set), []origin.Origin{origin.Here(kernel.Threads(), 1)}
		return errors.Join(r.write(w), w.Commit())
	})
	c.Args, c.FileFirst = 1, true
	o.flags(c.Flags)
	stats.flags(c.Flags)
	web.flags(c.Flags)
	c.Flags.Var(&set, "set", "override a key of every config, `a.b=value`; may be given several times")
	c.Flags.StringVar(&out, "out", "", "JSON `file` of the result (default: the table file's)")
	c.Flags.BoolVar(&markdown, "markdown", false, "print Markdown")
	c.Examples = []string{
		"scripts/table_mlp.yaml",
		"scripts/table1.yaml --quick",
		"--runs 'runs/seeds/mrpc-*'",
		"--html runs/report.html --from 'docs/results/*.json'",
	}
	return c
}

// command returns the command that makes the table again. Overrides that change no result are left out.
func command(path string, set []string) string {
	var b strings.Builder
	b.WriteString("go run ./cmd/table " + strings.ReplaceAll(path, `\`, "/"))
	for _, s := range set {
		if !strings.HasPrefix(s, "data.path=") && !strings.HasPrefix(s, "threads=") {
			b.WriteString(" --set '" + s + "'")
		}
	}
	return b.String()
}
