//go:build unix

package cmd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/splice-ml/splice"
	training "github.com/splice-ml/splice/train"
)

// attack is one input that is not what it should be, and the command that reads it. The command must end with exit code 2 or 1, one
// line that names the file, in bounded time and memory, and leave everything as it was.
type attack struct {
	name    string
	on      string                         // the workspace that it is made in: rows or texts
	spoil   func(t testing.TB, dir string) // makes the input
	args    []string                       // the command
	want    []string                       // what the line says, such as the file's name
	code    int                            // if only this exit code is right
	lines   int                            // of the error, if there are several mistakes; 0 is 1, -1 is any few
	fine    bool                           // the input is only odd: the command must take it, or refuse it as above
	takes   bool                           // the command must take it
	leaves  string                         // a directory that may be left behind
	changes bool                           // the command goes on with a run, which changes if it succeeds
}

// Bounds of a command that is given such an input.
const (
	attackTime   = 5 * time.Second  // of the processors
	attackWait   = 90 * time.Second // on a machine that has other things to do
	attackMemory = 500              // MB
	attackLine   = 2500             // bytes of a line of an error
)

// attackSpaces makes the directories that attacks begin with. The run half was interrupted in the middle.
func attackSpaces(t *testing.T) map[string]string {
	t.Helper()
	rows, texts := workspace(t, 240), t.TempDir()
	write(t, rows, "run.yaml", attackConfig)
	for name, seed := range map[string]string{"r": "1", "b": "2"} {
		train2(t, rows, "train", "--config", "run.yaml", "--run", name, "--set", "seed="+seed)
	}
	t.Run("half", func(t *testing.T) { half(t, rows, "half") })
	write(t, rows, "merge.yaml", "merge: {parents: [r, b], report: false, finetune: {epochs: 0}}\n")
	train2(t, rows, "cki", "--config", "merge.yaml", "--run", "m")
	train2(t, rows, "finetune", "--from", "r", "--run", "f")
	write(t, rows, "rows.csv", "y,a,n,t\n1,x,2,p|q\n0,y,,q\n1,x,-3.5,\n0,z,1e3,p\n"+strings.Repeat("1,x,2,p\n0,y,3,q\n", 20))
	write(t, rows, "csv.yaml", attackCSV)
	write(t, rows, "fm.yaml", attackFM)
	write(t, rows, "rows.libfm", strings.Repeat("1 2:1 7:0.5\n0 3:1 8:2\n-1 2:1 7:1\n", 20))
	train2(t, rows, "train", "--config", "csv.yaml", "--run", "c")
	train2(t, rows, "train", "--config", "fm.yaml", "--run", "l")
	writeHistories(t, rows)
	writeTextspace(t, texts)
	train2(t, texts, "train", "--config", "run.yaml", "--run", "base", "--set", "train.epochs=1")
	for _, f := range []string{"config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"} {
		put(t, texts, "pub/"+f, string(read(t, texts, "base", f)))
	}
	write(t, texts, "pub.yaml", textConfig+"init: {from: pub}\n")
	return map[string]string{"rows": rows, "texts": texts}
}

const attackConfig = `data:
  type: criteo
  path: rows.tsv
  split: {by: order, ratio: [0.7, 0.1, 0.2]}
model: {type: deepfm, embedding_dim: 4, hidden_units: [8]}
train: {batch_size: 32, epochs: 3, patience: 0, learning_rate: 0.01, checkpoint_steps: 3}
`

const attackCSV = `data:
  type: csv
  path: rows.csv
  label: y
  columns: {a: categorical, n: numeric, t: {type: multi, separator: "|"}}
model: {type: deepfm, embedding_dim: 2, hidden_units: [4]}
train: {batch_size: 16, epochs: 1}
`

const attackFM = `data: {type: libfm, path: rows.libfm, columns: {f2: numeric}}
model: {type: fm, embedding_dim: 2}
train: {batch_size: 16, epochs: 1}
`

// train2 runs a command that must succeed.
func train2(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if o := execute(t, dir, name, append(args, "--quiet")...); o.code != 0 {
		t.Fatalf("%s %v: exit %d\n%s", name, args, o.code, o.stderr)
	}
}

// interrupt ends a training after some steps, as Ctrl-C does.
type interrupt struct {
	after int64
	stop  context.CancelFunc
}

// On hears the events of the training.
func (i *interrupt) On(_ context.Context, e *training.Event) error {
	if e.Kind == training.StepDone && e.Step == i.after {
		i.stop()
	}
	return nil
}

// half leaves an interrupted training in a directory of dir.
func half(t *testing.T, dir, name string) {
	t.Helper()
	t.Chdir(dir)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, err := splice.Train(ctx, "run.yaml", splice.Options{
		Run:  name,
		Show: func(training.Options) []training.Callback { return []training.Callback{&interrupt{8, stop}} },
	})
	if !errors.Is(err, training.ErrInterrupted) {
		t.Fatalf("the training was not interrupted: %v", err)
	}
}

// contentOf returns a digest of each file under dir, but for caches, which are made again.
func contentOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.Name() == ".cache":
			return fs.SkipDir
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			all[path] = "link to " + to
			return err
		case !d.Type().IsRegular():
			all[path] = d.Type().String()
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > 1<<24 {
			all[path] = fmt.Sprint(info.Size(), info.ModTime())
			return nil
		}
		b, err := os.ReadFile(path)
		all[path] = fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// measured is what a command did, and what that took.
type measured struct {
	out
	busy time.Duration // of the processors
	peak int64         // MB; 0 where that is not known
	late bool          // it was killed after attackWait
}

// measure runs a command to its end, or kills it if that does not come.
func measure(t testing.TB, c *exec.Cmd) measured {
	t.Helper()
	var o, e bytes.Buffer
	c.Stdout, c.Stderr = &o, &e
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	watch := time.AfterFunc(attackWait, func() { _ = c.Process.Kill() })
	_ = c.Wait() // its exit code is looked at
	m := measured{out: out{c.ProcessState.ExitCode(), o.String(), e.String()}, late: !watch.Stop()}
	m.busy = c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok && runtime.GOOS == "linux" {
		m.peak = int64(u.Maxrss) / 1024
	}
	return m
}

// faults returns what is wrong with how a command ended.
func (a *attack) faults(m measured) (all []string) {
	bad := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if m.late || m.busy > attackTime {
		bad("took %v of the processors, ended by itself: %v", m.busy, !m.late)
	}
	if m.peak > attackMemory {
		bad("took %d MB", m.peak)
	}
	for _, s := range []string{"goroutine ", "panic", "runtime error", "fatal error"} {
		if strings.Contains(m.stderr, s) {
			bad("crashed")
		}
	}
	if m.code == 0 && (a.fine || a.takes) {
		return all
	}
	switch {
	case a.takes:
		bad("exit code %d, want 0", m.code)
	case a.code == 0 && m.code != 2 && m.code != 1, a.code != 0 && m.code != a.code:
		bad("exit code %d", m.code)
	}
	if m.late {
		return all
	}
	text, ends := strings.CutSuffix(m.stderr, "\n")
	lines := strings.Split(text, "\n")
	if want := max(1, a.lines); !ends || len(lines) != want && a.lines >= 0 || len(lines) > 25 {
		bad("%d lines, want %d", len(lines), want)
	}
	for _, l := range lines {
		if len(l) > attackLine {
			bad("a line of %d bytes", len(l))
		}
		if strings.TrimSpace(l) == "" {
			bad("a blank line")
		}
	}
	control := func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x202e }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		bad("control characters or bytes that are no UTF-8: %q", text)
	}
	for _, w := range a.want {
		if !strings.Contains(text, w) {
			bad("does not say %q", w)
		}
	}
	return all
}

// TestAttack gives every parser inputs that are not what they should be.
func TestAttack(t *testing.T) {
	spaces := attackSpaces(t)
	all := slices.Concat(attacksOnConfigs(), attacksOnRows(), attacksOnHistories(), attacksOnTexts(), attacksOnFiles(), attacksOnTensors(), attacksOnRuns(),
		attacksOnPublished(), attacksOnTokenizers(), attacksOnTables(), attacksOnFlags(), attacksOnFetch(t))
	seen := map[string]bool{}
	for _, a := range all {
		if seen[a.name] {
			t.Fatalf("two attacks are called %s", a.name)
		}
		seen[a.name] = true
	}
	t.Logf("%d inputs", len(all))
	t.Run("inputs", func(t *testing.T) {
		for _, a := range all {
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				a.run(t, spaces[a.on])
			})
		}
	})
}

func (a *attack) run(t *testing.T, space string) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(space)); err != nil {
		t.Fatal(err)
	}
	if a.spoil != nil {
		a.spoil(t, dir)
	}
	before := contentOf(t, dir)
	c := command(dir, a.args[0], append(slices.Clone(a.args[1:]), "--quiet")...)
	m := measure(t, c)
	faults := a.faults(m)
	after := contentOf(t, dir)
	for file, was := range before {
		if is := after[file]; is != was && !(a.changes && m.code == 0) {
			faults = append(faults, fmt.Sprintf("%s was %s and is %q", file, was, is))
		}
	}
	for file := range after {
		if _, was := before[file]; !was && m.code != 0 && (a.leaves == "" || !strings.HasPrefix(file, filepath.Join(dir, a.leaves))) {
			faults = append(faults, file+" was left behind")
		}
	}
	switch {
	case len(faults) > 0:
		record("hostile inputs", "wrong")
	case m.code == 0:
		record("hostile inputs", "taken, as they must or may be")
	default:
		record("hostile inputs", fmt.Sprint("exit ", m.code, " and what to do"))
	}
	if len(faults) > 0 {
		t.Errorf("%v: exit %d, %v, %d MB\n%s\n%s", a.args, m.code, m.busy, m.peak, shorten(m.stderr), strings.Join(faults, "\n"))
	} else if testing.Verbose() {
		t.Logf("exit %d: %s", m.code, shorten(m.stderr))
	}
}

func shorten(s string) string {
	if len(s) > 1500 {
		return s[:1000] + " ... " + s[len(s)-400:]
	}
	return s
}
