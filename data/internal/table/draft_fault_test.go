package table

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
)

// TestDraftFaults: a draft that cannot be written or read is given up, and leaves no file.
func TestDraftFaults(t *testing.T) {
	features := []data.MapFeature{{Name: "a", Kind: data.Numeric, Transform: data.Raw}}
	plan := NewPlan(features)
	chunk := &scan.Chunk{Block: &scan.Block{}, Plan: plan, N: 1, Num: []float64{1}, Label: []float32{1}, Part: []data.Part{0}}
	dir := t.TempDir()
	draft := func() *draft {
		d := newDraft(filepath.Join(dir, "key"), features, 1, false)
		f := newFitter(features, plan, nil)
		f.draft = d
		f.Work(chunk)
		return d
	}
	none := func(what string) {
		t.Helper()
		if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
			t.Errorf("%s: files are left: %v %v", what, list, err)
		}
	}

	d := draft()
	_ = d.file.Close() // so that a write fails
	d.add(chunk)
	if d.failed == nil || d.fits("") {
		t.Error("a draft that could not be written counts")
	}
	d.add(chunk)
	none("after a write that failed")

	m := &data.FeatureMap{Version: data.MapVersion, Features: features}
	for what, damage := range map[string]func(d *os.File) error{
		"whole": func(*os.File) error { return nil }, "truncated": func(f *os.File) error { return f.Truncate(3) },
	} {
		d = draft()
		d.add(chunk)
		if err := damage(d.file); err != nil {
			t.Fatal(err)
		}
		table, pass := &Data{draft: d}, &scan.Pass{}
		d.pass, d.ids = pass, make([][]int32, 1)
		o := &parts.Opening{Cache: cache.At(t.TempDir(), nil)}
		o.Options.Log = parts.Logger(nil)
		w := &writer{encoder: newEncoder(m, plan, nil), parts: o.Cache.Writers("x")}
		if got := table.fromDraft(t.Context(), o, "", w); (got == pass) != (what == "whole") {
			t.Errorf("a draft that is %s: %v", what, got)
		}
		w.abort()
		none(what)
	}

	if d := newDraft(filepath.Join(dir, "key"), []data.MapFeature{{Kind: data.Multi, MaxLen: 2000}}, 1, false); d != nil {
		t.Error("there is a draft of long lists")
	}
	none("of long lists")
}
