// Package fetch gets the public files that an experiment reads, if they are not there: resumable, with checksums, from the first
// source that has them.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/splice-ml/splice/configs"
)

// ErrUnavailable is matched by errors of files that no source gave: there is no network, it may not be used, or the servers do
// not have them. Files that came, but are not what they should be, are other errors.
var ErrUnavailable = errors.New("not available")

// Fetcher gets files. The zero value uses the network and reports nothing.
type Fetcher struct {
	Offline  bool      // never touch the network
	Progress io.Writer // of a bar on a terminal; nil: none
	Log      *slog.Logger
	Wait     time.Duration // for a server's answer; 0: 4 s
	Stall    time.Duration // between two pieces of a file; 0: 30 s
	Client   *http.Client  // nil: one with the environment's proxies

	down map[string]error // servers that did not answer
}

// Missing returns the names of the entry's files that are not there, sorted: none if the files are there that do as well.
func Missing(e configs.Fetch) []string {
	absent := func(name string) bool {
		_, err := os.Stat(filepath.Join(e.To, filepath.FromSlash(name)))
		return err != nil
	}
	if len(e.Or) > 0 && !slices.ContainsFunc(e.Or, absent) {
		return nil
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(e.Files)), func(name string) bool { return !absent(name) })
}

// Get makes the files of the entry be there. What is there stays as it is. Sources are tried in turn; the error lists why each
// one failed.
func (f *Fetcher) Get(ctx context.Context, e configs.Fetch) error {
	missing := Missing(e)
	if len(missing) == 0 {
		return nil
	}
	if f.Offline {
		return fmt.Errorf("fetch: %s lacks %s: %w: offline", e.To, strings.Join(missing, ", "), ErrUnavailable)
	}
	_, err := os.Lstat(e.To)
	made := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(e.To, 0o777); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	var errs []error
	for _, o := range e.From {
		err := f.from(ctx, e, o, Missing(e))
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		f.log().Warn("a source failed", "error", err)
		errs = append(errs, err)
	}
	if made {
		_ = os.Remove(e.To) // if it is empty
	}
	for _, err := range errs {
		if !errors.Is(err, ErrUnavailable) { // what came is wrong: the others, which are logged, do not hide it
			return fmt.Errorf("fetch: %s: %w", e.To, err)
		}
	}
	return fmt.Errorf("fetch: %s lacks %s:\n%w", e.To, strings.Join(Missing(e), ", "), errors.Join(errs...))
}

// from gets the missing files of an entry from one source.
func (f *Fetcher) from(ctx context.Context, e configs.Fetch, o configs.Origin, missing []string) error {
	if o.Single() {
		for _, name := range missing {
			to := filepath.Join(e.To, filepath.FromSlash(name))
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			if err := f.download(ctx, o.Of(name), to, wanted{e.Files[name], e.Files[name] != "", e.Limit()}); err != nil {
				return err
			}
		}
		return nil
	}
	name := o.Archive()
	if name == "" {
		return fmt.Errorf("%q names no archive", o.URL)
	}
	archive := filepath.Join(e.To, "."+name)
	if err := f.download(ctx, o.URL, archive, wanted{o.SHA256, true, e.Limit()}); err != nil { // an archive has checksums of its own
		return err
	}
	left := e.Limit()
	err := extract(archive, o, e, missing, &left)
	removed := os.Remove(archive)
	if err == nil {
		err = removed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", o.URL, err)
	}
	return nil
}

func (f *Fetcher) log() *slog.Logger {
	if f.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return f.Log
}
