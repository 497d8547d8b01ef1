// Package crash carries a panic from the goroutine in which it happened to whoever can report it. A goroutine that panics ends the
// whole program, with a page of addresses in the place of a message.
package crash

import (
	"fmt"
	"runtime/debug"
)

// Error is a panic: a defect of the program and not a mistake of its user.
type Error struct {
	Value any    // what was panicked with
	Stack []byte // of the goroutine in which it happened
}

// Error returns the panic's text.
func (e *Error) Error() string { return fmt.Sprintf("internal error: %v", e.Value) }

// Unwrap returns the error that was panicked with, if it is one.
func (e *Error) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Of returns what recover has returned as an error, nil for nil. It must be called by the function that recovers. A panic that came
// from another goroutine, as an Error, stays as it is.
func Of(recovered any) error {
	if recovered == nil {
		return nil
	}
	if e, ok := recovered.(*Error); ok {
		return e
	}
	return &Error{Value: recovered, Stack: debug.Stack()}
}

// Guard calls f and returns its error, or its panic as one.
func Guard(f func() error) (err error) {
	defer func() {
		if e := Of(recover()); e != nil {
			err = e
		}
	}()
	return f()
}
