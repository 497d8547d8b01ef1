package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// command returns a command that writes to buffers and does what do says.
func command(do func(context.Context, *app.Command) error) (c *app.Command, out, log *bytes.Buffer) {
	out, log = new(bytes.Buffer), new(bytes.Buffer)
	c = app.New("sum", "adds numbers", do)
	c.Out, c.Err = out, log
	return c, out, log
}

// An error decides the exit code, and is printed.
func TestExitCodes(t *testing.T) {
	mistake := run.BadInput(errors.New("no such column"))
	for _, tc := range []struct {
		name string
		err  error
		code int
		log  string
	}{
		{"success", nil, app.ExitOK, ""},
		{"a mistake", mistake, app.ExitBadInput, "no such column\n"},
		{"a mistake within an error", fmt.Errorf("train: %w", mistake), app.ExitBadInput, "train: no such column\n"},
		{"mistakes", errors.Join(mistake, mistake), app.ExitBadInput, "no such column\nno such column\n"},
		{
			"an interrupted training", fmt.Errorf("%w: step 3", train.ErrInterrupted), app.ExitInterrupted,
			"sum: " + train.ErrInterrupted.Error() + ": step 3\n",
		},
		{"the end of the context", fmt.Errorf("read: %w", context.Canceled), app.ExitInterrupted, "sum: read: context canceled\n"},
		{
			"the end of the context, marked", run.BadInput(fmt.Errorf("read: %w", context.Canceled)), app.ExitInterrupted,
			"sum: read: context canceled\n",
		},
		{"a failure", errors.New("broken pipe"), app.ExitFailed, "broken pipe\n"},
		{"a full disk, marked", run.BadInput(fmt.Errorf("x: %w", syscall.EMFILE)), app.ExitFailed, "x: " + syscall.EMFILE.Error() + "\n"},
	} {
		c, out, log := command(func(context.Context, *app.Command) error { return tc.err })
		if code := c.Exec(nil); code != tc.code || log.String() != tc.log || out.Len() > 0 {
			t.Errorf("%s: exit code %d with %q, want %d with %q; results %q", tc.name, code, log, tc.code, tc.log, out)
		}
	}
}

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		args []string
		most int // arguments after the flags
		code int
		log  string
	}{
		{nil, 0, app.ExitOK, ""},
		{[]string{"--help"}, 0, app.ExitOK, "sum: adds numbers\n\nusage: go run ./cmd/sum [flags]\n"},
		{[]string{"--fast"}, 0, app.ExitBadInput, "flag provided but not defined: -fast\n"},
		{[]string{"x"}, 0, app.ExitBadInput, `sum: unexpected argument "x": flags start with --`},
		{[]string{"x"}, 1, app.ExitOK, ""},
		{[]string{"--quiet", "x", "y"}, 1, app.ExitBadInput, `sum: unexpected argument "y"`},
	} {
		ran := false
		c, _, log := command(func(context.Context, *app.Command) error { ran = true; return nil })
		c.Args = tc.most
		code := c.Exec(tc.args)
		if code != tc.code || !strings.HasPrefix(log.String(), tc.log) || tc.log == "" && log.Len() > 0 {
			t.Errorf("%q: exit code %d, want %d and %q; log\n%s", tc.args, code, tc.code, tc.log, log)
		}
		if ran != (tc.log == "") {
			t.Errorf("%q: ran: %v", tc.args, ran)
		}
	}
}

// A signal ends the command's context.
func TestSignal(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	c, _, log := command(func(ctx context.Context, _ *app.Command) error {
		if err := self.Signal(os.Interrupt); err != nil {
			t.Skip("a process cannot send itself an interrupt here: ", err)
		}
		<-ctx.Done()
		return ctx.Err()
	})
	if code := c.Exec(nil); code != app.ExitInterrupted || log.String() != "sum: context canceled\n" {
		t.Errorf("exit code %d, log %q", code, log)
	}
}

func TestProfile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cpu.prof")
	c, _, _ := command(func(context.Context, *app.Command) error { return errors.New("failed") })
	if code := c.Exec([]string{"--cpuprofile", path}); code != app.ExitFailed {
		t.Errorf("exit code %d, want the command's", code)
	}
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
	c, _, log := command(func(context.Context, *app.Command) error { t.Error("it ran"); return nil })
	if code := c.Exec([]string{"--cpuprofile", filepath.Join(dir, "none", "x")}); code != app.ExitBadInput {
		t.Errorf("a profile that cannot be written: exit code %d, %s", code, log)
	}
}

func TestPrefixed(t *testing.T) {
	c, _, _ := command(nil)
	one, two := errors.New("one"), run.BadInput(errors.New("two"))
	for _, tc := range []struct {
		err  error
		want string
	}{
		{one, "sum: one"},
		{errors.Join(one, two), "sum: one\nsum: two"},
		{errors.Join(one, errors.Join(two, one)), "sum: one\nsum: two\nsum: one"},
		{errors.Join(one), "sum: one"},
		{fmt.Errorf("%w and %w", one, two), "sum: one and two"}, // not a list
		{fmt.Errorf("both: %w", errors.Join(one, two)), "sum: both: one\ntwo"},
	} {
		if got := c.Prefixed(tc.err); got.Error() != tc.want || !errors.Is(got, one) {
			t.Errorf("Prefixed(%q) = %q, want %q", tc.err, got, tc.want)
		}
	}
	if c.Prefixed(nil) != nil {
		t.Error("no error becomes one")
	}
	if got := c.Prefixed(errors.Join(one, two)); !errors.As(got, new(*run.InputError)) || !errors.Is(got, one) {
		t.Errorf("%v has lost what it wraps", got)
	}
}

// With --quiet only errors are logged, and no progress is shown. Bars are for terminals.
func TestQuiet(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		c, _, log := command(func(_ context.Context, c *app.Command) error {
			c.Log().Info("working", "on", "x y")
			c.Log().Error("broken")
			if shown := len(c.Show(train.Options{})) > 0; shown == quiet {
				t.Errorf("quiet %v: progress is shown: %v", quiet, shown)
			}
			if c.Progress() == io.Writer(nil) != quiet || c.Terminal() || c.Downloads() != nil || c.Bars(train.Options{}) != nil {
				t.Errorf("quiet %v: bars without a terminal", quiet)
			}
			return nil
		})
		want, args := "level=INFO msg=working on=\"x y\"\nlevel=ERROR msg=broken\n", []string{}
		if quiet {
			want, args = "level=ERROR msg=broken\n", []string{"--quiet"}
		}
		if code := c.Exec(args); code != app.ExitOK || log.String() != want {
			t.Errorf("quiet %v: exit code %d, log %q, want %q", quiet, code, log, want)
		}
	}
}

// A panic, in the command or in a goroutine that it started, is one line and exit code 1.
func TestPanic(t *testing.T) {
	defer kernel.SetThreads(kernel.Threads())
	kernel.SetThreads(2)
	broken := func(i int) {
		var list []int
		list[i] = 1
	}
	for name, do := range map[string]func() error{
		"here":        func() error { broken(0); return nil },
		"in a worker": func() error { kernel.Parallel(50, broken); return nil },
		"as an error": func() error {
			return run.BadInput(fmt.Errorf("x: %w", crash.Guard(func() error { broken(0); return nil })))
		},
		"with an error": func() error {
			return errors.Join(io.EOF, crash.Guard(func() error { panic("index out of range\nand more") }))
		},
	} {
		for _, trace := range []string{"", "1"} {
			t.Setenv("SPLICE_TRACE", trace)
			c, _, log := command(func(context.Context, *app.Command) error { return do() })
			code := c.Exec(nil)
			line, stack, _ := strings.Cut(log.String(), "\n")
			if code != app.ExitFailed || !strings.HasPrefix(line, "sum: internal error: ") || !strings.Contains(line, "index out of range") ||
				!strings.HasSuffix(line, " (this is a defect: report it with the command; set SPLICE_TRACE=1 for the stack)") {
				t.Errorf("%s: exit code %d with %q", name, code, line)
			}
			if (stack != "") != (trace != "") || trace != "" && !strings.Contains(stack, "TestPanic") {
				t.Errorf("%s, trace %q: the stack is %q", name, trace, stack)
			}
		}
	}
}

// What a file holds may not move the cursor of a terminal, ring its bell or turn the direction of the text, and fills no screen.
func TestMessagesAreEscaped(t *testing.T) {
	cell := "a\x1b[2J\rb\x07\u202ec\u009bd\xffe\u2028é\tf"
	const want = `a\x1b[2J\x0db\x07\u202ec\u009bd\xffe\u2028é` + "\tf"
	for _, code := range []int{app.ExitBadInput, app.ExitFailed, app.ExitInterrupted} {
		c, _, log := command(func(_ context.Context, c *app.Command) error {
			c.Log().Warn(cell, "columns", cell)
			err := fmt.Errorf("column %s", cell)
			switch code {
			case app.ExitBadInput:
				return run.BadInput(err)
			case app.ExitInterrupted:
				return fmt.Errorf("%w: %w", err, context.Canceled)
			}
			return err
		})
		if got := c.Exec(nil); got != code || !strings.Contains(log.String(), "column "+want) || strings.ContainsAny(log.String(), "\x1b\r\x07\u202e\u009b") {
			t.Errorf("exit code %d, log %q", got, log)
		}
	}
	c, _, log := command(nil)
	if code := c.Exec([]string{"--" + cell}); code != app.ExitBadInput || strings.ContainsAny(log.String(), "\x1b\r\x07\u202e") {
		t.Errorf("a flag: exit code %d, log %q", code, log)
	}
	var errs []error
	for range 1000 {
		errs = append(errs, errors.New("wrong"))
	}
	c, _, log = command(func(context.Context, *app.Command) error {
		return errors.Join(append([]error{errors.New(strings.Repeat("é", 1<<20))}, errs...)...)
	})
	c.Exec(nil)
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if n := len(lines); n != 101 || lines[100] != "and 901 more lines" || lines[0] != strings.Repeat("é", 2000)+"... (2097152 bytes)" {
		t.Errorf("%d lines, from %.100s... to %s", n, lines[0], lines[n-1])
	}
}
