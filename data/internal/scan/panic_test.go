package scan

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
)

// words is a format of lines that nobody reads into; its parser panics if at says so.
type words struct {
	Lines
	at string
}

func (w words) Parser(string, []byte, *Plan) (Parser, bool, error) { return w, false, nil }

func (w words) Parse(c *Chunk) {
	if w.at == "parse" {
		panic(w.at)
	}
	c.N = 1
}

// broken is a sink that panics in one of its calls.
type broken struct{ at string }

func (b broken) Work(*Chunk) {
	if b.at == "work" {
		panic(b.at)
	}
}

func (b broken) Emit(*Chunk) error {
	if b.at == "emit" {
		panic(b.at)
	}
	return nil
}

// A panic of a goroutine that reads ahead is an error of the reader, and nobody waits for ever.
func TestPanicsAreErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.txt")
	if err := os.WriteFile(path, bytes.Repeat([]byte("some words\n"), 1<<17), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"parse", "work", "emit"} {
		s := &Pass{Format: words{at: at}, Plan: &Plan{MaxLine: 100}, Threads: 3}
		var e *crash.Error
		if err := s.Run(t.Context(), []string{path}, broken{at}); !errors.As(err, &e) || e.Value != at {
			t.Errorf("a panic in %s became %v", at, err)
		}
	}
	var e *crash.Error
	Prefetch([]*data.Batch{{}, {}}, func(*data.Batch) (bool, error) { panic("fill") }, func(_ *data.Batch, err error) bool {
		if !errors.As(err, &e) {
			t.Errorf("a panic while filling became %v", err)
		}
		return true
	})
	if e == nil || e.Value != "fill" {
		t.Errorf("a panic while filling became %v", e)
	}
}
