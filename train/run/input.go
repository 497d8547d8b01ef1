package run

import (
	"context"
	"errors"
	"slices"
)

// InputError is a mistake in what the user gave, such as a config, a file, a flag, or a directory that holds another run. Commands
// that meet one end with exit code 2.
type InputError struct{ Err error }

// Error returns the mistake's text.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput marks an error as one that the user can mend. It returns unchanged nil, the end of a context, and errors that no other
// input would mend: a disk that is full or broken, a limit of the process, or memory that ran out.
func BadInput(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || OfMachine(err) {
		return err
	}
	return &InputError{err}
}

// OfMachine reports whether an error is one that no other input would mend: of a disk, a limit of the process, or memory.
func OfMachine(err error) bool {
	return slices.ContainsFunc(machineErrors, func(m error) bool { return errors.Is(err, m) })
}
