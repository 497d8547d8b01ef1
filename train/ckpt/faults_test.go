package ckpt

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/splice-ml/splice/data/atomicfile/faultfs"
)

// TestFaults lets each operation of a save fail in turn: the earlier file stays whole and nothing lies beside it.
func TestFaults(t *testing.T) {
	old := &Checkpoint{Tensors: []Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
	big := &Checkpoint{Tensors: []Tensor{{Name: "w", Shape: []int{800000}, Data: make([]float32, 800000)}}}
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors")
	count := &faultfs.System{}
	if err := save(count, path, big); err != nil {
		t.Fatal(err)
	}
	if count.N < 8 { // create, several writes, the checksum, sync, close, rename, sync of the directory
		t.Fatalf("%d operations of a save", count.N)
	}
	for at := 1; at <= count.N; at++ {
		if err := Save(path, old); err != nil {
			t.Fatal(err)
		}
		err := save(&faultfs.System{At: at, Err: syscall.ENOSPC}, path, big)
		if !errors.Is(err, syscall.ENOSPC) || !strings.HasPrefix(err.Error(), "ckpt: write "+path+": ") {
			t.Fatalf("operation %d failing: %v", at, err)
		}
		want := 1 // the old file; the sync of the directory comes after the new one is in place
		if at == count.N {
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

func TestSaveNowhere(t *testing.T) {
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
