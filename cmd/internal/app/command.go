// Package app is what the commands share: flags, signals, exit codes, and how results are printed.
package app

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"slices"
	"strings"

	"golang.org/x/term"

	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/run"
)

// Exit codes of the commands.
const (
	ExitOK          = 0
	ExitFailed      = 1   // the machine failed: a full disk, a diverged run
	ExitBadInput    = 2   // flags, config, data or files are not what they should be
	ExitInterrupted = 130 // Ctrl-C, SIGTERM or SIGUSR1; what can go on later is saved
	ExitPipe        = 141 // the reader of what the command writes has gone, as SIGPIPE ends other programs
)

// List is a flag that may be given several times.
type List []string

// String returns the values, comma separated.
func (l *List) String() string { return strings.Join(*l, ",") }

// Set adds a value.
func (l *List) Set(v string) error { *l = append(*l, v); return nil }

// Names is a flag of names with commas between them, which may be given several times.
type Names []string

// String returns the names, comma separated.
func (l *Names) String() string { return strings.Join(*l, ",") }

// Set adds names.
func (l *Names) Set(v string) error {
	for name := range strings.SplitSeq(v, ",") {
		if name == "" {
			return fmt.Errorf("%q has a blank name; give names with commas between them", v)
		}
		if slices.Contains(*l, name) {
			return fmt.Errorf("%s is given twice", name)
		}
		*l = append(*l, name)
	}
	return nil
}

// Command is one program.
type Command struct {
	Name    string // as in `go run ./cmd/NAME`
	Summary string // one line
	Flags   *flag.FlagSet
	Args    int // arguments after the flags, at most
	// FileFirst has a file stand before the flags, too, as people write it.
	FileFirst bool
	// Usage is how the command is called, before its flags; empty: go run ./cmd/NAME.
	Usage string
	// Order puts flags before the other arguments, as package flag wants them; nil: they stand so.
	Order func(args []string) []string

	// Examples are flags and arguments that show what the command can do.
	Examples []string
	Run      func(ctx context.Context, c *Command) error
	Out      io.Writer  // results
	Err      io.Writer  // log and progress
	Ranks    bool       // several processes may run it together
	group    dist.Group // them; nil for a process alone
	profile  string
	quiet    bool
}

// New returns a command with the flags that all commands have.
func New(name, summary string, run func(context.Context, *Command) error) *Command {
	c := &Command{Name: name, Summary: summary, Flags: flag.NewFlagSet(name, flag.ContinueOnError), Run: run, Out: os.Stdout, Err: os.Stderr}
	c.Flags.StringVar(&c.profile, "cpuprofile", "", "write a pprof CPU profile to this `file`")
	c.Flags.BoolVar(&c.quiet, "quiet", false, "print results and errors only")
	return c
}

// Terminal reports whether progress goes to a terminal.
func (c *Command) Terminal() bool {
	f, ok := c.Err.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Progress returns where progress lines go, or nil with --quiet.
func (c *Command) Progress() io.Writer {
	if c.quiet {
		return nil
	}
	return c.Err
}

// Downloads returns where the progress of downloads is shown: a terminal, or nil.
func (c *Command) Downloads() io.Writer {
	if !c.Terminal() {
		return nil
	}
	return c.Progress()
}

// Show shows the progress of a training with these options.
func (c *Command) Show(o train.Options) []train.Callback {
	if c.Progress() == nil {
		return nil
	}
	return []train.Callback{&logs.Progress{Out: c.Progress(), Terminal: c.Terminal(), LogSteps: o.LogSteps}}
}

// Bars shows the progress of a training on a terminal, and nothing elsewhere.
func (c *Command) Bars(o train.Options) []train.Callback {
	if !c.Terminal() {
		return nil
	}
	return c.Show(o)
}

// Prefixed puts the command's name in front of an error, or of each of several that are joined.
func (c *Command) Prefixed(err error) error {
	if err == nil {
		return nil
	}
	list, ok := err.(interface{ Unwrap() []error })
	if !ok || errors.Join(list.Unwrap()...).Error() != err.Error() { // one that wraps several has a text of its own
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	var errs []error
	for _, e := range list.Unwrap() {
		errs = append(errs, c.Prefixed(e))
	}
	return errors.Join(errs...)
}

// Log returns the command's logger.
func (c *Command) Log() *slog.Logger {
	level := slog.LevelInfo
	if c.quiet {
		level = slog.LevelError
	}
	log := slog.New(slog.NewTextHandler(c.Err, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	if c.group != nil && c.group.Rank() > 0 {
		log = log.With("rank", c.group.Rank())
	}
	return log
}

// Main parses the arguments, runs the command and exits.
func (c *Command) Main() { c.exit(c.Exec(os.Args[1:])) }

// Exec runs the command with the arguments and returns its exit code.
func (c *Command) Exec(args []string) int {
	c.Out = results(c.Out)
	c.Flags.SetOutput(escaped{c.Err})
	c.Flags.Usage = func() {
		usage := cmp.Or(c.Usage, "go run ./cmd/"+c.Name)
		fmt.Fprintf(c.Err, "%s: %s\n\nusage: %s [flags]\n", c.Name, c.Summary, usage)
		c.Flags.PrintDefaults()
		for i, e := range c.Examples {
			if i == 0 {
				fmt.Fprint(c.Err, "\nexamples:\n")
			}
			fmt.Fprintf(c.Err, "  %s %s\n", usage, e)
		}
	}
	if c.FileFirst {
		args = fileLast(args)
	}
	if c.Order != nil {
		args = c.Order(args)
	}
	if err := c.Flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return ExitOK
	} else if err != nil {
		return ExitBadInput
	}
	if c.Flags.NArg() > c.Args {
		fmt.Fprintf(c.Err, "%s: unexpected argument %q: flags start with --\n", c.Name, c.Flags.Arg(c.Args))
		return ExitBadInput
	}
	err := c.join() // before signals are caught: a library that takes them gives them back
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), stops...)
		defer stop()
		context.AfterFunc(ctx, stop) // a second signal ends the program at once
		err = crash.Guard(func() error { return c.profiled(ctx) })
	}
	return c.leave(err, c.report(err))
}

// report prints an error, and returns the exit code.
func (c *Command) report(err error) int {
	if e := new(crash.Error); errors.As(err, &e) {
		c.crashed(e)
		return ExitFailed
	}
	switch {
	case err == nil:
		return ExitOK
	case errors.Is(err, train.ErrInterrupted), errors.Is(err, context.Canceled):
		c.print(err, c.Name+": ")
		return ExitInterrupted
	}
	if output.Closed(err) {
		return ExitPipe
	}
	c.print(err, "")
	if errors.As(err, new(*run.InputError)) {
		return ExitBadInput
	}
	return ExitFailed
}

// fileLast moves a file that stands before the flags behind them, as package flag wants it.
func fileLast(args []string) []string {
	if len(args) > 1 && !strings.HasPrefix(args[0], "-") {
		return append(args[1:len(args):len(args)], args[0])
	}
	return args
}

// print prints an error, with the rank if there are several.
func (c *Command) print(err error, prefix string) {
	if !c.prints(err) {
		return
	}
	if c.group != nil && !errors.As(err, new(*dist.Common)) {
		prefix += dist.Of(c.group) + ": "
	}
	fmt.Fprintf(c.Err, "%s%s\n", prefix, c.message(err))
}

// traceVariable is the environment variable that shows where a defect is.
const traceVariable = "SPLICE_TRACE"

// crashed prints a defect of the program in one line, and its stack if that is asked for.
func (c *Command) crashed(e *crash.Error) {
	text := strings.Join(strings.Fields(e.Error()), " ")
	fmt.Fprintf(c.Err, "%s: %s (this is a defect: report it with the command; set %s=1 for the stack)\n", c.Name, text, traceVariable)
	if os.Getenv(traceVariable) != "" {
		fmt.Fprintf(c.Err, "%s", e.Stack)
	}
}

func (c *Command) profiled(ctx context.Context) error {
	if c.profile == "" {
		return c.Run(ctx, c)
	}
	f, err := c.Output(ctx, c.profile)
	if err != nil {
		return err
	}
	defer f.Abort()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	err = c.Run(ctx, c)
	pprof.StopCPUProfile()
	return errors.Join(err, f.Commit())
}
