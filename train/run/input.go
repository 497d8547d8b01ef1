package run

import (
	"context"
	"errors"
)

// InputError is a mistake in what the user gave: a config, a file, a flag, a directory that holds another run. Commands end with
// exit code 2 for it.
type InputError struct{ Err error }

// Error returns the mistake's text.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the mistake.
func (e *InputError) Unwrap() error { return e.Err }

// BadInput marks an error as the user's to mend. It leaves nil and the end of a context as they are.
func BadInput(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	return &InputError{err}
}
