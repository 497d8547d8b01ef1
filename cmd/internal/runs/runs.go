// Package runs is the command that tells of finished runs, compares them and removes them.
package runs

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/train/run"
)

// options are the flags of the command.
type options struct {
	dir     string
	where   app.List
	sort    string
	metrics app.Names
	trials  bool
	yes     bool
	caches  bool
	html    string
	cache   string
	evict   string
}

// verbs are what the command does, by its first argument, and the flags that each has.
var verbs = map[string]struct {
	do    func(o *options, ctx context.Context, c *app.Command, dirs []string) error
	flags []string
}{
	"list":    {(*options).list, []string{"dir", "where", "sort", "metrics", "trials", "html"}},
	"compare": {(*options).compare, []string{"html", "metrics"}},
	"delete":  {(*options).remove, []string{"dir", "yes", "caches", "cache"}},
	"disk":    {(*options).disk, []string{"dir", "cache", "evict"}},
}

// common are flags of every command.
var common = []string{"quiet", "cpuprofile"}

// Command returns the command.
func Command() *app.Command {
	var o options
	c := app.New("runs", "lists, compares and removes finished runs", func(ctx context.Context, c *app.Command) error {
		args := c.Flags.Args()
		if len(args) == 0 {
			return run.BadInput(errors.New("runs: say what to do: list, compare, delete or disk, such as runs list"))
		}
		v, ok := verbs[args[0]]
		if !ok {
			return run.BadInput(fmt.Errorf("runs: %q: want list, compare, delete or disk", args[0]))
		}
		for _, name := range given(c) {
			if !slices.Contains(v.flags, name) && !slices.Contains(common, name) {
				return run.BadInput(fmt.Errorf("runs: %s has no --%s", args[0], name))
			}
		}
		return v.do(&o, ctx, c, args[1:])
	})
	c.Args = 1 << 20
	c.Order = func(args []string) []string { return flagsFirst(c, args) }
	c.Flags.StringVar(&o.dir, "dir", "runs", "`directory` in which runs are looked for, at any depth")
	c.Flags.Var(&o.where, "where", "list: only runs of which this `holds`: model=deepfm, test.auc>0.8, train.epochs!=5, name=seeds/*; may be given several times")
	c.Flags.StringVar(&o.sort, "sort", "name", "list: by this `key`: name, model, data, seed, date, size, a metric or a key of the config; -KEY: the greatest first")
	c.Flags.Var(&o.metrics, "metrics", "list, compare: show these metrics, with commas between `names` (default: those that most runs have)")
	c.Flags.BoolVar(&o.trials, "trials", false, "list: the trials of studies, too")
	c.Flags.StringVar(&o.html, "html", "", "list, compare: also write a page into this `file`")
	c.Flags.BoolVar(&o.yes, "yes", false, "delete: do it; without it the command says what it would remove")
	c.Flags.StringVar(&o.cache, "cache", ".cache", "delete, disk: `directory` of the caches")
	c.Flags.BoolVar(&o.caches, "caches", false, "delete: also remove the caches of rows that no other run has")
	c.Flags.StringVar(&o.evict, "evict", "", "disk: remove the caches that were used least recently until they have this `size` together, such as 20GB")
	c.Examples = []string{"list --where model=deepfm --sort -test.auc", "compare runs/a runs/b --html compare.html", "delete runs/a --yes", "disk"}
	return c
}

// given returns the names of the flags that were given.
func given(c *app.Command) (names []string) {
	c.Flags.Visit(func(f *flag.Flag) { names = append(names, f.Name) })
	return names
}

// flagsFirst puts flags before the other arguments, as package flag wants it. A flag that takes a value may have it in the next argument.
func flagsFirst(c *app.Command, args []string) []string {
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			rest = append(rest, a)
			continue
		}
		flags = append(flags, a)
		name := strings.TrimLeft(a, "-")
		f := c.Flags.Lookup(name)
		if f == nil || i+1 == len(args) {
			continue
		}
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
			i++
			flags = append(flags, args[i])
		}
	}
	if len(rest) == 0 {
		return flags
	}
	return append(append(flags, "--"), rest...)
}
