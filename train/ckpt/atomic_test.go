package ckpt

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// faulty is a file system whose n-th operation fails, counted over all calls.
type faulty struct {
	osFiles
	at  int // 0: none
	n   int
	err error
}

func (f *faulty) fail() error {
	if f.n++; f.n == f.at {
		return f.err
	}
	return nil
}

func (f *faulty) create(name string) (file, error) {
	if err := f.fail(); err != nil {
		return nil, err
	}
	x, err := f.osFiles.create(name)
	return &faultyFile{x, f}, err
}

func (f *faulty) rename(from, to string) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.osFiles.rename(from, to)
}

func (f *faulty) syncDir(dir string) error {
	if err := f.fail(); err != nil {
		return err
	}
	return f.osFiles.syncDir(dir)
}

type faultyFile struct {
	file
	on *faulty
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.on.fail(); err != nil {
		n, _ := f.file.Write(p[:len(p)/2]) // a full disk takes a part
		return n, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) WriteAt(p []byte, at int64) (int, error) {
	if err := f.on.fail(); err != nil {
		return 0, err
	}
	return f.file.WriteAt(p, at)
}

func (f *faultyFile) Sync() error {
	if err := f.on.fail(); err != nil {
		return err
	}
	return f.file.Sync()
}

func (f *faultyFile) Close() error {
	return errors.Join(f.on.fail(), f.file.Close())
}

// TestFaults lets each operation of a save fail in turn: the earlier file stays whole and nothing lies beside it.
func TestFaults(t *testing.T) {
	old := &Checkpoint{Tensors: []Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
	big := &Checkpoint{Tensors: []Tensor{{Name: "w", Shape: []int{200000}, Data: make([]float32, 200000)}}}
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	count := &faulty{}
	if err := save(count, path, big); err != nil {
		t.Fatal(err)
	}
	if count.n < 8 { // create, several writes, the checksum, sync, close, rename, sync of the directory
		t.Fatalf("%d operations of a save", count.n)
	}
	for at := 1; at <= count.n; at++ {
		if err := Save(path, old); err != nil {
			t.Fatal(err)
		}
		err := save(&faulty{at: at, err: syscall.ENOSPC}, path, big)
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "ckpt: write "+path+": ") {
			t.Fatalf("operation %d failing: %v", at, err)
		}
		want := 1 // the old file; the sync of the directory comes after the new one is in place
		if at == count.n {
			want = len(big.Tensors[0].Data)
		} else if !strings.Contains(err.Error(), "was not changed") {
			t.Errorf("operation %d: %v does not say that the file was not changed", at, err)
		}
		c, err := Load(path)
		if err != nil || len(c.Tensors[0].Data) != want {
			t.Fatalf("after operation %d failed: %v, %v", at, c, err)
		}
		onlyFile(t, dir)
	}
}

func onlyFile(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files in the directory, want 1: %v %v", len(entries), entries, err)
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "result.json")
	put := func(s string, fail error) error {
		return WriteFile(path, func(w io.Writer) error {
			if _, err := io.WriteString(w, s); err != nil {
				return err
			}
			return fail
		})
	}
	want := func(s string) {
		t.Helper()
		if b, err := os.ReadFile(path); err != nil || string(b) != s {
			t.Errorf("file %q, %v, want %q", b, err, s)
		}
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
		_ = WriteFile(path, func(io.Writer) error { panic("x") })
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

func TestWriteFileNowhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(dir, "file", "model.safetensors"), filepath.Join(dir, "none", "x"), dir}
	if runtime.GOOS != "windows" && os.Getuid() != 0 { // root may write anywhere
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o555); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, filepath.Join(locked, "x"))
	}
	for _, path := range paths {
		err := Save(path, &Checkpoint{})
		if err == nil || !strings.HasPrefix(err.Error(), "ckpt: write "+path+": ") {
			t.Errorf("Save(%s): %v", path, err)
		}
	}
}
