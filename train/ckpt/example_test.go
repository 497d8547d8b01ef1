package ckpt_test

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/train/ckpt"
)

// A checkpoint is written whole; a large one is read tensor by tensor.
func Example() {
	dir, err := os.MkdirTemp("", "ckpt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")
	err = ckpt.Save(path, &ckpt.Checkpoint{
		Tensors: []ckpt.Tensor{
			{Name: "mlp.0.weight", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}},
			{Name: "mlp.0.bias", Shape: []int{2}, Data: []float32{5, 6}},
		},
		Meta: map[string]string{"model": "mlp"},
	})
	if err != nil {
		panic(err)
	}
	f, err := ckpt.Open(path)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	for _, t := range f.Tensors {
		x, err := f.Read(t.Name)
		if err != nil {
			panic(err)
		}
		fmt.Println(t.Name, t.DType, t.Shape, x)
	}
	fmt.Println(f.Meta)
	// Output:
	// mlp.0.weight F32 [2 2] [1 2 3 4]
	// mlp.0.bias F32 [2] [5 6]
	// map[model:mlp]
}
