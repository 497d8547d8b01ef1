package train_test

import (
	"bytes"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
)

// TestLoadInt8 reads a table, larger than what is read at once, into rows of int8.
func TestLoadInt8(t *testing.T) {
	const rows, dim = 70_000, 5
	values := make([]float32, rows*dim)
	for i := range values {
		values[i] = float32(math.Sin(float64(i)))
	}
	weight := []float32{1, 2, 3}
	path := filepath.Join(t.TempDir(), "model.safetensors")
	save := func(names ...string) {
		t.Helper()
		c := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: names[0], Shape: []int{rows, dim}, Data: values}, {Name: names[1], Shape: []int{3}, Data: weight}}}
		if err := ckpt.Save(path, c); err != nil {
			t.Fatal(err)
		}
	}
	load := func() (*nn.Params, error) {
		p := nn.BlankParams()
		for _, q := range []*nn.Param{
			{Name: "table", Shape: []int{rows, dim}, Kind: nn.Table, Int8: make([]byte, rows*kernel.Int8RowBytes(dim))},
			{Name: "weight", Shape: []int{3}, Data: make([]float32, 3)},
		} {
			if err := p.Add(q); err != nil {
				t.Fatal(err)
			}
		}
		return p, train.LoadParams(path, p)
	}
	save("table", "weight")
	p, err := load()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]byte, rows*kernel.Int8RowBytes(dim))
	kernel.QuantizeInt8(want, values, dim)
	if q := p.Get("table"); !bytes.Equal(q.Int8, want) || q.Data != nil {
		t.Errorf("the table's rows are not those of all its values at once, or it has %d values of float32", len(q.Data))
	}
	if w := p.Get("weight").Data; w[0] != 1 || w[2] != 3 {
		t.Errorf("the weight is %v, want %v", w, weight)
	}
	save("other", "weight")
	if _, err := load(); err == nil || !strings.Contains(err.Error(), "tensor table: missing") || !strings.Contains(err.Error(), "tensor other: unexpected") {
		t.Errorf("another name: error %v", err)
	}
	values[60_000*dim+2] = float32(math.Inf(-1))
	save("table", "weight")
	if _, err := load(); err == nil || !strings.Contains(err.Error(), path+": tensor table: row 60000 has the value -Inf") {
		t.Errorf("an infinite value: error %v", err)
	}
}
