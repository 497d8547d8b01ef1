package ckpt_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// stored returns the values of a tensor that is stored as raw bytes of a type.
func stored(t *testing.T, d ckpt.DType, raw []byte) []float32 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	x := ckpt.Tensor{Name: "x", Shape: []int{len(raw) / d.Size()}, DType: d, Raw: raw}
	if err := ckpt.Save(path, &ckpt.Checkpoint{Tensors: []ckpt.Tensor{x}}); err != nil {
		t.Fatal(err)
	}
	f, err := ckpt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b bytes.Buffer
	if err := f.WriteRaw("x", &b); err != nil || !bytes.Equal(b.Bytes(), raw) {
		t.Errorf("%s: raw bytes %x, %v; want %x", d, b.Bytes(), err, raw)
	}
	if err := f.WriteRaw("y", &b); err == nil {
		t.Error("raw bytes of no tensor: no error")
	}
	values, err := f.Read("x")
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// TestAppendFloats: every finite value of 16 bits is stored as itself, what lies between two as the nearer one, and halves as the even
// one.
func TestAppendFloats(t *testing.T) {
	for _, d := range []ckpt.DType{ckpt.F16, ckpt.BF16} {
		var raw []byte
		for h := range 1 << 15 {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(h))
		}
		all := stored(t, d, raw) // ascending, then infinity and what is no number
		n := slices.IndexFunc(all, func(v float32) bool { return math.IsInf(float64(v), 0) })
		check := func(v float32, want int) {
			t.Helper()
			for sign, v := range []float32{v, -v} {
				got, err := d.AppendFloats(nil, []float32{v})
				if w := uint16(want | sign<<15); err != nil || binary.LittleEndian.Uint16(got) != w {
					t.Fatalf("%s: %v is %x, %v; want %x", d, v, got, err, w)
				}
			}
		}
		for i := range n {
			check(all[i], i)
			if i+1 == n {
				break
			}
			if half := float32((float64(all[i]) + float64(all[i+1])) / 2); half != all[i] && half != all[i+1] {
				check(half, i+i&1)
				check(math.Nextafter32(half, 0), i)
				check(math.Nextafter32(half, math.MaxFloat32), i+1)
			}
		}
		for _, v := range []float32{math.MaxFloat32, -math.MaxFloat32, float32(math.Inf(1))} {
			if _, err := d.AppendFloats(nil, []float32{0, v}); err == nil || !strings.Contains(err.Error(), "element 1") {
				t.Errorf("%s: %v: error %v", d, v, err)
			}
		}
	}
	x := []float32{1, -2.5, math.MaxFloat32, 1e-45}
	for _, d := range []ckpt.DType{ckpt.F32, ckpt.F64} {
		raw, err := d.AppendFloats(nil, x)
		if err != nil {
			t.Fatal(err)
		}
		if got := stored(t, d, raw); !slices.Equal(got, x) {
			t.Errorf("%s: %v, want %v", d, got, x)
		}
	}
	if _, err := ckpt.I64.AppendFloats(nil, x); err == nil || ckpt.I64.IsFloat() || !ckpt.BF16.IsFloat() {
		t.Errorf("integers: error %v", err)
	}
}
