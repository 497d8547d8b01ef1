//go:build unix

package cmd_test

import (
	"bytes"
	"math/rand/v2"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// cells is a table of merges, of which two rows are of merges of their own with the same parents, and of trainings that start from one another.
const cells = `title: Cells
runs: cells
costs: false
metrics: [auc, logloss]
datasets:
  - {name: Made, config: made.yaml}
rows:
  - {row: best parent}
  - {row: merge}
  - {row: merge + training}
  - {row: merge, label: slerp, set: [merge.method=slerp]}
  - {row: ensemble}
  - {name: a, train: run.yaml}
  - {name: b, train: run.yaml, set: ["init.from='{a}'", train.epochs=1]}
  - {name: both, ensemble: [a, b]}
quick: {seeds: 2}
`

// TestKillTable kills a table at a random moment, again and again until it is made: it has the bytes of one that was not killed, in every
// format, with one cell at once and with several. Made again, it makes nothing and prints the same.
func TestKillTable(t *testing.T) {
	whole := workspace(t, 800)
	table := func(dir string, args ...string) []byte {
		t.Helper()
		c := command(dir, "table", append([]string{"--quick", "--dir", "shown"}, append(args, "table.yaml")...)...)
		var log bytes.Buffer
		c.Stderr = &log
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		return out
	}
	files := func(dir string) {
		write(t, dir, "made.yaml", config+"merge: {regime: {type: shared_init}, report: false, finetune: {epochs: 1}}\n")
		write(t, dir, "table.yaml", cells)
	}
	files(whole)
	start := time.Now()
	want := table(whole)
	took := time.Since(start)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	for _, jobs := range []string{"1", "3"} {
		dir := workspace(t, 800)
		files(dir)
		kills := 0
		for range 2 {
			c := command(dir, "table", "--quick", "--jobs", jobs, "table.yaml")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration((.05 + .4*r.Float64()) * float64(took)))
			_ = c.Process.Signal(syscall.SIGKILL)
			if c.Wait() != nil {
				kills++
			}
		}
		if kills == 0 {
			t.Error("the table was never killed before its end")
		}
		if got := table(dir, "--jobs", jobs); !bytes.Equal(got, want) {
			t.Errorf("killed %d times, %s jobs:\n%s\nwant\n%s", kills, jobs, got, want)
		}
		for _, name := range []string{"table.csv", "table.tex", "table.md"} {
			if a, b := read(t, dir, "shown", name), read(t, whole, "shown", name); !bytes.Equal(a, b) {
				t.Errorf("killed %d times, %s jobs: another %s", kills, jobs, name)
			}
		}
		before := read(t, dir, "shown", "table.json")
		if got := table(dir); !bytes.Equal(got, want) || !bytes.Equal(read(t, dir, "shown", "table.json"), before) {
			t.Error("made again, the table has other bytes")
		}
		// Equal parents were trained once: those of the merges of the rows with overrides are copies.
		if left, _ := filepath.Glob(filepath.Join(dir, "cells", "*.adopting")); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
}
