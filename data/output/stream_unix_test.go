//go:build unix

package output_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/data/output"
)

// TestDevice: a device stays one, and gets the bytes.
func TestDevice(t *testing.T) {
	put(t, os.DevNull, "gone", output.Options{Inputs: []string{os.DevNull}})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	put(t, link, "gone", output.Options{})
	if info, err := os.Stat(os.DevNull); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Fatalf("%s is %v, %v", os.DevNull, info.Mode(), err)
	}
}

// TestFIFO: what is written to a FIFO comes out of it. Nobody reads: the end of the context ends the wait.
func TestFIFO(t *testing.T) {
	path, alone := filepath.Join(t.TempDir(), "fifo"), filepath.Join(t.TempDir(), "alone")
	for _, p := range []string{path, alone} {
		if err := syscall.Mkfifo(p, 0o666); err != nil {
			t.Skip(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := output.Open(ctx, alone, output.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("nobody reads: %v", err)
	}
	got := make(chan string, 1)
	go func() {
		f, err := os.Open(path)
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(f)
		got <- string(b)
	}()
	put(t, path, "scores", output.Options{})
	if s := <-got; s != "scores" {
		t.Errorf("the reader got %q", s)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the FIFO is %v, %v", info, err)
	}
}

// TestDescriptor: an open file of the process is written to where it is, and a reader that has gone is known.
func TestDescriptor(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("/dev/fd/%d", w.Fd())
	out, err := output.Open(t.Context(), name, output.Options{})
	if err != nil {
		t.Skip(err)
	}
	if _, err := out.Write([]byte("scores")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 6)
	if _, err := io.ReadFull(r, b); err != nil || string(b) != "scores" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("more")); !output.Closed(err) || !strings.Contains(err.Error(), name) {
		t.Errorf("after the reader has gone: %v", err)
	}
	out.Abort()
	if _, err := output.Open(t.Context(), "/dev/fd/999", output.Options{}); err == nil {
		t.Error("a descriptor that is not open: no error")
	}
}

// TestProtected: a file that its owner has protected is not replaced.
func TestProtected(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("permissions do not bind root")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	write(t, path, "mine")
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if _, err := output.Open(t.Context(), path, output.Options{}); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v, want that it must not be written", err)
	}
}
