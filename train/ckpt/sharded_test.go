package ckpt_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/ckpt"
)

// shard writes a file of a sharded checkpoint, with half-precision tensors too.
func shard(t *testing.T, dir, name string, tensors ...ckpt.Tensor) {
	t.Helper()
	if err := ckpt.Save(filepath.Join(dir, name), &ckpt.Checkpoint{Tensors: tensors, Meta: map[string]string{"format": "pt"}}); err != nil {
		t.Fatal(err)
	}
}

func f32(name string, x ...float32) ckpt.Tensor {
	return ckpt.Tensor{Name: name, Shape: []int{len(x)}, Data: x}
}

func bf16(name string, x ...float32) ckpt.Tensor {
	var raw []byte
	for _, v := range x {
		raw = binary.LittleEndian.AppendUint16(raw, uint16(math.Float32bits(v)>>16))
	}
	return ckpt.Tensor{Name: name, Shape: []int{len(x)}, DType: ckpt.BF16, Raw: raw}
}

func index(t *testing.T, dir string, where map[string]string) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"metadata": map[string]int{"total_size": 1}, "weight_map": where})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ckpt.IndexFile), b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestOpenDirShards(t *testing.T) {
	dir := t.TempDir()
	shard(t, dir, "model-00001-of-00003.safetensors", f32("a", 1, 2), bf16("b", -2, 3.5, 0.25))
	shard(t, dir, "model-00002-of-00003.safetensors", ckpt.Tensor{Name: "none", Shape: []int{0, 3}, Data: []float32{}})
	shard(t, dir, "model-00003-of-00003.safetensors", bf16("d", 8), f32("c", 5, 6, 7))
	where := map[string]string{"none": "model-00002-of-00003.safetensors"}
	for name, n := range map[string]string{"a": "1", "b": "1", "c": "3", "d": "3"} {
		where[name] = "model-0000" + n + "-of-00003.safetensors"
	}
	index(t, dir, where)
	f, err := ckpt.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors) != 5 || f.Meta["format"] != "pt" {
		t.Errorf("%d tensors, meta %v", len(f.Tensors), f.Meta)
	}
	for name, want := range map[string][]float32{"a": {1, 2}, "b": {-2, 3.5, 0.25}, "none": {}, "c": {5, 6, 7}, "d": {8}} {
		if got, err := f.Read(name); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s = %v, %v, want %v", name, got, err, want)
		}
	}
	two := make([]float32, 2)
	if err := f.ReadRows("c", 1, 3, two); err != nil || !slices.Equal(two, []float32{6, 7}) {
		t.Errorf("rows of c: %v, %v", two, err)
	}
	if raw, err := f.Raw("d"); err != nil || !slices.Equal(raw, []byte{0, 0x41}) {
		t.Errorf("raw d: %v, %v", raw, err)
	}

	// One file comes before the shards.
	shard(t, dir, ckpt.SingleFile, f32("a", 9))
	if g, err := ckpt.OpenDir(dir); err != nil || len(g.Tensors) != 1 {
		t.Errorf("with one file: %v", err)
	} else if err := g.Close(); err != nil {
		t.Error(err)
	}
}

func TestOpenDirBad(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string // text
		where map[string]string
		want  []string
	}{
		{"empty", nil, nil, []string{"has neither model.safetensors nor model.safetensors.index.json"}},
		{"pickle", map[string]string{"pytorch_model.bin": "PK"}, nil, []string{"pytorch_model.bin: is a PyTorch pickle", "convert it: python -c", "OUT is"}},
		{"shards of pickles", map[string]string{"pytorch_model.bin.index.json": "{}"}, nil, []string{"is a PyTorch pickle"}},
		{
			"adapter",
			map[string]string{"adapter_config.json": `{"base_model_name_or_path": "an/encoder"}`},
			nil,
			[]string{`is an adapter (adapter_config.json), not a whole model: merge it into its base model "an/encoder"`, "merge_and_unload"},
		},
		{"no JSON", map[string]string{ckpt.IndexFile: "{"}, nil, []string{"is not an index of shards"}},
		{"no tensor", map[string]string{ckpt.IndexFile: "{}"}, nil, []string{"weight_map names no tensor"}},
		{"missing shards", nil, map[string]string{"a": "one.safetensors", "b": "two.safetensors", "c": "three.safetensors"}, []string{"not whole", "two.safetensors is missing", "three.safetensors is missing"}},
		{"missing tensor", nil, map[string]string{"a": "one.safetensors", "z": "one.safetensors"}, []string{"one.safetensors: no tensor z, which model.safetensors.index.json says is there"}},
		{"tensor elsewhere", nil, map[string]string{"a": "one.safetensors", "b": "one.safetensors", "d": "other.safetensors"}, []string{"one.safetensors: no tensor b", "other.safetensors: tensor b, which model.safetensors.index.json says is in one.safetensors"}},
		{"unnamed tensor", nil, map[string]string{"a": "one.safetensors", "d": "other.safetensors"}, []string{"tensor b, which model.safetensors.index.json says is in no shard"}},
		{"another folder", nil, map[string]string{"a": "../one.safetensors"}, []string{`shard "../one.safetensors" is not a file of the index's directory`}},
		{"no safetensors", map[string]string{"two.safetensors": "not what it says it is, at all"}, map[string]string{"b": "two.safetensors"}, []string{"two.safetensors: is not safetensors"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			shard(t, dir, "one.safetensors", f32("a", 1))
			shard(t, dir, "other.safetensors", f32("b", 2), f32("d", 3))
			for name, text := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			if tc.where != nil {
				index(t, dir, tc.where)
			}
			_, err := ckpt.OpenDir(dir)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nlacks %q", err, want)
				}
			}
		})
	}
}

// TestAdapterFile: the tensors of an adapter are no model either.
func TestAdapterFile(t *testing.T) {
	dir := t.TempDir()
	shard(t, dir, "adapter_model.safetensors", f32("base_model.model.w.lora_A.weight", 1))
	_, err := ckpt.Open(filepath.Join(dir, "adapter_model.safetensors"))
	if err == nil || !strings.Contains(err.Error(), "is an adapter") {
		t.Errorf("error %v, want one that says what the file is", err)
	}
}
