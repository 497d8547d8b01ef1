package job

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs"
	"github.com/splice-ml/splice/configs/fetch"
	"github.com/splice-ml/splice/train/run"
)

// Config names a config and says how it is read.
type Config struct {
	File     string
	Set      []string     // overrides of keys, "train.epochs=2"
	Offline  bool         // never touch the network
	Log      *slog.Logger // nil to log nothing
	Progress io.Writer    // shows the progress of downloads; may be nil
}

// Load reads an experiment and gets the files that it fetches. If no source has the files and the config has a fallback, it returns
// the experiment of the fallback.
func (o Config) Load(ctx context.Context) (*configs.Experiment, error) {
	return o.load(ctx, configs.Load)
}

// LoadMerge is Load for a merge. Its config may leave out data, model, task and train, which are then those of the merged runs.
func (o Config) LoadMerge(ctx context.Context) (*configs.Experiment, error) {
	return o.load(ctx, configs.LoadMerge)
}

// LoadBy is Load for another way to read a config of an experiment than [configs.Load].
func (o Config) LoadBy(ctx context.Context, read func(path string, overrides []string) (*configs.Experiment, error)) (*configs.Experiment, error) {
	return o.load(ctx, read)
}

// read reads the config. One that is a pipe may wait for its writer: the context ends that, and what waits is left behind.
func (o Config) read(ctx context.Context, read func(string, []string) (*configs.Experiment, error)) (*configs.Experiment, error) {
	if info, err := os.Stat(o.File); err != nil || info.Mode().IsRegular() {
		return read(o.File, o.Set)
	}
	type result struct {
		e   *configs.Experiment
		err error
	}
	done := make(chan result, 1)
	go func() {
		e, err := read(o.File, o.Set)
		done <- result{e, err}
	}()
	select {
	case r := <-done:
		return r.e, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (o Config) load(ctx context.Context, read func(string, []string) (*configs.Experiment, error)) (*configs.Experiment, error) {
	e, err := o.read(ctx, read)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, run.BadInput(err)
	}
	log := o.log()
	if e.Fallback == configs.FallbackAlways {
		log.Warn("fallback is always: the section `synthetic` of the config holds", "config", o.File)
		return e, nil
	}
	wanted, err := e.Wanted()
	if err != nil {
		return nil, err
	}
	there, err := o.fetch(ctx, wanted, false)
	switch {
	case err == nil:
		return e, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case !errors.Is(err, fetch.ErrUnavailable):
		return nil, err
	case e.Fallback != configs.FallbackSynthetic:
		err = fmt.Errorf("%w\n%s: put the files there, or set fallback to synthetic if the config has that section", err, o.File)
		return nil, &run.InputError{Err: err}
	}
	unused := "nothing"
	if len(there) > 0 {
		unused = strings.Join(there, " ")
	}
	log.Warn("files that the config needs are not here and cannot be fetched", "error", err)
	log.Warn("fallback: the run is SYNTHETIC, as the section `synthetic` of the config says: its results say nothing about the real data",
		"here, but not used", unused)
	e, err = read(o.File, append(slices.Clone(o.Set), "fallback="+configs.FallbackAlways))
	return e, run.BadInput(err)
}

func (o Config) log() *slog.Logger {
	if o.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return o.Log
}

// fetch gets files and returns the folders that are complete. If one cannot be, the others are tried only if all is true.
func (o Config) fetch(ctx context.Context, wanted []configs.Fetch, all bool) (there []string, err error) {
	f := &fetch.Fetcher{Offline: o.Offline, Log: o.log(), Progress: o.Progress}
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

// Fetch gets those files that the experiment fetches into the folder under or into folders within it. Give "." for all of them. It
// returns the folders that are complete.
func (o Config) Fetch(ctx context.Context, under string) (there []string, err error) {
	e, err := configs.Load(o.File, o.Set)
	if err != nil {
		return nil, run.BadInput(err)
	}
	all, err := e.Wanted()
	if err != nil {
		return nil, err
	}
	var wanted []configs.Fetch
	for _, w := range all {
		if rel, err := filepath.Rel(filepath.Clean(under), filepath.Clean(w.To)); err == nil && filepath.IsLocal(rel) {
			wanted = append(wanted, w)
		}
	}
	if len(wanted) == 0 {
		return nil, run.BadInput(fmt.Errorf("--fetch %s: %s fetches nothing into that folder", under, o.File))
	}
	there, err = o.fetch(ctx, wanted, true)
	if ctx.Err() == nil && errors.Is(err, fetch.ErrUnavailable) {
		err = &run.InputError{Err: err}
	}
	return there, err
}
