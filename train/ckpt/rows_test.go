package ckpt_test

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/splice-ml/splice/train/ckpt"
)

var dtypes = []ckpt.DType{
	ckpt.F64, ckpt.F32, ckpt.F16, ckpt.BF16, ckpt.I64, ckpt.I32, ckpt.I16, ckpt.I8, ckpt.U64, ckpt.U32, ckpt.U16, ckpt.U8, ckpt.Bool,
}

// raw returns the bytes of n elements, each 0 or 1 or of another small value of the type.
func raw(d ckpt.DType, n int) []byte {
	b := make([]byte, n*d.Size())
	for i := range n {
		e := b[i*d.Size() : (i+1)*d.Size()]
		v := i%7 + 1
		switch d {
		case ckpt.F64:
			binary.LittleEndian.PutUint64(e, math.Float64bits(-float64(v)/3))
		case ckpt.F32:
			binary.LittleEndian.PutUint32(e, math.Float32bits(float32(v)/3))
		case ckpt.Bool:
			e[0] = byte(v & 1)
		case ckpt.F16, ckpt.BF16:
			binary.LittleEndian.PutUint16(e, uint16(0x3f00+i%200))
		default:
			e[0] = byte(i % 100)
		}
	}
	return b
}

func TestReadRows(t *testing.T) {
	c := &ckpt.Checkpoint{}
	shapes := map[string][]int{"matrix": {9, 5}, "cube": {3, 4, 2}, "vector": {11}, "scalar": {}, "empty": {0, 4}, "thin": {6, 0}, "large": {30_001, 3}}
	for name, shape := range shapes {
		n := 1
		for _, d := range shape {
			n *= d
		}
		for _, d := range dtypes {
			c.Tensors = append(c.Tensors, ckpt.Tensor{Name: name + "." + string(d), Shape: shape, DType: d, Raw: raw(d, n)})
		}
	}
	r, err := ckpt.Open(save(t, c))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rapid.Check(t, func(t *rapid.T) {
		info := rapid.SampledFrom(r.Tensors).Draw(t, "tensor")
		all, err := r.Read(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		rows, width := 1, 1
		for i, d := range info.Shape {
			if i == 0 {
				rows = d
			} else {
				width *= d
			}
		}
		lo := rapid.IntRange(0, rows).Draw(t, "lo")
		hi := rapid.IntRange(lo, rows).Draw(t, "hi")
		got := make([]float32, (hi-lo)*width)
		if err := r.ReadRows(info.Name, lo, hi, got); err != nil {
			t.Fatal(err)
		}
		if want := all[lo*width : hi*width]; !slices.Equal(got, want) {
			t.Fatalf("%s %v, rows %d to %d: other values than Read", info.Name, info.Shape, lo, hi)
		}
	})
	for _, bad := range []struct {
		name      string
		lo, hi, n int
		want      string
	}{
		{"none", 0, 1, 5, "no tensor none"},
		{"matrix.F32", -1, 1, 10, "tensor matrix.F32 [9 5]: rows -1 to 1 of 9"},
		{"matrix.F32", 3, 2, 0, "rows 3 to 2 of 9"},
		{"matrix.F32", 8, 10, 10, "rows 8 to 10 of 9"},
		{"matrix.F32", 2, 4, 9, "2 rows of 5 elements into 9 elements"},
		{"matrix.F32", 2, 2, 1, "0 rows of 5 elements into 1 elements"},
		{"scalar.F16", 0, 2, 2, "tensor scalar.F16 []: rows 0 to 2 of 1"},
		{"empty.F32", 0, 1, 4, "rows 0 to 1 of 0"},
	} {
		if err := r.ReadRows(bad.name, bad.lo, bad.hi, make([]float32, bad.n)); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("ReadRows(%s, %d, %d): %v, want %q", bad.name, bad.lo, bad.hi, err, bad.want)
		}
	}
}

func TestReadRowsNamesTheElement(t *testing.T) {
	big := binary.LittleEndian.AppendUint64(make([]byte, 5*8), 1<<60+1)
	path := save(t, &ckpt.Checkpoint{Tensors: []ckpt.Tensor{{Name: "ids", Shape: []int{3, 2}, DType: ckpt.I64, Raw: big}}})
	r, err := ckpt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.ReadRows("ids", 0, 2, make([]float32, 4)); err != nil {
		t.Error(err)
	}
	err = r.ReadRows("ids", 2, 3, make([]float32, 2))
	if err == nil || !strings.Contains(err.Error(), "tensor ids, from element 4: element 1 is 1152921504606846977") ||
		!strings.Contains(err.Error(), filepath.Base(path)) {
		t.Errorf("a number that float32 cannot hold: %v", err)
	}
}
