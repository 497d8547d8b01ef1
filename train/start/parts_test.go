package start_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestParts: parameters that match a pattern come from another run, all else from the first.
func TestParts(t *testing.T) {
	dir := t.TempDir()
	a := weights(t, filepath.Join(dir, "a", "model.safetensors"), 1)
	b := weights(t, filepath.Join(dir, "b", "model.safetensors"), 5)
	target := target(dir, filepath.Join(dir, "a"))
	target.Options.Parts = map[string]string{"*.bias": filepath.Join(dir, "b"), "linear.x.*": filepath.Join(dir, "b", "model.safetensors")}
	w, err := target.Find()
	if err != nil {
		t.Fatal(err)
	}
	p, rec, err := w.Load(splits())
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range p.All() {
		want := a.Get(q.Name).Data
		if q.Name == "linear.bias" || q.Name == "linear.x.weight" {
			want = b.Get(q.Name).Data
		}
		if !slices.Equal(q.Data, want) {
			t.Errorf("%s is %v, want %v", q.Name, q.Data, want)
		}
	}
	if rec.Digest != p.Digest() || len(rec.Parts) != 2 || len(rec.Missing) > 0 {
		t.Errorf("the record is %+v", rec)
	}
	for pattern, tc := range map[string]struct{ from, want string }{
		"none.*":     {"b", "init.parts: none.*: "},
		"linear.a.*": {"b", "linear.a.weight is a table"},
		"*.bias":     {"c", "there is no such run"},
	} {
		target.Options.Parts = map[string]string{pattern: filepath.Join(dir, tc.from)}
		w, err := target.Find()
		if err == nil {
			_, _, err = w.Load(splits())
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) && !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: error %v, want %q", pattern, err, tc.want)
		}
	}
	for _, o := range []map[string]string{{"!x": "b"}, {"x": ""}} {
		target.Options.Parts = o
		if err := target.Options.Validate(); err == nil {
			t.Errorf("%v is valid", o)
		}
	}
	target.Options.From, target.Options.Parts = "", map[string]string{"x": "b"}
	if err := target.Options.Validate(); err == nil || !strings.Contains(err.Error(), "are laid over the weights of from") {
		t.Errorf("parts of nothing: %v", err)
	}
}
