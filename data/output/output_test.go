package output_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data/output"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// put writes text to an output.
func put(t *testing.T, path, text string, o output.Options) {
	t.Helper()
	out, err := output.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Abort()
	if _, err := out.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := out.Commit(); err != nil {
		t.Fatal(err)
	}
}

// names returns what is in a directory.
func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		list = append(list, f.Name())
	}
	return list
}

// TestReplace: a file is there whole or not at all, and keeps its permissions.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x")
	put(t, path, "new", output.Options{})
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	out, err := output.Open(t.Context(), path, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Write([]byte("half")); err != nil {
		t.Fatal(err)
	}
	out.Abort()
	if got := read(t, path); got != "new" {
		t.Errorf("given up: the file has %q", got)
	}
	put(t, path, "newer", output.Options{})
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "newer" || os.PathSeparator == '/' && info.Mode().Perm() != 0o640 {
		t.Errorf("replaced: %q, mode %v", got, info.Mode())
	}
	if got := names(t, dir); !slices.Equal(got, []string{"x"}) {
		t.Errorf("the directory has %v", got)
	}
}

// TestRefused: what cannot be written, or is also read, is refused before anything is written.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.csv")
	write(t, in, "rows")
	write(t, filepath.Join(dir, "kept"), "kept")
	if err := os.Link(in, filepath.Join(dir, "hard")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("in.csv", filepath.Join(dir, "soft")); err != nil {
		t.Skip(err)
	}
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	before := names(t, dir)
	o := output.Options{
		Inputs: []string{filepath.Join(dir, "in*")},
		Refuse: func(path string) error {
			if filepath.Base(path) == "kept" {
				return errors.New("belongs to a run")
			}
			return nil
		},
	}
	for path, want := range map[string]string{
		"in.csv": "is the same file as the input", "hard": "is the same file as the input", "soft": "is the same file as the input",
		"none/../in.csv": "is the same file as the input", "": "is a directory", "none/x": "there is no directory", "in.csv/x": "there is no directory",
		"kept": "belongs to a run", "loop": "too many",
	} {
		path := dir + string(filepath.Separator) + filepath.FromSlash(path)
		if path = strings.Replace(path, "none"+string(filepath.Separator)+"..", ".", 1); strings.HasSuffix(path, "in.csv"+string(filepath.Separator)+"x") {
			want = "" // systems differ in how they call it
		}
		out, err := output.Open(t.Context(), path, o)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
		if err == nil {
			out.Abort()
		}
	}
	if after := names(t, dir); !slices.Equal(after, before) || read(t, in) != "rows" {
		t.Errorf("the directory has %v, the input %q", after, read(t, in))
	}
}

// TestLink: the file that a link names is replaced, also one that is not there yet, and the link stays.
func TestLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "far", "deep"), 0o777); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "far", "old"), "old")
	for name, to := range map[string]string{
		"a": filepath.Join("far", "old"), "b": filepath.Join("far", "new"), "c": "a", "d": filepath.Join(dir, "far", "absolute"),
		"deep": filepath.Join("far", "deep"), filepath.Join("far", "deep", "up"): filepath.Join("..", "upper"),
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Skip(err)
		}
	}
	for _, tc := range []struct{ path, file string }{
		{"a", "far/old"}, {"b", "far/new"}, {"c", "far/old"}, {"d", "far/absolute"}, {"deep/up", "far/upper"},
	} {
		path := filepath.Join(dir, tc.path)
		put(t, path, tc.path, output.Options{})
		if got := read(t, filepath.Join(dir, tc.file)); got != tc.path {
			t.Errorf("by %s, %s has %q", tc.path, tc.file, got)
		}
		if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v", tc.path, err)
		}
	}
}

// TestEnds: whoever waits for the reader of a FIFO can be interrupted. See stream_unix_test.go for what is streamed.
func TestEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if out, err := output.Open(ctx, filepath.Join(t.TempDir(), "x"), output.Options{}); err != nil {
		t.Errorf("a file needs nobody: %v", err)
	} else {
		out.Abort()
	}
}
