package table_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

func cacheFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = string(text)
	}
	return out
}

func TestCache(t *testing.T) {
	path := datatest.Numbered(t, 1000)
	sec := strings.ReplaceAll(datatest.NumberedSection, "FILE", path) + ", split: {ratio: [0.8, 0.1, 0.1]}}"
	o, log := datatest.Options(t)
	want := datatest.Read(t, datatest.Open(t, datatest.Section(t, sec), o).Valid)
	built := func(what string, wantBuilt bool) {
		t.Helper()
		log.Reset()
		s := datatest.Open(t, datatest.Section(t, sec), o)
		got := datatest.Read(t, s.Valid)
		if d := cmp.Diff(want.Dense, got.Dense); d != "" {
			t.Errorf("%s: other rows: %s", what, d)
		}
		if b := strings.Contains(log.String(), "cached rows"); b != wantBuilt {
			t.Errorf("%s: built again: %v, want %v; log: %s", what, b, wantBuilt, log)
		}
	}
	built("as it is", false)

	if err := os.Chtimes(path, time.Now(), time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	built("touched", false)
	built("touched, again", false)

	files := cacheFiles(t, o.CacheDir)
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		full := filepath.Join(o.CacheDir, n)
		whole := files[n]
		flipped := []byte(whole)
		flipped[len(flipped)/2] ^= 1
		for what, text := range map[string]string{
			"truncated": whole[:len(whole)/2], "flipped": string(flipped), "empty": "",
			"longer": whole + "x",
		} {
			if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			s := datatest.Open(t, datatest.Section(t, sec), o)
			if d := cmp.Diff(want.Dense, datatest.Read(t, s.Valid).Dense); d != "" {
				t.Errorf("%s %s: other rows: %s", n, what, d)
			}
			if now := cacheFiles(t, o.CacheDir); strings.HasSuffix(n, ".bin") && now[n] != whole {
				t.Errorf("%s %s: is not whole again", n, what)
			}
		}
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		datatest.Read(t, datatest.Open(t, datatest.Section(t, sec), o).Test)
	}
	for n := range cacheFiles(t, o.CacheDir) {
		if strings.HasPrefix(n, ".") {
			t.Errorf("a temporary file is left: %s", n)
		}
	}

	// The same size and time, another content: only the hash of the whole can tell, and only after the time changed.
	text, _ := os.ReadFile(path)
	if err := os.WriteFile(path, bytes.Replace(text, []byte(",999,"), []byte(",998,"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	log.Reset()
	datatest.Open(t, datatest.Section(t, sec), o)
	if !strings.Contains(log.String(), "has changed") || !strings.Contains(log.String(), "cached rows") {
		t.Errorf("changed file: log = %s", log)
	}
}

// Each option that decides about rows or ids has a cache of its own; others share it.
func TestCacheKeys(t *testing.T) {
	path := datatest.Numbered(t, 1000)
	o, log := datatest.Options(t)
	base := strings.ReplaceAll(datatest.NumberedSection, "FILE", path) + ", split: {by: random, ratio: [0.8, 0.2]}}"
	datatest.Open(t, datatest.Section(t, base), o)
	for _, c := range []struct {
		old, new string
		built    bool
	}{
		{"0.8, 0.2", "0.7, 0.3", true},
		{"by: random", "by: order", true},
		{"by: random", "seed: 3", true},
		{"a: categorical", "a: {type: categorical, min_count: 4}", true},
		{"a: categorical", "a: {type: categorical, hash: 100}", true},
		{"a: categorical", "a: ignore", true},
		{"n: numeric", "n: {type: numeric, transform: log1p}", true},
		{"n: numeric", "n: {type: numeric, fill: 3}", true},
		{"max_len: 2", "max_len: 1", true},
		{"group: g", "group: n", true},
		{"label: y", "label: y, bad_rows: skip", true},
		{"label: y", "label: y, shuffle_buffer: 10", false},
		{"label: y", "label: y, drop_last: true", false},
	} {
		sec := strings.Replace(base, c.old, c.new, 1)
		if c.new == "group: n" {
			sec = strings.Replace(sec, "columns: {", "columns: {g: ignore, ", 1)
		}
		log.Reset()
		datatest.Open(t, datatest.Section(t, sec), o)
		if got := strings.Contains(log.String(), "cached rows"); got != c.built {
			t.Errorf("%s -> %s: built: %v, want %v", c.old, c.new, got, c.built)
		}
	}
}

// The cache does not depend on the number of threads.
func TestThreads(t *testing.T) {
	path, _ := criteoFile(t, 12_000)
	var want map[string]string
	for _, threads := range []int{1, 2, 3, 8} {
		o, _ := datatest.Options(t)
		o.Threads = threads
		datatest.Open(t, datatest.Section(t,
			"{type: criteo, path: "+path+", numeric: {transform: standardize}, split: {ratio: [0.7, 0.2, 0.1]}}"), o)
		got := cacheFiles(t, o.CacheDir)
		if want == nil {
			want = got
		}
		if len(got) < 5 {
			t.Fatalf("%d cache files", len(got))
		}
		for n := range want {
			if got[n] != want[n] {
				t.Errorf("%d threads: %s differs", threads, n)
			}
		}
	}
}

func TestCacheDirectory(t *testing.T) {
	o, _ := datatest.Options(t)
	o.CacheDir = datatest.WriteFile(t, "file", "x") // not a directory
	_, err := datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 10))+"}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "data: cache directory "+o.CacheDir) {
		t.Errorf("error = %v", err)
	}
}
