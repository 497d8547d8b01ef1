package bound_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/splice-ml/splice/data/bound"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.json")
	if err := os.WriteFile(path, []byte("0123456789"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := bound.ReadFile(path, 10); err != nil || string(b) != "0123456789" {
		t.Errorf("%q, %v", b, err)
	}
	large := filepath.Join(dir, "large") // a hole of 1 TB is not read
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	size := int64(1 << 40)
	if err := os.Truncate(large, size); err != nil {
		t.Logf("no files with holes here: %v", err)
		large, size = path, 10
	}
	for _, tc := range []struct {
		path  string
		limit int64
		want  string
	}{
		{path, 9, path + ": has 10 bytes; at most 9 bytes of such a file are read: is it the right file?"},
		{dir, 9, dir + ": is a directory, want a file"},
	} {
		if _, err := bound.ReadFile(tc.path, tc.limit); err == nil || err.Error() != tc.want {
			t.Errorf("%s, at most %d bytes: %v, want %s", tc.path, tc.limit, err, tc.want)
		}
	}
	if _, err := bound.ReadFile(large, size-1); err == nil {
		t.Error("a file above the limit is read")
	}
	if _, err := bound.ReadFile(filepath.Join(dir, "none"), 9); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such file: %v", err)
	}
}

// What has no end is read up to the limit, and an error of the reader is that error.
func TestRead(t *testing.T) {
	_, err := bound.Read(endless{}, "x", 1000)
	if want := "x: is too long; at most 1,000 bytes of such a file are read: is it the right file?"; err == nil || err.Error() != want {
		t.Errorf("endless: %v, want %s", err, want)
	}
	broken := errors.New("input/output error")
	if _, err := bound.Read(iotest.ErrReader(broken), "x", 1000); !errors.Is(err, broken) {
		t.Errorf("broken: %v", err)
	}
}

// Something is there unless it surely is not.
func TestExists(t *testing.T) {
	dir := t.TempDir()
	loop, dangling := filepath.Join(dir, "loop"), filepath.Join(dir, "dangling")
	if err := errors.Join(os.Symlink("loop", loop), os.Symlink("none", dangling)); err != nil {
		t.Skip(err)
	}
	for path, want := range map[string]bool{dir: true, loop: true, dangling: false, filepath.Join(dir, "none"): false} {
		if got := bound.Exists(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
}

type endless struct{}

// Read fills p.
func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestValues(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int
	}{
		{`{"a": [1, 2, {"b": ",,[["}]}`, 5},
		{`"\",,,"`, 0},
		{"[[[[", 4},
	} {
		if err := bound.Values([]byte(tc.text), tc.want); err != nil {
			t.Errorf("%s: %v with a limit of %d", tc.text, err, tc.want)
		}
		if err := bound.Values([]byte(tc.text), tc.want-1); tc.want > 0 && err == nil {
			t.Errorf("%s: no error with a limit of %d", tc.text, tc.want-1)
		}
	}
}

func TestLists(t *testing.T) {
	var errs []error
	var names []string
	for i := range 401 {
		errs = append(errs, nil, fmt.Errorf("e%d", i))
		names = append(names, fmt.Sprint("n", i))
	}
	lines := strings.Split(bound.Join(errs...).Error(), "\n")
	if len(lines) != 21 || lines[19] != "e19" || lines[20] != "and 381 more" {
		t.Errorf("401 errors are shown as %q", lines)
	}
	if got := bound.Names(names); !strings.HasSuffix(got, ", n18, n19 and 381 more") {
		t.Errorf("401 names are shown as %s", got)
	}
	if err := bound.Join(nil, nil); err != nil {
		t.Errorf("no errors: %v", err)
	}
	if got := bound.Join(errs[:40]...).Error(); strings.Contains(got, "more") || strings.Count(got, "\n") != 19 {
		t.Errorf("20 errors are shown as %q", got)
	}
	if got := bound.Names(names[:20]); strings.Contains(got, "more") {
		t.Errorf("20 names are shown as %s", got)
	}
	if got := bound.Names([]string{strings.Repeat("é", 1000)}); got != strings.Repeat("é", 40)+"..." {
		t.Errorf("a long name is shown as %s", got)
	}
}
