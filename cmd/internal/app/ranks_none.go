//go:build !(mpi && linux)

package app

import (
	"errors"
	"os"

	"github.com/splice-ml/splice/train/dist"
)

func openGroup() (dist.Group, error) {
	return nil, errors.New("it was started as one of several processes, and is built without MPI: build bin/train-mpi by make build-mpi (go build -tags mpi), " +
		"or start one process")
}

// exit ends the program.
func (c *Command) exit(code int) { os.Exit(code) }
