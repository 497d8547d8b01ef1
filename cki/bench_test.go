package cki_test

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/method"
	"github.com/splice-ml/splice/train/ckpt"
)

// BenchmarkMergeFiles averages two checkpoints of 256 MB and copies one, each down to the disk.
func BenchmarkMergeFiles(b *testing.B) {
	const tensors, size = 16, 4 << 20
	dir := b.TempDir()
	var parents []*cki.Parent
	for _, name := range []string{"a", "b"} {
		c := &ckpt.Checkpoint{}
		r := rand.New(rand.NewPCG(1, uint64(len(parents))))
		for i := range tensors {
			x := make([]float32, size)
			for j := range x {
				x[j] = r.Float32()
			}
			c.Tensors = append(c.Tensors, ckpt.Tensor{Name: string(rune('a' + i)), Shape: []int{size / 1024, 1024}, Data: x})
		}
		path := filepath.Join(dir, name+".safetensors")
		if err := ckpt.Save(path, c); err != nil {
			b.Fatal(err)
		}
		p, err := cki.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		parents = append(parents, p)
	}
	in := &cki.Input{Parents: parents}
	average, err := method.Average{Rows: "equal"}.Merge(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	for name, run := range map[string]func() error{
		"merge": func() error { return in.Write(filepath.Join(dir, "out"), average, nil) },
		"copy":  func() error { return copyFile(filepath.Join(dir, "out"), filepath.Join(dir, "a.safetensors")) },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(4 * tensors * size)
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func copyFile(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Sync(); err != nil {
		return err
	}
	return out.Close()
}
