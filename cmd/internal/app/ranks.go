package app

import (
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/run"
)

// join makes the command one of the processes that a launcher has started together, if one has. Only rank 0 prints results and progress.
func (c *Command) join() error {
	started := dist.Launched()
	if started.Size == 1 {
		return nil
	}
	if !c.Ranks {
		return firstOfHost(started, fmt.Errorf("%s is one process, and %d were started: start it without mpirun or srun, or with one", c.Name, started.Size))
	}
	g, err := openGroup()
	if err != nil {
		return firstOfHost(started, fmt.Errorf("%s: %w", c.Name, err))
	}
	c.group = g
	if g.Rank() > 0 {
		c.Out, c.quiet = io.Discard, true
	}
	threads, local, err := dist.Threads(g)
	if err != nil {
		return err
	}
	runtime.GOMAXPROCS(threads)
	kernel.SetThreads(threads)
	c.Log().Info("ranks train together", "ranks", g.Size(), "on_this_host", local, "threads_of_each", threads, "by", fmt.Sprint(g))
	return nil
}

// firstOfHost leaves a mistake that all processes have to the first one of each host to print.
func firstOfHost(started dist.Launch, err error) error {
	if started.Local > 0 {
		return &silent{run.BadInput(err)}
	}
	return run.BadInput(err)
}

// silent is an error that another process prints.
type silent struct{ error }

func (e *silent) Unwrap() error { return e.error }

// prints reports whether this process prints an error: those that all ranks have are rank 0's.
func (c *Command) prints(err error) bool {
	if errors.As(err, new(*silent)) {
		return false
	}
	return c.group == nil || c.group.Rank() == 0 || !errors.As(err, new(*dist.Common))
}

// leave ends the command's part in the group, with its exit code. An error that other ranks have not ends them.
func (c *Command) leave(err error, code int) int {
	switch {
	case c.group == nil:
	case err == nil || errors.As(err, new(*dist.Common)):
		if err := c.group.Close(); err != nil {
			fmt.Fprintf(c.Err, "%s: %s: %v\n", c.Name, dist.Of(c.group), err)
			return max(code, ExitFailed)
		}
	default:
		c.group.Abort(code)
	}
	return code
}
