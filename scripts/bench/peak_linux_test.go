package main

import (
	"bufio"
	"os/exec"
	"testing"
)

// The memory of a process is that of its children too.
func TestHeld(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash")
	}
	const hold = `(x=$(head -c 20000000 /dev/zero | tr '\0' x); echo held; read line <&3)`
	c := exec.Command("bash", "-c", "exec 3<&0; "+hold+" & "+hold+" & wait")
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() {
			t.Fatal("the children ended early")
		}
	}
	if all := held(c.Process.Pid); all < 35 {
		t.Errorf("two children that hold 20 MB each: %.0f MB", all)
	}
	in.Close()
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
}

func TestWatched(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("no sh")
	}
	if text, all, err := watched(exec.Command("sh", "-c", "echo a; sleep 1")); text != "a\n" || !(all > 0) || err != nil {
		t.Errorf("%q, %v MB, %v", text, all, err)
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
