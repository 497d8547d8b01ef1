package main

import (
	"os/exec"
	"testing"
)

// The memory of a command is that of its children too.
func TestWatched(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	const hold = `x=$(head -c 20000000 /dev/zero | tr '\0' x); sleep 1.5`
	_, all, err := watched(exec.Command("bash", "-c", "("+hold+") & ("+hold+") & wait"))
	if err != nil {
		t.Fatal(err)
	}
	if all < 35 {
		t.Errorf("two children that hold 20 MB each: %.0f MB", all)
	}
}

func TestLineage(t *testing.T) {
	if id, parent, ok := lineage("42 (a ) (b) S 7 42 42"); id != 42 || parent != 7 || !ok {
		t.Error(id, parent, ok)
	}
	for _, c := range []string{"", "42", "x (a) S 7", "42 (a) S"} {
		if _, _, ok := lineage(c); ok {
			t.Errorf("%q is a process", c)
		}
	}
}
