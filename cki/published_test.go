package cki_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/text"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// raw is a tensor of a type; values are those of a type of floating point numbers.
func raw(t *testing.T, name string, d ckpt.DType, shape []int, values ...float32) ckpt.Tensor {
	t.Helper()
	x := ckpt.Tensor{Name: name, Shape: shape, DType: d}
	if !d.IsFloat() {
		for _, v := range values {
			x.Raw = append(x.Raw, binary.LittleEndian.AppendUint64(nil, uint64(v))[:d.Size()]...)
		}
		return x
	}
	var err error
	if x.Raw, err = d.AppendFloats(nil, values); err != nil {
		t.Fatal(err)
	}
	return x
}

// published writes a Hugging Face directory and opens it as a parent. No tokens: no tokenizer.
func published(t *testing.T, config string, tokens []string, tensors ...ckpt.Tensor) *cki.Parent {
	t.Helper()
	dir := t.TempDir()
	if err := ckpt.Save(filepath.Join(dir, run.ModelFile), &ckpt.Checkpoint{Tensors: tensors}); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{run.ModelConfigFile: config}
	if tokens != nil {
		files["vocab.txt"] = strings.Join(tokens, "\n") + "\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	p, err := cki.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// merged is the mean of parents as a file.
func merged(t *testing.T, selected func(string) bool, parents ...*cki.Parent) *ckpt.File {
	t.Helper()
	if err := cki.Reconcile(parents); err != nil {
		t.Fatal(err)
	}
	if err := cki.Check(parents); err != nil {
		t.Fatal(err)
	}
	in := &cki.Input{Parents: parents, Select: selected}
	path := filepath.Join(t.TempDir(), "merged.safetensors")
	if err := in.Write(path, mean, nil); err != nil {
		t.Fatal(err)
	}
	f, err := ckpt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// want compares a tensor of a file.
func want(t *testing.T, f *ckpt.File, x ckpt.Tensor) {
	t.Helper()
	info := f.Info(x.Name)
	if info == nil {
		t.Errorf("no tensor %s", x.Name)
		return
	}
	got, err := f.Raw(x.Name)
	if err != nil || info.DType != x.DType || !bytes.Equal(got, x.Raw) {
		t.Errorf("%s: %s %x, %v; want %s %x", x.Name, info.DType, got, err, x.DType, x.Raw)
	}
}

// TestTypes: the result has the base's types, and of integers, booleans and buffers the base's values, whatever the others have.
func TestTypes(t *testing.T) {
	two := []int{2}
	big := raw(t, "step", ckpt.I64, nil, 1<<24)
	big.Raw[0] = 1 // 2^24 + 1, which float32 cannot hold
	base := []ckpt.Tensor{
		big, raw(t, "mask", ckpt.Bool, two, 1, 0), raw(t, "embeddings.position_ids", ckpt.I64, two, 0, 1), raw(t, "scale", ckpt.U8, nil, 9),
		raw(t, "inv_freq", ckpt.F32, two, .1, .2),
		raw(t, "d", ckpt.F64, two, 1, 2), raw(t, "f", ckpt.F32, two, 1, 2), raw(t, "h", ckpt.F16, two, 1, 2), raw(t, "b", ckpt.BF16, two, 1, 2),
		raw(t, "x.h", ckpt.F64, two, .1, .3),
	}
	base[9].Raw[0] = 1 // a bit that float32 does not have
	other := []ckpt.Tensor{
		raw(t, "step", ckpt.I64, nil, 5), raw(t, "mask", ckpt.Bool, []int{3}, 0, 1, 1), raw(t, "more_ids", ckpt.I32, nil, 3),
		raw(t, "d", ckpt.F32, two, 2, 3), raw(t, "f", ckpt.F16, two, 2, 3), raw(t, "h", ckpt.F32, two, 2, 3), raw(t, "b", ckpt.F64, two, 2, 3),
		raw(t, "x.h", ckpt.BF16, two, 7, 8),
	}
	f := merged(t, func(name string) bool { return name != "x.h" }, published(t, "{}", nil, base...), published(t, "{}", nil, other...))
	for _, x := range base[:5] {
		want(t, f, x)
	}
	for _, d := range []ckpt.DType{ckpt.F64, ckpt.F32, ckpt.F16, ckpt.BF16} {
		want(t, f, raw(t, map[ckpt.DType]string{ckpt.F64: "d", ckpt.F32: "f", ckpt.F16: "h", ckpt.BF16: "b"}[d], d, two, 1.5, 2.5))
	}
	want(t, f, base[9])
	if len(f.Tensors) != len(base) {
		t.Errorf("%d tensors, want %d", len(f.Tensors), len(base))
	}
	if _, err := cki.Digest(published(t, "{}", nil, base...)); err != nil {
		t.Errorf("digest: %v", err)
	}
	quantized := []*cki.Parent{
		published(t, "{}", nil, raw(t, "w", ckpt.F16, two, 1, 2)), published(t, "{}", nil, raw(t, "w", ckpt.I8, two, 1, 2)),
	}
	if err := cki.Reconcile(quantized); err != nil {
		t.Fatal(err)
	}
	if err := cki.Check(quantized); err == nil || !strings.Contains(err.Error(), "dequantize") {
		t.Errorf("integers with floating point numbers: %v", err)
	}
}

// TestNames: a parent's tensors are found with and without the model's prefix, by the names of earlier releases, and tied ones under
// either name.
func TestNames(t *testing.T) {
	for _, tc := range []struct {
		name        string
		base, other []string
	}{
		{"with the prefix", []string{"bert.a.w", "bert.b", "classifier.weight"}, []string{"a.w", "b", "classifier.weight"}},
		{"without the prefix", []string{"a.w", "b"}, []string{"roberta.a.w", "roberta.b"}},
		{"wrapped", []string{"bert.a.w", "bert.b"}, []string{"module.bert.a.w", "module.bert.b"}},
		{
			"earlier releases",
			[]string{"bert.x.LayerNorm.weight", "bert.x.LayerNorm.bias"},
			[]string{"x.LayerNorm.gamma", "x.LayerNorm.beta"},
		},
		{"earlier base", []string{"x.LayerNorm.gamma", "x.LayerNorm.beta"}, []string{"x.LayerNorm.weight", "x.LayerNorm.bias"}},
		{
			"tied",
			[]string{"bert.embeddings.word_embeddings.weight", "cls.predictions.bias"},
			[]string{"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"},
		},
		{
			"tied the other way round",
			[]string{"lm_head.decoder.weight", "lm_head.decoder.bias"},
			[]string{"embeddings.word_embeddings.weight", "lm_head.bias"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var base, other, right []ckpt.Tensor
			for i := range tc.base {
				x, y := float32(i+1), float32(10*i+20)
				base = append(base, raw(t, tc.base[i], ckpt.F32, []int{1}, x))
				other = append(other, raw(t, tc.other[i], ckpt.F32, []int{1}, y))
				right = append(right, raw(t, tc.base[i], ckpt.F32, []int{1}, (x+y)/2))
			}
			f := merged(t, nil, published(t, "{}", nil, base...), published(t, "{}", nil, other...))
			for _, x := range right {
				want(t, f, x)
			}
		})
	}
	// Both names of a tied tensor are one tensor. What has no place in the base is said, and what it lacks.
	word := raw(t, "bert.embeddings.word_embeddings.weight", ckpt.F32, []int{1, 1}, 1)
	f := merged(t, nil, published(t, "{}", nil, word),
		published(t, "{}", nil, word, raw(t, "cls.predictions.decoder.weight", ckpt.F32, []int{1, 1}, 1)))
	if len(f.Tensors) != 1 {
		t.Errorf("tensors %v", f.Tensors)
	}
	parents := []*cki.Parent{
		published(t, "{}", nil, word, raw(t, "a.w", ckpt.F32, nil, 1)), published(t, "{}", nil, word, raw(t, "b.w", ckpt.F32, nil, 1)),
	}
	if err := cki.Reconcile(parents); err != nil {
		t.Fatal(err)
	}
	err := cki.Check(parents)
	for _, part := range []string{"tensor b.w []: parent", "tensor a.w is missing"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v lacks %q", err, part)
		}
	}
}

// TestClasses: rows of a head are matched by the names of the classes, and other names refused; so are tokenizers whose ids mean other
// tokens.
func TestClasses(t *testing.T) {
	config := func(names ...string) string {
		var ids []string
		for i, name := range names {
			ids = append(ids, fmt.Sprintf("%q: %q", fmt.Sprint(i), name))
		}
		return `{"id2label": {` + strings.Join(ids, ", ") + "}}"
	}
	head := func(name string, values ...float32) ckpt.Tensor {
		return raw(t, name, ckpt.F16, []int{3, 1}, values...)
	}
	square := func(values ...float32) ckpt.Tensor {
		return raw(t, "classifier.dense.weight", ckpt.F32, []int{3, 1}, values...)
	}
	for _, name := range []string{"classifier.weight", "classifier.out_proj.weight"} {
		a := published(t, config("no", "maybe", "yes"), nil, head(name, 1, 2, 3), square(1, 2, 3))
		b := published(t, config("YES", "NO", "MAYBE"), nil, head(name, 30, 10, 20), square(3, 2, 1))
		f := merged(t, nil, a, b)
		want(t, f, head(name, 5.5, 11, 16.5))
		want(t, f, square(2, 2, 2))
		// The data may have a third order.
		d := &data.Splits{Schema: &data.Schema{Text: &data.Text{Labels: []string{"yes", "no", "maybe"}}}}
		parents, err := cki.ToData([]*cki.Parent{a, b}, d, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		for i, right := range [][]float32{{3, 1, 2}, {30, 10, 20}} {
			got := make([]float32, 3)
			if err := parents[i].ReadRows(name, 0, 3, got); err != nil || !slices.Equal(got, right) {
				t.Errorf("%s of parent %d for the data: %v, %v; want %v", name, i, got, err, right)
			}
		}
	}
	refused := func(want string, a, b *cki.Parent) {
		t.Helper()
		if err := cki.Reconcile([]*cki.Parent{a, b}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	x := head("classifier.weight", 1, 2, 3)
	refused("its head is for the classes no, maybe, sure, not for no, maybe, yes",
		published(t, config("no", "maybe", "yes"), nil, x), published(t, config("no", "maybe", "sure"), nil, x))
	special := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
	refused(`id 5 is "b" to one and "a" to the other`,
		published(t, `{}`, append(slices.Clone(special), "a", "b"), x), published(t, `{}`, append(slices.Clone(special), "b", "a"), x))
	refused(`its config.json has num_attention_heads 4, not the 2 of parent`,
		published(t, `{"num_attention_heads": 2}`, special, x), published(t, `{"num_attention_heads": 4}`, special, x))
	refused(`its config.json has hidden_act relu, not the gelu of parent`,
		published(t, `{"hidden_act": "gelu"}`, nil, x), published(t, `{"hidden_act": "relu"}`, nil, x))
	lower, cased := published(t, `{}`, append(slices.Clone(special), "a", "A"), x), published(t, `{}`, append(slices.Clone(special), "a", "A"), x)
	if err := os.WriteFile(filepath.Join(cased.Published, "tokenizer_config.json"), []byte(`{"do_lower_case": false}`), 0o666); err != nil {
		t.Fatal(err)
	}
	refused(`"A" has the ids [2 6 3] to one and [2 5 3] to the other, for instance since one of them makes lower case of it`, lower, cased)
	merged(t, nil, published(t, config("LABEL_0", "LABEL_1", "LABEL_2"), special, x), published(t, config("a", "b", "c"), special, x))
	y := raw(t, "bert.w", ckpt.F32, nil, 1) // no head
	merged(t, nil, published(t, config("a", "b"), nil, y), published(t, config("b", "c"), nil, y))
}

// TestImport: parents of a known model are shown by its names, without what it does not need.
func TestImport(t *testing.T) {
	word := raw(t, "cls.predictions.decoder.weight", ckpt.F32, []int{2, 1}, 1, 2)
	p := published(t, "{}", nil, word, raw(t, "embeddings.LayerNorm.beta", ckpt.F32, []int{1}, 3), raw(t, "embeddings.position_ids", ckpt.I64, nil, 0),
		raw(t, "cls.predictions.bias", ckpt.F32, []int{1}, 4))
	cki.Import([]*cki.Parent{p}, &text.BERT{})
	have := map[string][]float32{"bert.embeddings.word_embeddings.weight": {1, 2}, "bert.embeddings.LayerNorm.bias": {3}}
	q := nn.NewParams(0)
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if err := q.Add(&nn.Param{Name: name, Shape: []int{len(have[name])}, Data: make([]float32, len(have[name]))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := cki.Load(p, q); err != nil {
		t.Fatal(err)
	}
	for name, x := range have {
		if got := q.Get(name).Data; !slices.Equal(got, x) {
			t.Errorf("%s: %v, want %v", name, got, x)
		}
	}
	if _, ok := p.Reader.(io.Closer); !ok {
		t.Error("the parent's file cannot be closed")
	}
}
