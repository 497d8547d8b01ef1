package run_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// What the user can mend is marked, and nothing else is.
func TestBadInput(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"a mistake", errors.New("no such column"), true},
		{"a file that is not there", fmt.Errorf("data: %w", fs.ErrNotExist), true},
		{"the end of a context", fmt.Errorf("data: %w", context.Canceled), false},
		{"a deadline", fmt.Errorf("data: %w", context.DeadlineExceeded), false},
		{"a full disk", &fs.PathError{Op: "write", Path: "x", Err: fullDisk}, false},
		{"a full disk among others", errors.Join(errors.New("no such column"), fullDisk), false},
	} {
		got := run.BadInput(tc.err)
		var in *run.InputError
		if errors.As(got, &in) != tc.want || !errors.Is(got, tc.err) || tc.err != nil && got.Error() != tc.err.Error() {
			t.Errorf("%s: BadInput(%v) = %T %v, want a mistake: %v", tc.name, tc.err, got, got, tc.want)
		}
	}
}
