package evict_test

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/splice-ml/splice/data/evict"
)

const (
	first  = "0123456789abcdef0123456789abcdef"
	second = "fedcba9876543210fedcba9876543210"
)

// put makes a file of so many bytes that was used so long ago.
func put(t *testing.T, dir, name string, size int, ago time.Duration) string {
	t.Helper()
	path := filepath.Join(dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o777)
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Repeat("x", size)), 0o666)
	}
	when := time.Now().Add(-ago)
	if err == nil {
		err = os.Chtimes(path, when, when)
	}
	if err == nil && filepath.Dir(path) != dir {
		err = os.Chtimes(filepath.Dir(path), when, when)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// fill makes a cache of 700 bytes in entries of several ages, beside files of others.
func fill(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, first+".json", 10, 3*time.Hour)
	put(t, dir, first+"-train.bin", 90, 5*time.Hour)
	put(t, dir, second+".json", 10, 50*time.Hour)
	put(t, dir, second+"-valid.bin", 90, 50*time.Hour)
	put(t, dir, second+"-features.json.zst", 100, 50*time.Hour)
	put(t, dir, second+"-text/vocab.txt", 100, 50*time.Hour)
	put(t, dir, "0123456789abcdef-tastes.tsv", 100, 2*time.Hour)
	put(t, dir, "features-0123456789abcdef01234567.bin", 200, time.Hour)
	put(t, dir, "notes.txt", 5000, 1000*time.Hour)
	put(t, dir, first+"-other.bin", 5000, 1000*time.Hour)
	put(t, dir, first+"x.json", 5000, 1000*time.Hour)
	return dir
}

func left(t *testing.T, dir string) string {
	t.Helper()
	all, err := evict.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range all {
		out = append(out, e.Key[:5])
	}
	return strings.Join(out, " ")
}

func TestTo(t *testing.T) {
	long := 1000 * time.Hour
	for _, tc := range []struct {
		limit evict.Limit
		want  string
	}{
		{evict.Limit{Bytes: 1e6, Age: long}, "fedcb 01234 01234 featu"},
		{evict.Limit{Bytes: 450, Age: long}, "01234 01234 featu"},
		{evict.Limit{Bytes: 350, Age: long}, "01234 featu"},
		{evict.Limit{Bytes: 1e6, Age: 150 * time.Minute}, "01234 featu"},
		{evict.Limit{Bytes: 1, Age: long}, ""},
	} {
		dir := fill(t)
		all, err := evict.List(dir)
		if err != nil {
			t.Fatal(err)
		}
		if e := all[0]; e.Key != second || e.Bytes < 300 || filepath.Base(e.Files[0]) != second+".json" || len(e.Files) != 4 {
			t.Errorf("the oldest entry is %+v", e)
		}
		removed, err := evict.To(dir, tc.limit, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := left(t, dir); got != tc.want || len(removed)+len(strings.Fields(got)) != 4 {
			t.Errorf("%+v: left %q after removing %d, want %q", tc.limit, got, len(removed), tc.want)
		}
		for _, name := range []string{"notes.txt", first + "-other.bin", first + "x.json"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Errorf("a file that is not the cache's is gone: %v", err)
			}
		}
	}
	if removed, err := evict.To(filepath.Join(t.TempDir(), "none"), evict.Limit{}, nil); err != nil || removed != nil {
		t.Errorf("no cache: %v, %v", removed, err)
	}
}

// TestInUse: what somebody has open, or has just used, is not removed.
func TestInUse(t *testing.T) {
	dir := fill(t)
	path := filepath.Join(dir, second+"-valid.bin")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	evict.Hold(f)
	old := time.Now().Add(-100 * time.Hour) // Hold has touched it
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
	evict.Touch(filepath.Join(dir, "0123456789abcdef-tastes.tsv"))
	if _, err := evict.To(dir, evict.Limit{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := left(t, dir); got != "fedcb 01234" {
		t.Errorf("left %q, want the entry that is open, and the one that was used", got)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil {
		t.Error(err)
	}
	f.Close()
	if _, err := evict.To(dir, evict.Limit{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := left(t, dir); got != "01234" {
		t.Errorf("left %q after it was closed", got)
	}
}

func TestDefault(t *testing.T) {
	for text, want := range map[string]string{"": "5e+10", "20GB": "2e+10", "none": "+Inf", "lots": "error"} {
		t.Setenv(evict.Variable, text)
		l, err := evict.Default()
		got := strconv.FormatFloat(l.Bytes, 'g', -1, 64)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s=%q is a limit of %s, want %s: %v", evict.Variable, text, got, want, err)
		}
	}
}

func TestOf(t *testing.T) {
	dir := fill(t)
	for _, key := range []string{first, second} {
		if err := os.WriteFile(filepath.Join(dir, key+".json"), []byte(`{"map": "m`+key[:1]+`"}`), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	all, err := evict.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := evict.Of(all, "mf")
	if len(got) != 1 || got[0].Key != second || !slices.Contains(all, got[0]) {
		t.Errorf("entries of the map: %v", got)
	}
}
