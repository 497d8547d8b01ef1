//go:build mpi && linux

package app

import (
	"os"

	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/dist/mpi"
)

func openGroup() (dist.Group, error) { return mpi.Open() }

// exit ends the program, as the MPI library wants to hear of if it is there.
func (c *Command) exit(code int) {
	if c.group != nil {
		mpi.Exit(code)
	}
	os.Exit(code)
}
