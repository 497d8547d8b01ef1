//go:build unix

package cmd_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// TestKillSearch kills a study at random moments until it is done: it ends with the trials, the best one and the test metrics of one that
// was not killed. SPLICE_SEARCH_KILLS says how many moments are tried (3), one after the other, in a study or two.
func TestKillSearch(t *testing.T) {
	kills := 3
	if n, err := strconv.Atoi(os.Getenv("SPLICE_SEARCH_KILLS")); err == nil {
		kills = n
	}
	dir := t.TempDir()
	write(t, dir, "s.yaml", searched)
	args := []string{"--config", "s.yaml", "--quiet"}
	start := time.Now()
	want := execute(t, dir, "search", args...)
	whole := time.Since(start)
	if want.code != 0 {
		t.Fatalf("exit %d\n%s", want.code, want.stderr)
	}
	best := read(t, dir, "runs/s", "best.yaml")
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	killed := 0
	for killed < kills {
		if err := os.RemoveAll(filepath.Join(dir, "runs")); err != nil {
			t.Fatal(err)
		}
		for range min(4, kills-killed) { // of the time that a study takes, a third on the average each
			c := command(dir, "search", args...)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.Float64() * .7 * float64(whole)))
			_ = c.Process.Signal(syscall.SIGKILL)
			if err := c.Wait(); err != nil {
				killed++
			} else {
				break // it is done
			}
		}
		got := execute(t, dir, "search", args...)
		if got.code != 0 || got.stdout != want.stdout {
			t.Fatalf("killed and run again: exit %d\n%s%s\nwant\n%s", got.code, got.stdout, got.stderr, want.stdout)
		}
		if !bytes.Equal(read(t, dir, "runs/s", "best.yaml"), best) {
			t.Error("killed and run again: another best.yaml")
		}
	}
	t.Logf("%d kills (a study takes %v)", killed, whole)
}
