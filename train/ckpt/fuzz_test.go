package ckpt_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// An index of shards is refused, or every tensor that it names can be read.
func FuzzIndex(f *testing.F) {
	for _, s := range []string{
		"", "{}", "[]", "null", `{"weight_map": {}}`, `{"weight_map": {"a": "s.safetensors", "b": "s.safetensors"}}`, `{"weight_map": {"a": "../s.safetensors"}}`,
		`{"weight_map": {"a": "/etc/passwd"}}`, `{"weight_map": {"a": ""}}`, `{"weight_map": {"a": null}}`, `{"weight_map": ["a"]}`, `{"weight_map": {"a": 1}}`,
		`{"weight_map": {"a": "` + ckpt.IndexFile + `"}}`, `{"metadata": {"total_size": 1}}`, `{"weight_map": ` + strings.Repeat("[", 20000), `{"weight_map": {"\u001b[2J": "s.safetensors"}}`,
	} {
		f.Add([]byte(s))
	}
	dir := f.TempDir()
	shard := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{
		{Name: "a", Shape: []int{2}, Data: []float32{1, 2}}, {Name: "b", Shape: []int{1}, Data: []float32{3}},
	}}
	if err := ckpt.Save(filepath.Join(dir, "s.safetensors"), shard); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		index := filepath.Join(dir, ckpt.IndexFile)
		if err := os.WriteFile(index, b, 0o666); err != nil {
			t.Fatal(err)
		}
		c, err := ckpt.OpenDir(dir)
		if err != nil {
			return
		}
		defer c.Close()
		for _, want := range shard.Tensors {
			got := make([]float32, len(want.Data))
			if err := c.ReadInto(want.Name, got); err != nil || !slices.Equal(got, want.Data) {
				t.Fatalf("%q: tensor %s is %v, %v", b, want.Name, got, err)
			}
		}
	})
}
