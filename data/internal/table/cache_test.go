package table_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

	// Another content of the same size: also with the time of the old one, where the system tells when an inode was changed.
	text, _ := os.ReadFile(path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for from, back := range map[string]bool{",999,": false, ",998,": true} {
		if back && runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
			continue
		}
		if err := os.WriteFile(path, bytes.Replace(text, []byte(from), []byte(",997,"), 1), 0o644); err != nil {
			t.Fatal(err)
		}
		if back {
			if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}
		log.Reset()
		datatest.Open(t, datatest.Section(t, sec), o)
		if !strings.Contains(log.String(), "has changed") || !strings.Contains(log.String(), "cached rows") {
			t.Errorf("changed file, time put back: %v: log = %s", back, log)
		}
	}
}

// What writes of a process that was killed left in the cache is removed when it is opened next; what a live process writes stays.
func TestCacheSweeps(t *testing.T) {
	o, _ := datatest.Options(t)
	c := exec.Command(os.Args[0], "-test.run=^$")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{ // whether they stay
		fmt.Sprintf(".0123456789abcdef-train.bin.%d-0.tmp", c.Process.Pid): false,
		fmt.Sprintf(".0123456789abcdef.json.%d-3.tmp", c.Process.Pid):      false,
		fmt.Sprintf(".0123456789abcdef-train.bin.%d-0.tmp", os.Getppid()):  true,
		fmt.Sprintf(".0123456789abcdef-valid.bin.%d-0.tmp", os.Getpid()):   true,
	}
	for n := range names {
		if err := os.WriteFile(filepath.Join(o.CacheDir, n), []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	datatest.Open(t, datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", datatest.Numbered(t, 10))+"}"), o)
	files := cacheFiles(t, o.CacheDir)
	for n, stays := range names {
		if _, there := files[n]; there != stays {
			t.Errorf("%s: there: %v, want %v", n, there, stays)
		}
	}
}

// An index that was edited makes no other rows: the cache is built again.
func TestEditedIndex(t *testing.T) {
	path := datatest.Numbered(t, 1000)
	sec := strings.ReplaceAll(datatest.NumberedSection, "FILE", path) + ", split: {ratio: [0.8, 0.1, 0.1]}}"
	o, log := datatest.Options(t)
	want := datatest.Open(t, datatest.Section(t, sec), o)
	rows := datatest.Read(t, want.Valid)
	edits := 0
	for name, whole := range cacheFiles(t, o.CacheDir) {
		if !strings.HasSuffix(name, ".json") {
			continue
		}
		full := filepath.Join(o.CacheDir, name)
		var index map[string]any
		dec := json.NewDecoder(strings.NewReader(whole))
		dec.UseNumber()
		if err := dec.Decode(&index); err != nil {
			t.Fatal(err)
		}
		for _, where := range leaves(index, nil) {
			edits++
			edited := edit(t, whole, where)
			if err := os.WriteFile(full, edited, 0o644); err != nil {
				t.Fatal(err)
			}
			log.Reset()
			got := datatest.Open(t, datatest.Section(t, sec), o)
			if got.Train.Rows() != want.Train.Rows() || got.Map.Digest() != want.Map.Digest() {
				t.Errorf("%s edited: %d train rows, map %s", where, got.Train.Rows(), got.Map.Digest())
			}
			if d := cmp.Diff(rows.Dense, datatest.Read(t, got.Valid).Dense); d != "" {
				t.Errorf("%s edited: other rows: %s", where, d)
			}
			if !strings.Contains(log.String(), "built again") || !strings.Contains(log.String(), "checksum") {
				t.Errorf("%s edited: nobody noticed: log = %s", where, log)
			}
			if strings.Contains(log.String(), "none of") {
				t.Errorf("%s edited: a warning that is not true: log = %s", where, log)
			}
			if now, err := os.ReadFile(full); err != nil || string(now) != whole {
				t.Errorf("%s edited: the index is not whole again: %v", where, err)
			}
		}
	}
	if edits < 30 {
		t.Errorf("%d edits were tried", edits)
	}
}

// leaves returns the paths of the values in a decoded JSON text that are no lists or objects, and of one key more.
func leaves(v any, at []any) (paths [][]any) {
	with := func(k any) []any { return append(slices.Clone(at), k) }
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			paths = append(paths, leaves(x, with(k))...)
		}
		paths = append(paths, with("unknown"))
	case []any:
		for i, x := range v {
			paths = append(paths, leaves(x, with(i))...)
		}
	default:
		paths = append(paths, at)
	}
	return paths
}

// edit changes the value at a path, as somebody with an editor would.
func edit(t *testing.T, text string, where []any) []byte {
	t.Helper()
	var root any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&root); err != nil {
		t.Fatal(err)
	}
	at := root
	for _, k := range where[:len(where)-1] {
		switch k := k.(type) {
		case string:
			at = at.(map[string]any)[k]
		case int:
			at = at.([]any)[k]
		}
	}
	change := func(v any) any {
		switch v := v.(type) {
		case json.Number:
			return json.Number(strings.Map(func(r rune) rune { return '0' + ('9' - r) }, "1"+v.String()))
		case string:
			return v + "x"
		case bool:
			return !v
		}
		return []any{"n"}
	}
	switch k := where[len(where)-1].(type) {
	case string:
		m := at.(map[string]any)
		m[k] = change(m[k])
	case int:
		l := at.([]any)
		l[k] = change(l[k])
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
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
