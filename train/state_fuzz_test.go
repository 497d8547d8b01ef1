package train_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

var errStepDone = errors.New("enough")

// enough ends a training after its first step.
type enough struct{}

func (enough) On(_ context.Context, e *train.Event) error {
	if e.Kind == train.StepDone {
		return errStepDone
	}
	return nil
}

// A state whose checksum is right is refused, or a training goes on from it: old, of the state that a training wrote, is text; without
// old, all of it.
func FuzzState(f *testing.F) {
	for _, edit := range [][2]string{
		{`"digest": "`, `"digest": "00`},
		{`"digest"`, `"digset"`},
		{`"seed": 5`, `"seed": 6`},
		{`"step": 16`, `"step": 15`},
		{`"step": 16`, `"step": -16`},
		{`"step": 16`, `"step": 9223372036854775807`},
		{`"step": 16`, `"step": "16"`},
		{`"epoch": 1`, `"epoch": 2`},
		{`"epoch": 1`, `"epoch": -1`},
		{`"epoch": 1`, `"epoch": 9223372036854775806`},
		{`"batch": `, `"batch": 1`},
		{`"batch": `, `"batch": -`},
		{`"batch": `, `"batch": 922337203685477580`},
		{`"value": 0.`, `"value": 1.`},
		{`"value": 0.`, `"value": 1e308, "x": 0.`},
		{`"done": false`, `"done": true`},
		{`"model": "model-16`, `"model": "../model-16`},
		{`"model-16`, `"model-15`},
		{`"model-16.safetensors"`, `""`},
		{`"model-16`, `"optimizer-16`},
		{`"counts-16.safetensors"`, `""`},
		{`"callbacks": {`, `"callbacks": [], "x": {`},
		{`"samples": `, `"samples": -`},
		{`"seconds": `, `"seconds": -`},
		{`"seconds": `, `"seconds": 1e300, "x": `},
		{`"loss_sum": `, `"loss_sum": -1e308, "x": `},
		{`"loss_count": `, `"loss_count": 9`},
		{`"schedule": {`, `"schedule": {"x": 1,`},
		{`"checksums": {`, `"checksums": {"x": "y",`},
		{`"stale": 0`, `"stale": 922337203685477580`},
		{`"data": {`, `"data": {"files": [], "x": `},
		{"", ""},
		{"", "}"},
		{"", "null"},
		{"", "\"step\": 1}"},
		{"", " \n\n}"},
		{"", "\"x\": " + strings.Repeat("[", 20000)},
		{"", "} {}"},
		{"", strings.Repeat("\x00", 4096)},
	} {
		f.Add(edit[0], edit[1])
	}
	dir := f.TempDir()
	var once sync.Once
	var body string
	start := func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		tr := trainer(t, dir)
		tr.Callbacks = append(tr.Callbacks, &stopper{16, cancel})
		if _, err := tr.Fit(ctx); !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(contents(t, dir)[filepath.Join(run.LastDir, run.StateFile)][2:], "\n")
		body = rest
	}
	f.Fuzz(func(t *testing.T, old, text string) {
		once.Do(func() { start(t) })
		now := t.TempDir()
		if err := os.CopyFS(now, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if old != "" {
			text = strings.Replace(body, old, text, 1)
		}
		write(t, filepath.Join(now, run.LastDir, run.StateFile), fmt.Sprintf("{\n  \"checksum\": \"%x\",\n%s", sha256.Sum256([]byte("{\n"+text)), text))
		tr := trainer(t, now)
		tr.Resume = true
		tr.Callbacks = append(tr.Callbacks, enough{})
		if _, err := tr.Fit(t.Context()); err != nil && !errors.Is(err, errStepDone) && !errors.Is(err, train.ErrResume) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}
