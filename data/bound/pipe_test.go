//go:build linux || darwin

package bound_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/data/bound"
)

// Pipes without a writer and devices without an end are refused at once.
func TestNoRegularFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]string{pipe: "is a pipe", "/dev/zero": "is a device"} {
		if _, err := bound.ReadFile(path, 10); err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%s: %v, want: %s", path, err, want)
		}
	}
}
