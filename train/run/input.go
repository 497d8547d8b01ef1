package run

import (
	"context"
	"errors"
	"slices"
)

// InputError is a mistake in what the user gave: a config, a file, a flag, a directory that holds another run. Commands end with
// exit code 2 for it.
type InputError struct{ Err error }

// Error returns the mistake's text.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput marks an error as the user's to mend. It leaves as they are nil, the end of a context, and what no other input would
// mend: a disk that is full or broken, a limit of the process, memory that ran out.
func BadInput(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || ofMachine(err) {
		return err
	}
	return &InputError{err}
}

func ofMachine(err error) bool {
	return slices.ContainsFunc(machineErrors, func(m error) bool { return errors.Is(err, m) })
}
