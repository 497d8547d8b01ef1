//go:build linux || darwin

package scan_test

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/splice-ml/splice/data/internal/scan"
)

// The end of the context ends waiting for a pipe: for its writer, and for more text.
func TestPipe(t *testing.T) {
	for _, text := range []string{"", "y,a\n1,2\n", "a text that is longer than what tells a compressed file\n"} {
		path := filepath.Join(t.TempDir(), "rows.csv")
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip(err)
		}
		if text != "" {
			wrote := make(chan *os.File, 1)
			go func() {
				w, err := os.OpenFile(path, os.O_WRONLY, 0)
				if err == nil {
					_, err = w.WriteString(text)
				}
				if err != nil {
					t.Error(err)
				}
				wrote <- w
			}()
			defer func() { (<-wrote).Close() }() // after the test: the pipe has no end before
		}
		ctx, cancel := context.WithCancel(t.Context())
		stop := time.AfterFunc(100*time.Millisecond, cancel)
		defer stop.Stop()
		ended := make(chan error, 1)
		go func() {
			in, err := scan.OpenInput(ctx, path)
			if err == nil {
				_, err = io.Copy(io.Discard, in)
				in.Close()
			}
			ended <- err
		}()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a pipe with %q: error %v", text, err)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("a pipe with %q is still waited for", text)
		}
	}
}
