package atomicfile_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/splice-ml/splice/data/atomicfile"
)

// ended returns the number of a process that has ended.
func ended(t *testing.T) int {
	t.Helper()
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid
}

// TestSweep: temporary files of processes that have ended go, also of one that had this process's number; those of live processes stay,
// and so do files that only look alike, links, directories, and temporary files for other names.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	dead, own, parent := ended(t), os.Getpid(), os.Getppid()
	old := time.Now().Add(-time.Hour)
	for name, at := range map[string]time.Time{
		fmt.Sprintf(".a.%d-0.tmp", dead):      old,
		fmt.Sprintf(".a.b.%d-12.tmp", dead):   time.Now(),
		fmt.Sprintf(".a.%d-0.tmp", own):       old, // of an earlier process
		fmt.Sprintf(".a.%d-1.tmp", own):       time.Now(),
		fmt.Sprintf(".a.%d-0.tmp", parent):    old,
		fmt.Sprintf(".other.%d-0.tmp", dead):  old,
		fmt.Sprintf("a.%d-0.tmp", dead):       old,
		fmt.Sprintf(".a.%d.tmp", dead):        old,
		fmt.Sprintf(".a.%d-0.tmp.txt", dead):  old,
		fmt.Sprintf(".%d-0.tmp", dead):        old,
		fmt.Sprintf(".a.%d-x.tmp", dead):      old,
		".a.tmp":                              old,
		"a":                                   old,
		fmt.Sprintf(".a.%d-5.tmp.keep", dead): old,
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, fmt.Sprintf(".a.%d-9.tmp", dead)), 0o777); err != nil {
		t.Fatal(err)
	}
	atomicfile.Sweep(dir, func(base string) bool { return base != "other" })
	atomicfile.Sweep(filepath.Join(dir, "none"), func(string) bool { return true })
	want := []string{
		fmt.Sprintf(".a.%d-1.tmp", own), fmt.Sprintf(".a.%d-0.tmp", parent), fmt.Sprintf(".other.%d-0.tmp", dead),
		fmt.Sprintf("a.%d-0.tmp", dead), fmt.Sprintf(".a.%d.tmp", dead), fmt.Sprintf(".a.%d-0.tmp.txt", dead), fmt.Sprintf(".%d-0.tmp", dead),
		fmt.Sprintf(".a.%d-x.tmp", dead), ".a.tmp", "a", fmt.Sprintf(".a.%d-5.tmp.keep", dead), fmt.Sprintf(".a.%d-9.tmp", dead),
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range files {
		got = append(got, f.Name())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("left are\n%q\nwant\n%q", got, want)
	}
}
