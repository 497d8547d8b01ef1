package data_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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
	path := numbered(t, 1000)
	sec := strings.ReplaceAll(numberedSection, "FILE", path) + ", split: {ratio: [0.8, 0.1, 0.1]}}"
	o, log := logTo(t)
	want := read(t, open(t, section(t, sec), o).Valid)
	built := func(what string, wantBuilt bool) {
		t.Helper()
		log.Reset()
		s := open(t, section(t, sec), o)
		got := read(t, s.Valid)
		if d := cmp.Diff(want.dense, got.dense); d != "" {
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
		for what, text := range map[string]string{"truncated": whole[:len(whole)/2], "flipped": string(flipped), "empty": "", "longer": whole + "x"} {
			if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			s := open(t, section(t, sec), o)
			if d := cmp.Diff(want.dense, read(t, s.Valid).dense); d != "" {
				t.Errorf("%s %s: other rows: %s", n, what, d)
			}
			if now := cacheFiles(t, o.CacheDir); strings.HasSuffix(n, ".bin") && now[n] != whole {
				t.Errorf("%s %s: is not whole again", n, what)
			}
		}
		if err := os.Remove(full); err != nil {
			t.Fatal(err)
		}
		read(t, open(t, section(t, sec), o).Test)
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
	open(t, section(t, sec), o)
	if !strings.Contains(log.String(), "has changed") || !strings.Contains(log.String(), "cached rows") {
		t.Errorf("changed file: log = %s", log)
	}
}

// Each option that decides about rows or ids has a cache of its own; others share it.
func TestCacheKeys(t *testing.T) {
	path := numbered(t, 1000)
	o, log := logTo(t)
	base := strings.ReplaceAll(numberedSection, "FILE", path) + ", split: {by: random, ratio: [0.8, 0.2]}}"
	open(t, section(t, base), o)
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
		open(t, section(t, sec), o)
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
		o, _ := logTo(t)
		o.Threads = threads
		open(t, section(t, "{type: criteo, path: "+path+", numeric: {transform: standardize}, split: {ratio: [0.7, 0.2, 0.1]}}"), o)
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
	o, _ := logTo(t)
	o.CacheDir = write(t, "file", "x") // not a directory
	_, err := section(t, strings.ReplaceAll(numberedSection, "FILE", numbered(t, 10))+"}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "data: cache directory "+o.CacheDir) {
		t.Errorf("error = %v", err)
	}
}
