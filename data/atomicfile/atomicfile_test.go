package atomicfile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/atomicfile/faultfs"
)

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "result.json")
	put := func(s string, fail error) error {
		return atomicfile.Write(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
			return fail
		})
	}
	want := func(s string) {
		t.Helper()
		holds(t, path, s)
		onlyFile(t, dir)
	}
	if err := put("one", nil); err != nil {
		t.Fatal(err)
	}
	want("one")
	if err := put("two", nil); err != nil {
		t.Fatal(err)
	}
	want("two")
	if err := put("half", io.ErrClosedPipe); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("an error of the writer: %v", err)
	}
	want("two")
	func() {
		defer func() { _ = recover() }()
		_ = atomicfile.Write(path, func(io.Writer) error { panic("x") })
	}()
	want("two")

	// What a killed process left does not stop the next one.
	left := filepath.Join(dir, ".result.json.0-0.tmp")
	if err := os.WriteFile(left, []byte("half"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := put("three", nil); err != nil {
		t.Fatal(err)
	}
	os.Remove(left)
	want("three")
}

// holds checks what is in a file.
func holds(t *testing.T, path, want string) {
	t.Helper()
	if b, err := os.ReadFile(path); err != nil || string(b) != want {
		t.Errorf("file %q, %v, want %q", b, err, want)
	}
}

func onlyFile(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files in the directory, want 1: %v %v", len(entries), entries, err)
	}
}

func TestWriteBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "digest")
	for _, s := range []string{"one", "", "three"} {
		if err := atomicfile.WriteBytes(path, []byte(s)); err != nil {
			t.Fatal(err)
		}
		holds(t, path, s)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if want, err := os.Stat(plain); err != nil || info.Mode() != want.Mode() {
		t.Errorf("permission bits %v, %v, want those of any new file: %v", info.Mode(), err, want.Mode())
	}
}

// TestFaults lets each operation of a write fail in turn: the earlier file stays whole and nothing lies beside it.
func TestFaults(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "cache.bin")
	replace := func(on atomicfile.System) error {
		return atomicfile.ReplaceOn(on, path, func(f *atomicfile.File) error {
			if _, err := f.Write([]byte("....new")); err != nil {
				return err
			}
			_, err := f.WriteAt([]byte("all "), 0)
			return err
		})
	}
	count := &faultfs.System{}
	if err := replace(count); err != nil {
		t.Fatal(err)
	}
	if count.N != 7 { // create, write, write at, sync, close, rename, sync of the directory
		t.Fatalf("%d operations of a write, want 7", count.N)
	}
	for at := 1; at <= count.N; at++ {
		if err := atomicfile.WriteBytes(path, []byte("earlier")); err != nil {
			t.Fatal(err)
		}
		err := replace(&faultfs.System{At: at, Err: syscall.ENOSPC})
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "write "+path+": ") {
			t.Fatalf("operation %d failing: %v", at, err)
		}
		want := "earlier"
		if at == count.N { // the file is in place when its directory is synced
			want = "all new"
		}
		if unchanged := strings.Contains(err.Error(), "was not changed"); unchanged != (want == "earlier") {
			t.Errorf("operation %d: %v says the wrong thing of the file", at, err)
		}
		holds(t, path, want)
		onlyFile(t, dir)
	}
	// A file system that cannot sync directories is no reason to fail.
	for _, err := range []error{syscall.EINVAL, errors.ErrUnsupported} {
		if err := replace(&faultfs.System{At: count.N, Err: err}); err != nil {
			t.Errorf("a directory that cannot be synced: %v", err)
		}
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "part.bin")
	create := func(s string) *atomicfile.File {
		t.Helper()
		f, err := atomicfile.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, s); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f, other := create("one"), create("two") // at the same time
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before Commit: %v, want no file", err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "one")
	f.Abort() // after Commit: nothing
	holds(t, path, "one")
	if err := f.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("committed twice: %v", err)
	}
	other.Abort()
	other.Abort()
	if err := other.Commit(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("committed after Abort: %v", err)
	}
	holds(t, path, "one")
	onlyFile(t, dir)

	f = create("a long text")
	defer f.Abort()
	if err := errors.Join(f.Truncate(6), f.Chmod(0o600)); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(io.NewSectionReader(f, 2, 100)); err != nil || string(b) != "long" {
		t.Errorf("read %q, %v of the temporary file", b, err)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "a long")
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("permission bits %v, %v, want 0600", info.Mode(), err)
	}
}

func TestRename(t *testing.T) {
	dir := t.TempDir()
	part, path := filepath.Join(dir, "data.part"), filepath.Join(dir, "data")
	if err := os.WriteFile(part, []byte("whole"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Rename(part, path); err != nil {
		t.Fatal(err)
	}
	holds(t, path, "whole")
	onlyFile(t, dir)
	if err := atomicfile.Rename(part, path); !errors.Is(err, fs.ErrNotExist) || !strings.HasPrefix(err.Error(), "write "+path+": ") {
		t.Errorf("Rename of no file: %v", err)
	}
}

func TestNowhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file", "x"), filepath.Join(dir, "none", "x"), dir} {
		err := atomicfile.WriteBytes(path, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "write "+path+": ") {
			t.Errorf("WriteBytes(%s): %v", path, err)
		}
	}
}
