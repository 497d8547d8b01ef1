package run_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/train/run"
)

// A README.md of other origin is no file of a run: it is neither removed nor written over, and does not keep a run from beginning.
func TestCard(t *testing.T) {
	for text, want := range map[string]bool{
		"---\nlibrary_name: splice\ntags: [a]\n---\n\n# r\n": true, "---\ntags: [a]\nlibrary_name: splice\n---\n": true,
		"# notes\n": false, "": false, "---\nlibrary_name: other\n---\nlibrary_name: splice\n": false, "---\nlibrary_name: splice\n": false,
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, run.CardFile)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got := run.IsCard(path); got != want {
			t.Errorf("IsCard(%q) = %v", text, got)
		}
		if err := run.Check(dir); (err == nil) == want {
			t.Errorf("%q: a run in its directory: error %v", text, err)
		}
		err := run.WriteCard(dir, []byte("---\nlibrary_name: splice\n---\nnew"))
		if in := new(run.InputError); (err == nil) != want || err != nil && !errors.As(err, &in) {
			t.Errorf("WriteCard over %q: %v", text, err)
		}
		if err := run.Clear(dir); err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); (err == nil) == want || err == nil && string(b) != text {
			t.Errorf("Clear leaves of %q: %q, %v", text, b, err)
		}
	}
}
