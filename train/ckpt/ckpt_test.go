package ckpt_test

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nlpodyssey/safetensors"

	"github.com/splice-ml/splice/train/ckpt"
)

func example() *ckpt.Checkpoint {
	r := rand.New(rand.NewPCG(1, 2))
	big := make([]float32, 70001) // more than one buffer
	for i := range big {
		big[i] = float32(r.NormFloat64())
	}
	return &ckpt.Checkpoint{
		Meta: map[string]string{"step": "12", "a": `quote " < \ é`, "z": ""},
		Tensors: []ckpt.Tensor{
			{Name: "mlp.0.weight", Shape: []int{2, 3}, Data: []float32{1, -2, 3.5, 0, float32(math.Copysign(0, -1)), math.MaxFloat32}},
			{Name: "bytes", Shape: []int{3}, DType: ckpt.U8, Raw: []byte{1, 2, 255}},
			{Name: "big", Shape: []int{70001}, Data: big},
			{Name: "scalar", Data: []float32{float32(math.Inf(-1))}},
			{Name: "empty", Shape: []int{0, 4}, Data: []float32{}},
			{Name: "count", Shape: []int{1}, DType: ckpt.I64, Raw: []byte{255, 255, 255, 255, 255, 255, 255, 127}},
			{Name: `odd "name" é <&>`, Shape: []int{1}, Data: []float32{7}},
		},
	}
}

func save(t *testing.T, c *ckpt.Checkpoint) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.safetensors")
	if err := ckpt.Save(path, c); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestRoundTrip(t *testing.T) {
	c := example()
	path := save(t, c)
	got, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(got.Meta, c.Meta) {
		t.Errorf("meta %v, want %v", got.Meta, c.Meta)
	}
	var names []string
	for _, x := range got.Tensors {
		names = append(names, x.Name)
	}
	want := []string{"count", "mlp.0.weight", "big", "scalar", "empty", `odd "name" é <&>`, "bytes"}
	if !slices.Equal(names, want) {
		t.Errorf("order %q, want %q", names, want)
	}
	for _, w := range c.Tensors {
		g := got.Get(w.Name)
		switch w.Name {
		case "bytes": // small integers are float32 too
			w.Data, w.Raw, w.DType = []float32{1, 2, 255}, nil, ""
		case "scalar":
			w.Shape = []int{}
		}
		if !cmp.Equal(*g, w) {
			t.Errorf("tensor %s: %s", w.Name, cmp.Diff(*g, w))
		}
		for i := range w.Data {
			if math.Float32bits(g.Data[i]) != math.Float32bits(w.Data[i]) {
				t.Fatalf("tensor %s[%d]: other bits", w.Name, i)
			}
		}
	}
	if got.Get("none") != nil {
		t.Error("Get of an unknown name is not nil")
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	if len(entries) != 1 {
		t.Errorf("files left beside the checkpoint: %v", entries)
	}
}

func TestSameBytes(t *testing.T) {
	a, b := read(t, save(t, example())), read(t, save(t, example()))
	if !bytes.Equal(a, b) {
		t.Error("the same checkpoint gave other bytes")
	}
	c := example()
	c.Meta["splice.checksum"] = "of another file" // as if it were copied along
	if !bytes.Equal(a, read(t, save(t, c))) {
		t.Error("an old checksum in the metadata changed the file")
	}
}

func TestStream(t *testing.T) {
	c := example()
	path := filepath.Join(t.TempDir(), "s")
	infos := []ckpt.Info{{Name: "a", DType: ckpt.U8, Shape: []int{2}}, {Name: "b", DType: ckpt.F32, Shape: []int{1}}}
	write := func(short int) error {
		return ckpt.Stream(path, infos, c.Meta, func(name string, w io.Writer) error {
			_, err := w.Write(map[string][]byte{"a": {1, 2}, "b": {0, 0, 128, 63}}[name][short:])
			return err
		})
	}
	if err := write(0); err != nil {
		t.Fatal(err)
	}
	got, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if b := got.Get("b"); len(b.Data) != 1 || b.Data[0] != 1 {
		t.Errorf("b = %v, want [1]", b.Data)
	}
	err = write(1)
	if want := "tensor b: 3 bytes written for F32 [1]"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("short write: %v, want %q", err, want)
	}
}

func TestOtherReaderAgrees(t *testing.T) {
	c := example()
	st, err := safetensors.Deserialize(read(t, save(t, c)))
	if err != nil {
		t.Fatal(err)
	}
	if st.Len() != len(c.Tensors) {
		t.Errorf("%d tensors, want %d", st.Len(), len(c.Tensors))
	}
	x, ok := st.Tensor("mlp.0.weight")
	if !ok || x.DType() != safetensors.F32 || !slices.Equal(x.Shape(), []uint64{2, 3}) {
		t.Fatalf("tensor %v %v %v", ok, x.DType(), x.Shape())
	}
	if want := []byte{0, 0, 128, 63, 0, 0, 0, 192}; !bytes.Equal(x.Data()[:8], want) {
		t.Errorf("data %v, want %v", x.Data()[:8], want)
	}
}

func TestReadsOtherWriter(t *testing.T) {
	v, err := safetensors.NewTensorView(safetensors.F32, []uint64{1, 2}, []byte{0, 0, 128, 63, 0, 0, 0, 192})
	if err != nil {
		t.Fatal(err)
	}
	b, err := safetensors.Serialize(map[string]safetensors.TensorView{"x": v}, map[string]string{"k": "v"})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	c, err := ckpt.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []ckpt.Tensor{{Name: "x", Shape: []int{1, 2}, Data: []float32{1, -2}}}
	if !cmp.Equal(c.Tensors, want) || c.Meta["k"] != "v" {
		t.Errorf("have %+v, want %+v", c, want)
	}
}

// TestReadsPython reads a file of Python's safetensors with every type: testdata/python.py.
func TestReadsPython(t *testing.T) {
	f, err := ckpt.Open("testdata/python.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Meta["format"] != "pt" || f.Meta["note"] != "a ≤ b" {
		t.Errorf("meta %v", f.Meta)
	}
	values := []float32{0, 1, -2.5, 3.140625, 0.0078125, 100}
	inf := float32(math.Inf(1))
	for name, want := range map[string]struct {
		shape []int
		data  []float32
	}{
		"f64":    {[]int{2, 3}, values},
		"f32":    {[]int{3, 2}, values},
		"bf16":   {[]int{6}, values},
		"f16":    {[]int{8}, []float32{0, float32(math.Copysign(0, -1)), 1, -2.5, 65504, 1.0 / (1 << 14), 1.0 / (1 << 24), inf}},
		"i64":    {[]int{3}, []float32{0, -1, 1 << 24}},
		"i32":    {[]int{3}, []float32{0, -1, 7}},
		"i16":    {[]int{3}, []float32{0, -1, 7}},
		"i8":     {[]int{3}, []float32{0, -1, 7}},
		"u8":     {[]int{3}, []float32{0, 255, 7}},
		"bool":   {[]int{2}, []float32{1, 0}},
		"scalar": {[]int{}, []float32{4.5}},
		"empty":  {[]int{0, 3}, []float32{}},
	} {
		got, err := f.Read(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.Equal(f.Info(name).Shape, want.shape) || !slices.Equal(got, want.data) {
			t.Errorf("%s = %v %v, want %v %v", name, f.Info(name).Shape, got, want.shape, want.data)
		}
	}
	if _, err := f.Read("big"); err == nil || !strings.Contains(err.Error(), "element 0 is 16777217, which float32 cannot hold") {
		t.Errorf("an integer above 2^24 as float32: %v", err)
	}
	if got, err := f.Ints("big"); err != nil || !slices.Equal(got, []int64{1<<24 + 1, 1 << 62}) {
		t.Errorf("big = %v, %v", got, err)
	}
	if _, err := f.Ints("f32"); err == nil || !strings.Contains(err.Error(), "is F32, want integers") {
		t.Errorf("floats as integers: %v", err)
	}
	if _, err := f.Read("nothing"); err == nil || !strings.Contains(err.Error(), "no tensor nothing") {
		t.Errorf("an unknown tensor: %v", err)
	}
	if err := f.ReadInto("f32", make([]float32, 5)); err == nil || !strings.Contains(err.Error(), "[3 2] into 5 elements") {
		t.Errorf("into a short slice: %v", err)
	}
}

func TestMatch(t *testing.T) {
	have := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{
		{Name: "same", Shape: []int{2}, Data: []float32{1, 2}},
		{Name: "shape", Shape: []int{2, 1}, Data: []float32{1, 2}},
		{Name: "extra", Shape: []int{1}, Data: []float32{1}},
		{Name: "ints", Shape: []int{1}, DType: ckpt.I64, Raw: make([]byte, 8)},
		{Name: "extra2", Shape: []int{1}, Data: []float32{1}},
	}}
	want := &ckpt.Checkpoint{Tensors: []ckpt.Tensor{
		{Name: "gone", Shape: []int{3, 4}},
		{Name: "same", Shape: []int{2}},
		{Name: "shape", Shape: []int{1, 2}},
		{Name: "ints", Shape: []int{1}},
		{Name: "gone2", Shape: []int{1}},
	}}
	err := ckpt.Match(have, want)
	text := `ckpt: tensor gone: missing, model wants [3 4]
ckpt: tensor shape: have [2 1], model wants [1 2]
ckpt: tensor ints: has I64 values that float32 cannot hold
ckpt: tensor gone2: missing, model wants [1]
ckpt: tensor extra: unexpected [1], the model has none of that name
ckpt: tensor extra2: unexpected [1], the model has none of that name`
	if err == nil || err.Error() != text {
		t.Errorf("Match: got\n%v\nwant\n%v", err, text)
	}
	if err := ckpt.Match(want, want); err != nil {
		t.Errorf("a checkpoint and itself: %v", err)
	}
}

// A list of wrong tensors is shown up to a length.
func TestMatchOfManyTensors(t *testing.T) {
	have, want := &ckpt.Checkpoint{}, &ckpt.Checkpoint{}
	for i := range 401 {
		want.Tensors = append(want.Tensors, ckpt.Tensor{Name: fmt.Sprint("t", i), Shape: []int{1}})
	}
	lines := strings.Split(fmt.Sprint(ckpt.Match(have, want)), "\n")
	if n := len(lines); n != 21 || lines[0] != "ckpt: tensor t0: missing, model wants [1]" || lines[20] != "and 381 more" {
		t.Errorf("%d lines, from %s to %s", n, lines[0], lines[n-1])
	}
}

func TestSaveRefuses(t *testing.T) {
	one := []float32{1}
	for _, tc := range []struct {
		want    string
		tensors []ckpt.Tensor
	}{
		{"tensor a: 4 bytes for F32 [2]", []ckpt.Tensor{{Name: "a", Shape: []int{2}, Data: one}}},
		{"tensor a: 4 bytes for F32 [-1]", []ckpt.Tensor{{Name: "a", Shape: []int{-1}, Data: one}}},
		{"tensor a: duplicate or reserved name", []ckpt.Tensor{{Name: "a", Data: one}, {Name: "a", Data: one}}},
		{"tensor __metadata__: duplicate or reserved name", []ckpt.Tensor{{Name: "__metadata__", Data: one}}},
		{`type "F7" is not supported`, []ckpt.Tensor{{Name: "a", Raw: []byte{1}, DType: "F7"}}},
		{`"\xff" is not valid UTF-8`, []ckpt.Tensor{{Name: "\xff", Data: one}}},
	} {
		path := filepath.Join(t.TempDir(), "x")
		err := ckpt.Save(path, &ckpt.Checkpoint{Tensors: tc.tensors})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Save(%v): %v, want %q", tc.tensors, err, tc.want)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("Save(%v) made a file", tc.tensors)
		}
	}
}

// TestDamage flips every bit region and cuts the file everywhere: none of it may load.
func TestDamage(t *testing.T) {
	c := example()
	c.Tensors = slices.Delete(c.Tensors, 2, 3) // without the big one
	good := read(t, save(t, c))
	path := filepath.Join(t.TempDir(), "damaged")
	load := func(b []byte) error {
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := ckpt.Load(path)
		return err
	}
	if err := load(good); err != nil {
		t.Fatal(err)
	}
	for n := range good {
		err := load(good[:n])
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "truncated") {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(good), err)
		}
	}
	if err, want := load(good[:len(good)-1]), fmt.Sprintf("ckpt: %s: truncated: header says %d bytes, file has %d", path, len(good), len(good)-1); err.Error() != want {
		t.Errorf("%v, want %v", err, want)
	}
	for i := range good {
		for _, bit := range []byte{1, 0x20, 0x80} {
			b := slices.Clone(good)
			b[i] ^= bit
			if err := load(b); err == nil {
				t.Fatalf("byte %d of %d (%q) flipped by %#x: accepted", i, len(good), good[i], bit)
			}
		}
	}
	b := slices.Clone(good)
	b[len(b)-1]++
	if err := load(b); err == nil || !strings.Contains(err.Error(), "checksum is ") {
		t.Errorf("a changed value: %v", err)
	}
	if err := load(append(slices.Clone(good), 0)); err == nil || !strings.Contains(err.Error(), "1 bytes follow after the last tensor") {
		t.Errorf("a longer file: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, tc := range []struct{ name, file, want string }{
		{"pickle", "PK\x03\x04 and so on", "is a PyTorch pickle, not safetensors; convert it: python -c"},
		{"old pickle", "\x80\x02\x8a\x0al\xfc\x9c", "is a PyTorch pickle"},
		{"text", "some text that is long enough", "is not safetensors: a header of"},
		{"empty", "", "truncated: a header needs 8 bytes, file has 0"},
	} {
		if err := os.WriteFile(path, []byte(tc.file), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ckpt.Open(path); err == nil || !strings.HasPrefix(err.Error(), "ckpt: "+path+": "+tc.want) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.want)
		}
	}
	if _, err := ckpt.Open(filepath.Dir(path)); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := ckpt.Open(path + "y"); !os.IsNotExist(unwrap(err)) {
		t.Errorf("no file: %v", err)
	}
}

func unwrap(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}
