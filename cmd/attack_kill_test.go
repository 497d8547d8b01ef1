//go:build unix

package cmd_test

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/set"
)

// tally counts how attacks ended, for the table that make attack prints.
var tally struct {
	sync.Mutex
	rows  []string
	count map[string]map[string]int
}

// record counts an attack that ended as outcome says.
func record(what, outcome string) {
	tally.Lock()
	defer tally.Unlock()
	if tally.count == nil {
		tally.count = map[string]map[string]int{}
	}
	if tally.count[what] == nil {
		tally.rows = append(tally.rows, what)
		tally.count[what] = map[string]int{}
	}
	tally.count[what][outcome]++
}

func init() {
	if os.Getenv("SPLICE_ATTACK_TABLE") != "" {
		atEnd = printTally
	}
}

// printTally prints how many attacks of each kind ended how.
func printTally() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "attack\ttimes\toutcomes") // to standard output, whose errors nobody sees
	slices.Sort(tally.rows)
	for _, what := range tally.rows {
		sum := 0
		var outcomes []string
		for o, n := range tally.count[what] {
			sum += n
			outcomes = append(outcomes, fmt.Sprintf("%s %d", o, n))
		}
		slices.Sort(outcomes)
		fmt.Fprintf(w, "%s\t%d\t%s\n", what, sum, strings.Join(outcomes, ", "))
	}
	_ = w.Flush()
}

// times returns how often an attack is made: as the environment says, or a few times.
func times(t *testing.T, key string, few int) int {
	t.Helper()
	if testing.Short() {
		few = max(1, few/3)
	}
	n, err := strconv.Atoi(cmp.Or(os.Getenv(key), strconv.Itoa(few)))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return n
}

// job is a command that makes files, and how it is given again after it was cut off.
type job struct {
	name        string
	args, again []string
}

// jobs are commands that are attacked while they run, in a folder of a jobSpace.
var jobs = []job{
	{"train", []string{"train", "--config", "run.yaml", "--run", "o"}, []string{"--resume"}},
	{"train (texts)", []string{"train", "--config", "text.yaml", "--run", "o"}, []string{"--resume"}},
	{"finetune", []string{"finetune", "--from", "../r", "--run", "o"}, []string{"--resume"}},
	{"cki", []string{"cki", "--config", "merge.yaml", "--run", "o"}, nil},
	{"predict", []string{"predict", "--run", "../r", "--in", "../rows.tsv", "--out", "o.txt"}, nil},
}

// jobSpace is a directory for folders in which jobs run.
func jobSpace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeTextspace(t, dir)
	if err := os.Rename(filepath.Join(dir, "rows.tsv"), filepath.Join(dir, "texts.tsv")); err != nil {
		t.Fatal(err)
	}
	if _, err := set.SynthFile(t.Context(), filepath.Join(dir, "rows.tsv"), set.SynthOptions{Rows: 400, Seed: 3, TestShare: .2}); err != nil {
		t.Fatal(err)
	}
	jobFolder(t, dir, "r0")
	train2(t, filepath.Join(dir, "r0"), "train", "--config", "run.yaml", "--run", "../r")
	return dir
}

// jobFolder is a new folder in which the jobs can run.
func jobFolder(t testing.TB, space, name string) string {
	t.Helper()
	dir := filepath.Join(space, name)
	up := func(s string) string { return strings.ReplaceAll(s, "path: rows.tsv", "path: ../rows.tsv") }
	spoil(t, dir, "run.yaml", up(attackConfig))
	spoil(t, dir, "text.yaml", strings.ReplaceAll(textConfig, "path: rows.tsv", "path: ../texts.tsv"))
	spoil(t, dir, "merge.yaml", up(attackConfig)+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 1}}\n")
	return dir
}

// durations are what differs from run to run.
var durations = regexp.MustCompile(`"(seconds|samples_per_s|time|valid_seconds)": ?[^,}\n]*`)

// made returns what a job leaves in its folder, and what it should not leave in its run. Caches and other folders may have files of
// commands that were killed until these are old.
func made(dir string) (files map[string]string, left []string, err error) {
	files = map[string]string{}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if _, ok := atomicfile.Final(d.Name()); ok || d.Name() == ".splice.lock" {
			if strings.HasPrefix(name, "o"+string(filepath.Separator)) {
				left = append(left, name)
			}
			return nil
		}
		if strings.HasPrefix(name, ".cache") || strings.HasPrefix(d.Name(), "events.") || d.Name() == "state.json" {
			return nil
		}
		b, err := os.ReadFile(path)
		if e := filepath.Ext(name); e == ".json" || e == ".jsonl" {
			b = durations.ReplaceAll(b, nil)
		}
		files[name] = fmt.Sprintf("%x", sha256.Sum256(b))
		return err
	})
	return files, left, err
}

// differ returns the names of files that are not the same.
func differ(a, b map[string]string) (all []string) {
	for name, x := range a {
		if b[name] != x {
			all = append(all, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return all
}

// whole runs each job to its end and returns what it leaves, and how long it takes.
func whole(t *testing.T, space string, j job) (map[string]string, time.Duration) {
	t.Helper()
	var took []time.Duration
	var files map[string]string
	for i := range 3 {
		dir := jobFolder(t, space, fmt.Sprintf("whole %s %d", j.name, i))
		start := time.Now()
		train2(t, dir, j.args[0], j.args[1:]...)
		took = append(took, time.Since(start))
		now, left, err := made(dir)
		if err != nil || len(left) > 0 {
			t.Fatalf("%s leaves %v, %v", j.name, left, err)
		}
		if d := differ(files, now); i > 0 && len(d) > 0 {
			t.Fatalf("%s, not interrupted, makes other files each time: %v", j.name, d)
		}
		files = now
	}
	slices.Sort(took)
	return files, took[1]
}

// TestAttackKills kills commands at random moments and gives them again, until they end: they then have made the bytes of a command
// that was not killed. SPLICE_ATTACK_KILLS is how many kills there are.
func TestAttackKills(t *testing.T) {
	n := times(t, "SPLICE_ATTACK_KILLS", 15)
	space := jobSpace(t)
	for _, j := range jobs {
		want, took := whole(t, space, j)
		var m sync.Mutex
		kills, tries := 0, 0
		next := func() (int, bool) { // whether there is to be another command
			m.Lock()
			defer m.Unlock()
			tries++
			return tries, kills < (n+len(jobs)-1)/len(jobs) && tries <= 5*n+20
		}
		worker := func() {
			for {
				i, ok := next()
				if !ok {
					return
				}
				dir := jobFolder(t, space, fmt.Sprintf("%s %d", j.name, i))
				k := killed(t, dir, j, took, rand.New(rand.NewPCG(uint64(i), uint64(len(j.name)))), want)
				m.Lock()
				kills += k
				m.Unlock()
			}
		}
		var all sync.WaitGroup
		for range 2 * runtime.GOMAXPROCS(0) {
			all.Go(worker)
		}
		all.Wait()
		if kills == 0 {
			t.Errorf("%s was never killed before its end (it takes %v)", j.name, took)
		}
		t.Logf("%s: %d kills in %d commands, each of which takes %v", j.name, kills, tries, took)
	}
}

// killed kills a job and gives it again until it ends, and returns how often it was killed.
func killed(t *testing.T, dir string, j job, took time.Duration, r *rand.Rand, want map[string]string) (kills int) {
	args := j.args
	for again := true; again; args = append(slices.Clone(j.args), j.again...) {
		c := command(dir, args[0], append(slices.Clone(args[1:]), "--quiet")...)
		after := time.Hour
		if again = kills == 0 && len(args) == len(j.args) || r.IntN(3) == 0; again {
			after = time.Duration(r.Float64() * 1.1 * float64(took))
		}
		var log strings.Builder
		c.Stderr = &log
		if err := c.Start(); err != nil {
			t.Error(err)
			return kills
		}
		watch := time.AfterFunc(after, func() { _ = c.Process.Signal(syscall.SIGKILL) })
		err := c.Wait()
		watch.Stop()
		status, _ := c.ProcessState.Sys().(syscall.WaitStatus)
		switch {
		case status.Signaled():
			kills++
			again = true
		case err != nil:
			t.Errorf("%s, killed %d times, exit %d: %s", j.name, kills, c.ProcessState.ExitCode(), log.String())
			record("kill of "+j.name, "failed afterwards")
			return kills
		default:
			again = false
		}
		if kills > 0 && j.name == "predict" {
			if b, err := os.ReadFile(filepath.Join(dir, "o.txt")); err == nil && fmt.Sprintf("%x", sha256.Sum256(b)) != want["o.txt"] {
				t.Error("predict, killed, leaves a part of its file")
			} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		}
	}
	got, left, err := made(dir)
	if d := differ(want, got); len(d) > 0 || err != nil || len(left) > 0 {
		t.Errorf("%s, killed %d times, makes other files: %v, %v; left behind: %v", j.name, kills, d, err, left)
		record("kill of "+j.name, "other bytes")
		return kills
	}
	for range kills {
		record("kill of "+j.name, "the same bytes")
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	return kills
}
