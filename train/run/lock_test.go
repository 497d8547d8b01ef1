package run_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/splice-ml/splice/train/run"
)

// acquire takes a lock that must be free.
func acquire(t *testing.T, dir string) *run.Lock {
	t.Helper()
	l, err := run.Acquire(dir, "train --config x.yaml")
	if errors.Is(err, run.ErrUnsupported) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLock(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "runs", "r")
	l := acquire(t, dir)
	if err := run.Check(dir); err != nil {
		t.Errorf("the lock makes a run of the directory: %v", err)
	}
	if err := run.Clear(dir); err != nil {
		t.Fatal(err)
	}
	_, err := run.Acquire(dir, "cki")
	var held *run.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("a second lock: error %v, want a HeldError", err)
	}
	if h := held.Holder; h.PID != os.Getpid() || h.Host == "" || time.Since(h.Since) > time.Hour ||
		!strings.Contains(err.Error(), `"train --config x.yaml"`) {
		t.Errorf("the holder is %+v: %v", h, err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if err := l.Release(); err != nil {
		t.Errorf("a second Release: %v", err)
	}
	if _, err := os.Stat(filepath.Join(base, "runs")); err == nil {
		t.Error("directories that were made for the lock stay behind, empty")
	}
	l = acquire(t, dir)
	put(t, dir, "config.yaml")
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, base); len(got) != 1 {
		t.Errorf("after a run: %v, want its file alone", got)
	}
}

// TestLockOfDead: the file of a holder that died holds nobody off.
func TestLockOfDead(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, run.LockFile)
	if err := acquire(t, dir).Release(); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, dir); len(got) > 0 {
		t.Errorf("left: %v", got)
	}
}

// TestLockWithinMerge: who trains in a directory of a merge needs the merge's lock.
func TestLockWithinMerge(t *testing.T) {
	dir := t.TempDir()
	merge := filepath.Join(dir, "m")
	put(t, merge, "parents/digest", "parents/parent-a/config.yaml", "rows/digest")
	put(t, dir, "rows/mine/config.yaml")
	l := acquire(t, merge)
	for _, within := range []string{"parents/parent-a", "rows/new/deep"} {
		if _, err := run.Acquire(filepath.Join(merge, within), "train"); !errors.As(err, new(*run.HeldError)) {
			t.Errorf("the lock of %s: error %v, want a HeldError of the merge's", within, err)
		}
	}
	if err := acquire(t, filepath.Join(dir, "rows", "mine")).Release(); err != nil {
		t.Errorf("rows of no merge: %v", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	l = acquire(t, filepath.Join(merge, "parents", "parent-a"))
	if _, err := run.Acquire(merge, "cki"); !errors.As(err, new(*run.HeldError)) {
		t.Errorf("a merge while one of its parents is being trained: error %v, want a HeldError", err)
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

// TestLockRace: of many that take, release and remove the lock at once, one has it at a time.
func TestLockRace(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	acquire(t, dir).Release()
	var holders, most, taken atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				l, err := run.Acquire(dir, "train")
				if errors.As(err, new(*run.HeldError)) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n > 1 {
					most.Store(n)
				}
				taken.Add(1)
				time.Sleep(50 * time.Microsecond)
				holders.Add(-1)
				if err := l.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() > 0 || taken.Load() == 0 {
		t.Errorf("%d had the lock at once; it was taken %d times", most.Load(), taken.Load())
	}
}

func TestHeld(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	if run.Held(dir) {
		t.Error("no directory is held")
	}
	l := acquire(t, dir)
	if !run.Held(dir) {
		t.Error("the lock is not noticed")
	}
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	put(t, dir, run.LockFile) // of a command that was killed
	if run.Held(dir) {
		t.Error("a lock of nobody holds")
	}
	if err := acquire(t, dir).Release(); err != nil { // looking takes nothing
		t.Fatal(err)
	}
}

// TestStamp checks that a change of a run is noticed: of its content, of its files, of what they are.
func TestStamp(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{run.ConfigFile, run.FeatureFile, run.ModelFile} {
		put(t, dir, name)
	}
	sums := func() (string, string) {
		t.Helper()
		model, all, err := run.Sums(dir)
		if err != nil {
			t.Fatal(err)
		}
		return model, all
	}
	was := run.StampOf(dir)
	model, all := sums()
	put(t, dir, "notes.txt")
	if !was.Equal(run.StampOf(dir)) {
		t.Error("a file that is not read changes the stamp")
	}
	for _, name := range []string{run.ConfigFile, run.FeatureFile, run.ModelFile, "vocab.txt"} {
		put(t, dir, "new")
		if err := os.WriteFile(filepath.Join(dir, "new"), []byte("another "+name), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		now := run.StampOf(dir)
		m, a := sums()
		if was.Equal(now) || a == all || (m != model) != (name == run.ModelFile) {
			t.Errorf("another %s: the stamps are equal: %v, sums %s and %s, before %s and %s", name, was.Equal(now), m, a, model, all)
		}
		was, model, all = now, m, a
	}
	if err := os.Remove(filepath.Join(dir, run.ModelFile)); err != nil {
		t.Fatal(err)
	}
	if m, _ := sums(); was.Equal(run.StampOf(dir)) || m != "" {
		t.Error("a model that is gone is not noticed")
	}
}
