package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// Place is the directory of a run that a command writes into over a longer time. It is held open, so that a directory which has taken
// its name is told from it.
type Place struct {
	dir  string
	open *os.File
}

// Hold holds a directory, which must exist. Close ends that.
func Hold(dir string) (*Place, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("train: run directory: %w", err)
	}
	return &Place{dir, f}, nil
}

// Check returns an error if the directory was removed, moved or replaced since Hold: what is written under its name now would be a run
// with parts missing.
func (p *Place) Check() error {
	was, err := p.open.Stat()
	if err != nil {
		return fmt.Errorf("train: run directory: %w", err)
	}
	now, err := os.Stat(p.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("train: the run's directory %s was removed or moved while the run was written: what was written is lost, "+
			"unless it was moved; start the run again", p.dir)
	case err != nil:
		return fmt.Errorf("train: run directory: %w", err)
	case !os.SameFile(was, now):
		return Advise(fmt.Errorf("train: the run's directory %s was replaced by another one while the run was written: what was written is lost, "+
			"unless it was moved", p.dir), again)
	}
	return nil
}

var again = Remedy{"start again, in another directory", "run", "start the run again, in another --run", "start again, in another directory"}

// Close lets the directory go.
func (p *Place) Close() error { return p.open.Close() }
