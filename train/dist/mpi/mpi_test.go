//go:build mpi && linux

package mpi_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/dist/mpi"
)

// probe names what this program does in the place of its tests, as one of several processes.
const probe = "SPLICE_MPI_PROBE"

// bin has the commands; configs is the directory of the configs.
var bin, configs string

func TestMain(m *testing.M) {
	if os.Getenv(probe) != "" {
		mpi.Exit(probed())
	}
	code, err := prepared(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func prepared(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "splice-mpi-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if configs, err = filepath.Abs("../../../configs"); err != nil {
		return 1, err
	}
	for _, args := range [][]string{
		{"build", "-tags", "mpi", "-o", filepath.Join(dir, "train-mpi"), "../../../cmd/train"},
		{"build", "-o", dir + string(filepath.Separator), "../../../cmd/launch", "../../../cmd/train"},
	} {
		c := exec.Command("go", args...)
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// launchers are the MPIs of Debian's packages, by the names of their mpirun.
var launchers = []string{"mpirun.openmpi", "mpirun.mpich"}

// eachMPI runs a test with every MPI that is installed.
func eachMPI(t *testing.T, test func(t *testing.T, mpirun string)) {
	for _, name := range launchers {
		t.Run(name, func(t *testing.T) {
			if _, err := exec.LookPath(name); err != nil {
				t.Skipf("%s is not installed", name)
			}
			test(t, name)
		})
	}
}

// started is a command that was run to its end, or for a time.
type started struct {
	code   int
	out    string
	lasted time.Duration
}

// launch runs a program on ranks by bin/launch. during, which may be nil, is called with launch's process once it runs.
func launch(t *testing.T, mpirun, dir string, env []string, during func(p *os.Process), args ...string) started {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, "launch"), append([]string{"--by", mpirun}, args...)...)
	c.Dir, c.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	begin := time.Now()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	if during != nil {
		during(c.Process)
		begin = time.Now()
	}
	var exit *exec.ExitError
	if err := c.Wait(); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v\n%s", args, err, &out)
	}
	return started{c.ProcessState.ExitCode(), out.String(), time.Since(begin)}
}

// training is the arguments of a short training in a run's directory.
func training(run string, more ...string) []string {
	return append([]string{
		"--config", filepath.Join(configs, "smoke_dcnv2.yaml"), "--run", run, "--set", "train.shards=4", "--set", "train.max_steps=6",
		"--set", "data.path=" + filepath.Join(configs, "testdata", "smoke", "rows.tsv.gz"),
	}, more...)
}

// alone trains in one process of the static program.
func alone(t *testing.T, dir, run string, more ...string) []byte {
	t.Helper()
	c := exec.Command(filepath.Join(bin, "train"), training(run, more...)...)
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return weights(t, filepath.Join(dir, run))
}

func weights(t *testing.T, run string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(run, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSameBytes trains on 2 and 3 ranks: the model's bytes are those of one process. Only rank 0 prints.
func TestSameBytes(t *testing.T) {
	dir := t.TempDir()
	want := alone(t, dir, "one")
	eachMPI(t, func(t *testing.T, mpirun string) {
		for _, n := range []string{"2", "3"} {
			run := mpirun + n
			got := launch(t, mpirun, dir, nil, nil, append([]string{"-n", n, "train"}, training(run)...)...)
			if got.code != 0 || strings.Count(got.out, "run in ") != 1 || !strings.Contains(got.out, "ranks="+n) {
				t.Fatalf("exit code %d\n%s", got.code, got.out)
			}
			if !bytes.Equal(weights(t, filepath.Join(dir, run)), want) {
				t.Errorf("on %s ranks the weights are others than those of one process", n)
			}
		}
	})
}

// TestStopAndResume stops 2 ranks by Ctrl-C to launch: they write a checkpoint. One process goes on to the bytes of a training that was not
// stopped.
func TestStopAndResume(t *testing.T) {
	more := []string{"--set", "train.epochs=400", "--set", "train.max_steps=200", "--set", "train.patience=0", "--set", "train.eval_steps=100"}
	dir := t.TempDir()
	want := alone(t, dir, "one", more...)
	eachMPI(t, func(t *testing.T, mpirun string) {
		slow := append(training(mpirun, more...), "--set", "train.log_steps=1")
		got := launch(t, mpirun, dir, nil, func(p *os.Process) {
			await(t, filepath.Join(dir, mpirun, "metrics.jsonl"), `"step":3`)
			if err := p.Signal(os.Interrupt); err != nil {
				t.Error(err)
			}
		}, append([]string{"-n", "2", "train"}, slow...)...)
		if got.code == 0 {
			t.Skip("the training was over before it was stopped")
		}
		if got.code != 130 || !strings.Contains(got.out, "interrupted") || got.lasted > 30*time.Second {
			t.Fatalf("exit code %d after %v\n%s", got.code, got.lasted, got.out)
		}
		if _, err := os.Stat(filepath.Join(dir, mpirun, "last", "state.json")); err != nil && !strings.Contains(got.out, "during an evaluation") {
			t.Errorf("%v\n%s", err, got.out)
		}
		if !bytes.Equal(alone(t, dir, mpirun, append(more, "--resume")...), want) {
			t.Error("resumed in one process, the weights are others than those of a training that was not stopped")
		}
	})
}

// await waits until a file has a text.
func await(t *testing.T, path, text string) {
	t.Helper()
	for range 1200 {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s has not %s after a minute", path, text)
}

// TestKilledRank kills a rank of a long training: all end within seconds.
func TestKilledRank(t *testing.T) {
	eachMPI(t, func(t *testing.T, mpirun string) {
		dir := t.TempDir()
		args := training("run", "--set", "train.epochs=100000", "--set", "train.max_steps=0", "--set", "train.patience=0", "--set", "train.log_steps=1")
		got := launch(t, mpirun, dir, nil, func(p *os.Process) {
			await(t, filepath.Join(dir, "run", "metrics.jsonl"), `"step":2`)
			ranks := ranksOf(t, p.Pid)
			if len(ranks) != 2 {
				t.Errorf("ranks %v, want 2", ranks)
			}
			for _, pid := range ranks[:min(1, len(ranks))] {
				if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
					t.Error(err)
				}
			}
		}, append([]string{"-n", "2", "train"}, args...)...)
		if got.code == 0 || got.lasted > 20*time.Second {
			t.Errorf("exit code %d after %v\n%s", got.code, got.lasted, got.out)
		}
	})
}

// ranksOf returns the processes of train-mpi below a process.
func ranksOf(t *testing.T, root int) (ranks []int) {
	t.Helper()
	parents := map[int]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var programs []int
	for _, e := range entries {
		var pid, parent int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		var state string
		if _, err := fmt.Sscan(rest, &state, &parent); err != nil {
			continue
		}
		parents[pid] = parent
		if strings.Contains(string(b), "(train-mpi)") {
			programs = append(programs, pid)
		}
	}
	for _, pid := range programs {
		for at := pid; at > 1; at = parents[at] {
			if at == root {
				ranks = append(ranks, pid)
				break
			}
		}
	}
	slices.Sort(ranks)
	return ranks
}

// TestMistakes holds what is said, in one line and with exit code 2, of ranks that cannot train together.
func TestMistakes(t *testing.T) {
	other := map[string]string{"mpirun.openmpi": "libmpich.so.12", "mpirun.mpich": "libmpi.so.40"}
	eachMPI(t, func(t *testing.T, mpirun string) {
		for _, tc := range []struct {
			name    string
			program string
			env     []string
			want    string
		}{
			{"no library", "train", []string{"SPLICE_MPI=/absent/libmpi.so"}, "no MPI library"},
			{"another MPI's library", "train", []string{"SPLICE_MPI=" + other[mpirun]}, "the launcher and the library are of different implementations"},
			{"a static program", filepath.Join(bin, "train"), nil, "is built without MPI"},
		} {
			if tc.name == "another MPI's library" && len(installed()) < len(launchers) {
				continue
			}
			got := launch(t, mpirun, t.TempDir(), tc.env, nil, append([]string{"-n", "2", tc.program}, training("run")...)...)
			if got.code != 2 || strings.Count(got.out, tc.want) != 1 {
				t.Errorf("%s: exit code %d, want 2 and once %q\n%s", tc.name, got.code, tc.want, got.out)
			}
		}
		got := launch(t, mpirun, t.TempDir(), nil, nil, append([]string{"-n", "2", "train"}, training("run", "--set", "train.shards=1")...)...)
		if got.code != 2 || strings.Count(got.out, "2 ranks are dealt the shards of each batch, of which there are 1") != 1 {
			t.Errorf("without shards: exit code %d\n%s", got.code, got.out)
		}
		got = launch(t, mpirun, t.TempDir(), nil, nil, "-n", "2", "train", "--config", "absent.yaml")
		if got.code != 2 || strings.Count(got.out, "absent.yaml") != 1 {
			t.Errorf("without a config: exit code %d\n%s", got.code, got.out)
		}
	})
}

// installed returns the MPIs that are there.
func installed() []string {
	return slices.DeleteFunc(slices.Clone(launchers), func(name string) bool { _, err := exec.LookPath(name); return err != nil })
}

// TestProbe has ranks check the engine: see probed.
func TestProbe(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	eachMPI(t, func(t *testing.T, mpirun string) {
		if got := launch(t, mpirun, t.TempDir(), []string{probe + "=check"}, nil, "-n", "2", self); got.code != 0 || strings.Count(got.out, "good") != 2 {
			t.Errorf("exit code %d\n%s", got.code, got.out)
		}
		got := launch(t, mpirun, t.TempDir(), []string{probe + "=late", "SPLICE_MPI_WAIT=1s"}, nil, "-n", "2", self)
		if got.code != 3 || !strings.Contains(got.out, "the others have not come within 1s") || got.lasted > 20*time.Second {
			t.Errorf("a rank that does not come: exit code %d after %v\n%s", got.code, got.lasted, got.out)
		}
	})
}

// probed is what a rank of TestProbe does. It returns the exit code.
func probed() int {
	g, err := mpi.Open()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if os.Getenv(probe) == "late" {
		if g.Rank() == 1 {
			time.Sleep(time.Minute)
		}
		fmt.Fprintln(os.Stderr, g.Barrier())
		g.Abort(3)
	}
	if err := check(g); err != nil {
		fmt.Fprintln(os.Stderr, err)
		g.Abort(1)
	}
	if err := g.Close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("good")
	return 0
}

// check makes all calls, out of arenas and of other memory, and sees whether Go has its signals still.
func check(g dist.Group) (err error) {
	me, size := g.Rank(), g.Size()
	const n = 3 << 20
	for _, memory := range []func(int) []byte{g.Alloc, func(n int) []byte { return make([]byte, n) }} {
		b := memory(n)
		if me == 1 {
			for i := range b {
				b[i] = byte(i * 7)
			}
		}
		if err := g.Bcast(b, 1); err != nil || b[n-1] != byte((n-1)*7%256) {
			return fmt.Errorf("bcast: %d: %w", b[n-1], err)
		}
		send, recv := []int{5, n - 5}, []int{5, 5}
		if me == 1 {
			recv = []int{n - 5, n - 5}
		}
		out := memory(recv[0] + recv[1])
		in := memory(n)
		copy(in, b)
		in[5*me] = byte(100 + me)
		if err := g.Alltoallv(in, send, out, recv); err != nil || me == 0 && !slices.Equal(out[5:], b[:5]) || me == 1 && out[recv[0]] != 101 {
			return fmt.Errorf("alltoallv: %v: %w", out[:10], err)
		}
		all := memory(3)
		if err := g.Allgatherv(in[5*me:5*me+1+me], all, []int{1, 2}); err != nil || all[0] != 100 || all[1] != 101 {
			return fmt.Errorf("allgatherv: %v: %w", all, err)
		}
	}
	texts, err := dist.Gather(g, strings.Repeat("x", me))
	if err != nil || len(texts) != size || texts[1] != "x" {
		return fmt.Errorf("gather: %q: %w", texts, err)
	}
	if !recovers() {
		return errors.New("a nil dereference is no panic any more")
	}
	return g.Barrier()
}

// recovers reports whether a nil dereference is a panic.
func recovers() (ok bool) {
	defer func() { ok = recover() != nil }()
	var p *dist.Launch
	return p.Size > 0
}
