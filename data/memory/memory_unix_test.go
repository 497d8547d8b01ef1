//go:build unix

package memory

import (
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, file, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSystemFiles(t *testing.T) {
	dir := t.TempDir()
	if got := total(write(t, filepath.Join(dir, "meminfo"), "Foo: 1\nMemTotal:  24576 kB\n")); got != 24576*1024 {
		t.Errorf("%v bytes of memory", got)
	}
	if total("none") != 0 || group("none", dir) != 0 {
		t.Error("a limit of nothing")
	}
	self := write(t, filepath.Join(dir, "self"), "0::/user/job\n")
	root := filepath.Join(dir, "two")
	write(t, filepath.Join(root, "user", "job", "memory.max"), "max\n")
	if got := group(self, root); got != 0 {
		t.Errorf("no limit is %v", got)
	}
	write(t, filepath.Join(root, "user", "memory.max"), "4096000\n")
	write(t, filepath.Join(root, "memory.max"), "8192000\n")
	if got := group(self, root); got != 4096000 {
		t.Errorf("version 2: limit %v", got)
	}
	self = write(t, filepath.Join(dir, "self1"), "5:cpu,cpuacct:/a\n4:memory:/docker/1\n")
	root = filepath.Join(dir, "one")
	write(t, filepath.Join(root, "memory", "docker", "1", "memory.limit_in_bytes"), "5000000\n")
	write(t, filepath.Join(root, "memory", "memory.limit_in_bytes"), "9223372036854771712\n")
	if got := group(self, root); got != 5000000 {
		t.Errorf("version 1: limit %v", got)
	}
}
