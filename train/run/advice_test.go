package run_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// What is to be done is said in the flags of the command that prints it, however the error was wrapped on its way.
func TestForCommand(t *testing.T) {
	broken := errors.New("broken")
	there := run.Advise(fmt.Errorf("x is there: %w", broken), run.Continue, run.Replace, run.Elsewhere)
	cut := run.Advise(broken, run.GoOn)
	for _, tc := range []struct {
		err   error
		flags []string
		want  string
	}{
		{there, []string{"resume", "overwrite", "run"}, "x is there: broken: go on with --resume, replace it with --overwrite, or choose another --run"},
		{there, []string{"overwrite", "run"}, "x is there: broken: replace it with --overwrite, or choose another --run"},
		{there, nil, "x is there: broken: move it away, or choose another directory"},
		{run.BadInput(fmt.Errorf("a: %w", cut)), []string{"resume"}, "a: broken: go on with --resume"},
		{run.BadInput(fmt.Errorf("a: %w", cut)), nil, "a: broken: give the same command again to go on"},
		{errors.Join(broken, there, cut), []string{"resume"}, "broken\nx is there: broken: go on with --resume, move it away, or choose another directory\n" +
			"broken: go on with --resume"},
		{fmt.Errorf("%w and %w", broken, cut), nil, "broken and broken: give the same command again to go on"},
		{run.Advise(broken, run.Continue), nil, "broken"},
		{&run.HeldError{Dir: "d"}, []string{"run"}, "d is being written by another command: wait for it or stop it, or choose another --run"},
		{fmt.Errorf("a: %w", &run.HeldError{Dir: "d"}), nil, "a: d is being written by another command: wait for it or stop it, or choose another directory"},
		{broken, nil, "broken"},
	} {
		if got := run.ForCommand(tc.err, func(flag string) bool { return slices.Contains(tc.flags, flag) }); got != tc.want {
			t.Errorf("flags %q: %q, want %q", tc.flags, got, tc.want)
		}
	}
	if got, want := there.Error(), "x is there: broken: go on with it, replace it, or choose another directory"; got != want || !errors.Is(there, broken) {
		t.Errorf("%q, want %q", got, want)
	}
}
