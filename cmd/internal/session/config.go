package session

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/cmd/internal/fetch"
	"github.com/splice-ml/splice/configs"
)

// Config says which experiment a command runs.
type Config struct {
	File    string
	Set     []string // overrides
	Offline bool     // never touch the network
}

// Flags adds the flags of an experiment to a command's.
func (o *Config) Flags(c *cli.Command) {
	c.Flags.Var((*cli.List)(&o.Set), "set", "override a key, `a.b=value`; may be given several times")
	c.Flags.BoolVar(&o.Offline, "offline", false, "never touch the network: what the config would fetch is there, or its fallback holds")
}

// Load reads the experiment and gets the files that it fetches.
func (o Config) Load(ctx context.Context, c *cli.Command) (*configs.Experiment, error) {
	return o.load(ctx, c, configs.Load)
}

// load is Load with what reads the config. If files can be had nowhere, and the config has a fallback, it is the experiment of
// that.
func (o Config) load(ctx context.Context, c *cli.Command, read func(string, []string) (*configs.Experiment, error)) (*configs.Experiment, error) {
	e, err := read(o.File, o.Set)
	if err != nil {
		return nil, cli.BadInput(err)
	}
	log := c.Log()
	if e.Fallback == configs.FallbackAlways {
		log.Warn("fallback is always: the section `synthetic` of the config holds", "config", o.File)
		return e, nil
	}
	wanted, err := e.Wanted()
	if err != nil {
		return nil, err
	}
	there, err := o.fetch(ctx, c, wanted, false)
	switch {
	case err == nil:
		return e, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !errors.Is(err, fetch.ErrUnavailable):
		return nil, err
	case e.Fallback != configs.FallbackSynthetic:
		return nil, cli.BadInput(fmt.Errorf("%w\n%s: put the files there, or set fallback to synthetic if the config has that section", err, o.File))
	}
	unused := "nothing"
	if len(there) > 0 {
		unused = strings.Join(there, " ")
	}
	log.Warn("files that the config needs are not here and cannot be fetched", "error", err)
	log.Warn("fallback: the run is SYNTHETIC, as the section `synthetic` of the config says: its results say nothing about the real data", "here, but not used", unused)
	e, err = read(o.File, append(slices.Clone(o.Set), "fallback="+configs.FallbackAlways))
	return e, cli.BadInput(err)
}

// fetch gets files and returns the folders that are complete. If one cannot be, the others are tried only if all is true.
func (o Config) fetch(ctx context.Context, c *cli.Command, wanted []configs.Fetch, all bool) (there []string, err error) {
	f := &fetch.Fetcher{Offline: o.Offline, Log: c.Log()}
	if c.Terminal() {
		f.Progress = c.Progress()
	}
	var errs []error
	hard := false
	for _, w := range wanted {
		if missing := fetch.Missing(w); len(missing) > 0 && len(errs) > 0 && !all {
			errs = append(errs, fmt.Errorf("fetch: %s lacks %s: %w: not tried any more", w.To, strings.Join(missing, ", "), fetch.ErrUnavailable))
			continue
		}
		if err := f.Get(ctx, w); err != nil {
			hard = hard || !errors.Is(err, fetch.ErrUnavailable)
			errs = append(errs, err)
			continue
		}
		there = append(there, w.To)
	}
	if hard { // a fallback must not hide it
		errs = slices.DeleteFunc(errs, func(err error) bool { return errors.Is(err, fetch.ErrUnavailable) })
	}
	return there, errors.Join(errs...)
}

// Fetch gets the files that the experiment fetches into the folder under, or folders in it ("." for all), and no others.
func (o Config) Fetch(ctx context.Context, c *cli.Command, under string) error {
	if o.File == "" {
		return cli.BadInput(fmt.Errorf("%s: --fetch is for a config: give it with --config", c.Name))
	}
	e, err := configs.Load(o.File, o.Set)
	if err != nil {
		return cli.BadInput(err)
	}
	all, err := e.Wanted()
	if err != nil {
		return err
	}
	var wanted []configs.Fetch
	for _, w := range all {
		if rel, err := filepath.Rel(filepath.Clean(under), filepath.Clean(w.To)); err == nil && filepath.IsLocal(rel) {
			wanted = append(wanted, w)
		}
	}
	if len(wanted) == 0 {
		return cli.BadInput(fmt.Errorf("%s: --fetch %s: %s fetches nothing into that folder", c.Name, under, o.File))
	}
	there, err := o.fetch(ctx, c, wanted, true)
	for _, dir := range there {
		fmt.Fprintf(c.Out, "%s: all files are there\n", dir)
	}
	if errors.Is(err, fetch.ErrUnavailable) {
		return cli.BadInput(err)
	}
	return err
}
