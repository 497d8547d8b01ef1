//go:build unix

package cmd_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKill kills a run at a random moment, 20 times, and resumes it: each time the model has the bytes of the run that was
// not killed. With -short it is 3 times.
func TestKill(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 3
	}
	killAndResume(t, workspace(t, 6000), kills)
}

// TestKillHistories does so with next items, whose negatives are drawn by popularity at each step, and with candidates, whose negatives are
// drawn in each epoch.
func TestKillHistories(t *testing.T) {
	for _, text := range []string{
		`data: {type: synthetic_interactions, users: 500, items: 200, rows: sequences, max_len: 20}
model: {type: sasrec, output: catalogue, embedding_dim: 64, dropout: 0.2}
task: {type: next_item, loss: sampled_softmax, negatives: 8, negatives_by: popularity, logq: true}
train: {epochs: 4, batch_size: 16, checkpoint_steps: 10}
`,
		`data: {type: synthetic_interactions, users: 200, items: 200, max_len: 20}
model: {type: din, embedding_dim: 8}
task: {metrics: [auc, "ndcg@10"]}
train: {epochs: 3, batch_size: 256, checkpoint_steps: 10}
`,
	} {
		dir := workspace(t, 100)
		write(t, dir, "run.yaml", text)
		killAndResume(t, dir, 3)
	}
}

func killAndResume(t *testing.T, dir string, kills int) {
	t.Helper()
	start := time.Now()
	train(t, dir, "whole")
	whole := time.Since(start)
	want, wantResult := read(t, dir, "whole", "model.safetensors"), trimTimes(read(t, dir, "whole", "result.json"))
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	killed := 0
	for i := range kills {
		name := fmt.Sprint("killed", i)
		after := time.Duration(r.Float64() * float64(whole))
		c := command(dir, "train", "--config", "run.yaml", "--run", name)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(after)
		_ = c.Process.Signal(syscall.SIGKILL)
		if err := c.Wait(); err != nil {
			killed++
		}
		train(t, dir, name, "--resume")
		if !bytes.Equal(read(t, dir, name, "model.safetensors"), want) {
			t.Errorf("killed after %v of %v: another model", after, whole)
		}
		if got := trimTimes(read(t, dir, name, "result.json")); got != wantResult {
			t.Errorf("killed after %v: result\n%s\nwant\n%s", after, got, wantResult)
		}
	}
	t.Logf("%d of %d runs were killed before their end (a run takes %v)", killed, kills, whole)
	if killed == 0 {
		t.Error("no run was killed before its end")
	}
}

// TestKillRounds kills a training in rounds at a random moment and runs its command again: the model has the bytes of the one that was not
// killed, and the run is as any other.
func TestKillRounds(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "run.yaml", `data: {type: tastes, users: 200, items: 50, rows: 20000}
model: {type: deepfm, embedding_dim: 4, hidden_units: [16], batch_norm: true}
train: {epochs: 4, batch_size: 256, embedding_regularizer: 0.001, checkpoint_steps: 13}
merge:
  regime: {type: data, by: user, count: 3, trunk_steps: 0}
  rounds: {every: 0.25, outer: {type: nesterov, learning_rate: 1, momentum: 0.1}}
`)
	merge := func(name string) *exec.Cmd {
		return command(dir, "cki", "--config", "run.yaml", "--run", name, "--quiet")
	}
	start := time.Now()
	if o := do(t, merge("whole")); o.code != 0 || !strings.Contains(o.stdout, "3 workers, merged every 0.25 passes") {
		t.Fatalf("exit %d\n%s%s", o.code, o.stdout, o.stderr)
	}
	whole := time.Since(start)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	killed := 0
	for i := range 2 {
		name := fmt.Sprint("killed", i)
		for range 2 {
			c := merge(name)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration((.2 + .8*r.Float64()) * float64(whole)))
			_ = c.Process.Signal(syscall.SIGKILL)
			if err := c.Wait(); err != nil {
				killed++
			}
		}
		if o := do(t, merge(name)); o.code != 0 {
			t.Fatalf("after a kill: exit %d\n%s", o.code, o.stderr)
		}
		for _, file := range []string{"model.safetensors", "counts.safetensors", "result.json", "rows/rounds/training/model.safetensors"} {
			if !bytes.Equal(read(t, dir, name, file), read(t, dir, "whole", file)) {
				t.Errorf("killed and run again: another %s", file)
			}
		}
	}
	if killed == 0 {
		t.Error("no run was killed before its end")
	}
	for _, c := range [][]string{
		{"evaluate", "--run", "whole"},
		{"finetune", "--from", "whole", "--run", "f", "--quiet", "--set", "train.epochs=1"},
		{"cki", "--run", "m", "--set", "merge.parents=[whole, f]", "--set", "merge.rounds=1", "--config", "run.yaml", "--quiet"},
	} {
		if o := execute(t, dir, c[0], c[1:]...); o.code != 0 {
			t.Errorf("%v: exit %d\n%s%s", c, o.code, o.stdout, o.stderr)
		}
	}
	for _, file := range []string{"report.md", "merge.json", "table.json", "rows/rounds/training/metrics.jsonl"} {
		read(t, dir, "whole", file)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "whole", "rows", "*", "*", "last", "*")); len(left) > 0 {
		t.Errorf("states are left: %v", left)
	}
}

// trimTimes leaves out what differs from run to run.
func trimTimes(b []byte) string {
	s := string(b)
	if i := strings.Index(s, `"train"`); i >= 0 {
		s = s[:i]
	}
	return s
}

// TestInterrupt: SIGTERM and Ctrl-C save the state and exit with 130; --resume goes on to the same model.
func TestInterrupt(t *testing.T) {
	dir := workspace(t, 6000)
	train(t, dir, "whole")
	want := read(t, dir, "whole", "model.safetensors")
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		name := fmt.Sprint("run", int(sig))
		c := command(dir, "train", "--config", "run.yaml", "--run", name, "--set", "train.checkpoint_steps=1000")
		var log bytes.Buffer
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for range 500 { // until it trains
			if m, _ := filepath.Glob(filepath.Join(dir, name, "metrics.jsonl")); len(m) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := c.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); code != 130 {
			t.Errorf("%v: exit code %d, want 130\n%s", sig, code, log.String())
		}
		if !strings.Contains(log.String(), "--resume") {
			t.Errorf("%v: nothing says how to go on:\n%s", sig, log.String())
		}
		early := strings.Contains(log.String(), "during an evaluation, before the first checkpoint")
		if _, err := os.Stat(filepath.Join(dir, name, "last", "state.json")); (err != nil) != early {
			t.Errorf("%v: checkpoint: %v\n%s", sig, err, log.String())
		}
		train(t, dir, name, "--resume", "--set", "train.checkpoint_steps=1000")
		if !bytes.Equal(read(t, dir, name, "model.safetensors"), want) {
			t.Errorf("%v: the resumed run has another model", sig)
		}
	}
}

// TestStaleCheckpoint: a training that was killed after it had written its last state has the files of the one before, too. They go.
func TestStaleCheckpoint(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r")
	write(t, dir, "r/last/model-1.safetensors", string(read(t, dir, "r", "model.safetensors")))
	train(t, dir, "r", "--resume")
	if _, err := os.Stat(filepath.Join(dir, "r", "last", "model-1.safetensors")); err == nil {
		t.Error("the model of an earlier state stays")
	}
}

// TestInterruptMerge: an interrupt in a training that belongs to a merge says how to go on with the flags of the command, and the same
// command goes on.
func TestInterruptMerge(t *testing.T) {
	dir := workspace(t, 3000)
	write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 0}}\n")
	write(t, dir, "table.yaml", "runs: t\nseeds: 1\nvariants: [{name: x, config: made.yaml}]\n")
	for run, args := range map[string][]string{"m": {"cki", "--config", "made.yaml", "--run", "m"}, "t/x/1": {"table", "table.yaml"}} {
		c := command(dir, args[0], append(args[1:], "--set", "train.epochs=200")...)
		if args[0] == "table" {
			c = command(dir, args[0], "--set", "train.epochs=200", args[1])
		}
		var log bytes.Buffer
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		for range 500 { // until it trains
			if m, _ := filepath.Glob(filepath.Join(dir, run, "parents", "*", "metrics.jsonl")); len(m) > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if err := c.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait()
		if code := c.ProcessState.ExitCode(); code != 130 || !strings.Contains(log.String(), "give the same command again to go on") {
			t.Errorf("%s: exit code %d, want 130 and how to go on\n%s", args[0], code, log.String())
		}
		checkHints(t, c, log.String())
		if m, _ := filepath.Glob(filepath.Join(dir, run, "parents", "*", "last", "state.json")); len(m) == 0 {
			t.Errorf("%s: there is no state to go on from", args[0])
		}
	}
}

// TestInterruptPipe: the first interrupt ends a command that waits for a pipe, for its writer or for more of what it writes.
func TestInterruptPipe(t *testing.T) {
	dir := workspace(t, 1500)
	train(t, dir, "r", "--set", "train.epochs=1")
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o666); err != nil {
		t.Skip(err)
	}
	rows := read(t, dir, "rows.tsv")
	for _, args := range [][]string{
		{"predict", "--run", "r", "--in", "fifo", "--out", "-"},
		{"predict", "--run", "r", "--in", "fifo", "--out", "p.txt"},
		{"train", "--config", "run.yaml", "--set", "data.path=fifo", "--run", "new"},
		{"evaluate", "--run", "r", "--data", "fifo"},
	} {
		for _, written := range []bool{false, true} {
			c := command(dir, args[0], args[1:]...)
			var log bytes.Buffer
			c.Stderr = &log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { _ = c.Wait(); close(ended) }()
			var w *os.File
			if written {
				w = writePipe(t, filepath.Join(dir, "fifo"), rows[:bytes.IndexByte(rows[len(rows)/4:], '\n')+len(rows)/4+1], ended)
			}
			time.Sleep(500 * time.Millisecond) // it waits by now
			select {
			case <-ended:
				t.Fatalf("%v ended by itself: exit code %d\n%s", args, c.ProcessState.ExitCode(), log.String())
			default:
			}
			if err := c.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(2 * time.Second):
				t.Errorf("%v, rows written: %v: it waits after an interrupt", args, written)
				_ = c.Process.Kill()
				<-ended
			}
			if code := c.ProcessState.ExitCode(); code != 130 {
				t.Errorf("%v, rows written: %v: exit code %d, want 130\n%s", args, written, code, log.String())
			}
			if w != nil {
				_ = w.Close()
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "p.txt")); err == nil {
		t.Error("predictions of a part of the rows were kept")
	}
}

// writePipe opens a pipe that a command reads, writes some rows, and leaves it open.
func writePipe(t *testing.T, path string, rows []byte, ended <-chan struct{}) *os.File {
	t.Helper()
	for range 500 {
		fd, err := syscall.Open(path, syscall.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			w := os.NewFile(uintptr(fd), path)
			if err := w.SetWriteDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(rows); err != nil {
				t.Fatal(err)
			}
			return w
		}
		select {
		case <-ended:
			t.Fatal("it ended before it read")
		case <-time.After(10 * time.Millisecond):
		}
	}
	t.Fatal("nobody reads the pipe")
	return nil
}
