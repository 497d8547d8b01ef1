package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/data/memory"
	"github.com/splice-ml/splice/train/run"
)

// remove removes runs: the files that commands of ours write there, and the directories if nothing else is in them.
func (o *options) remove(_ context.Context, c *app.Command, dirs []string) error {
	if len(dirs) == 0 {
		return run.BadInput(errors.New("runs: delete wants runs, such as runs delete runs/a"))
	}
	if err := areRuns(dirs); err != nil {
		return err
	}
	if !o.yes {
		for _, d := range dirs {
			if _, err := fmt.Fprintf(c.Out, "would remove %s, %s\n", d, memory.Format(float64(sizeOf(d)))); err != nil {
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
		size := sizeOf(d)
		if err := run.Clear(d); err != nil {
			return err
		}
		left := ""
		if rest := others(d); rest > 0 {
			left = fmt.Sprintf("; %d other files and directories in it stay", rest)
		}
		if _, err := fmt.Fprintf(c.Out, "removed %s, %s%s\n", d, memory.Format(float64(size-sizeOf(d))), left); err != nil {
			return err
		}
	}
	return nil
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
