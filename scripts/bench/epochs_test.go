package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/set"
)

// TestServeEpochs has epochs of a small model, and the rows that PyTorch reads.
func TestServeEpochs(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "clicks.tsv")
	if _, err := set.SynthFile(t.Context(), file, set.SynthOptions{Rows: 1000, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	args := []string{"-config", filepath.Join("..", "..", "configs", "criteo_deepfm.yaml"), "-dir", filepath.Join(dir, "x"), "-export", filepath.Join(dir, "rows"), "-threads", "1"}
	for _, s := range []string{
		"data.path=" + file, "data.fallback=none", "data.categorical.min_count=1", "model.hidden_units=[4]", "model.embedding_dim=2",
		"train.batch_size=100", "train.epochs=100000", "train.patience=0", "train.keep=last", "train.schedule={type: constant}",
	} {
		args = append(args, "-set", s)
	}
	var out bytes.Buffer
	if err := serveEpochs(t.Context(), args, strings.NewReader("go\ngo\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || lines[0] != "ready" {
		t.Fatalf("answers %q, want ready and two turns", lines)
	}
	for _, l := range lines[1:] {
		if _, err := answer(l); err != nil {
			t.Error(err)
		}
	}
	var about described
	if err := json.Unmarshal(must(os.ReadFile(filepath.Join(dir, "rows", "rows.json"))), &about); err != nil {
		t.Fatal(err)
	}
	if about.Rows != 800 || len(about.Fields) != 26 || about.Dense != 13 || about.Vocab != 0 {
		t.Errorf("%+v", about)
	}
	for name, size := range map[string]int{"ids": 4 * 26 * 800, "dense": 4 * 13 * 800, "labels": 4 * 800, "lengths": 0} {
		if n := len(must(os.ReadFile(filepath.Join(dir, "rows", name)))); n != size {
			t.Errorf("%s has %d bytes, want %d", name, n, size)
		}
	}
	if err := serveEpochs(t.Context(), append(args, "-set", "train.nothing=1"), strings.NewReader(""), &out); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("error %v", err)
	}
}

// The rows are written in the order of the columns, tokens without padding.
func TestExportRows(t *testing.T) {
	dir := t.TempDir()
	sc := &data.Schema{Text: &data.Text{Vocab: 9, Lengths: []int{3}, Labels: []string{"a", "b"}}}
	b := data.NewTokenBatch(sc, 3, 3)
	b.N = 2
	copy(b.Tokens.IDs, []int32{5, 6, 0, 7, 8, 4})
	copy(b.Tokens.Len, []int32{2, 3})
	copy(b.Label, []float32{1, 0})
	if err := exportRows(dir, fixed{sc, b}, 3); err != nil {
		t.Fatal(err)
	}
	if got, want := int32s(t, dir, "ids"), []int32{5, 6, 7, 8, 4}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if got, want := int32s(t, dir, "lengths"), []int32{2, 3}; !slices.Equal(got, want) {
		t.Errorf("lengths %v, want %v", got, want)
	}
	cats := &data.Schema{NumDense: 1, Features: []data.Feature{{Name: "z", Kind: data.Categorical, Vocab: 30}, {Name: "n", Kind: data.Numeric}, {Name: "a", Kind: data.Categorical, Vocab: 40}}}
	b = data.NewBatch(cats, 2)
	b.N = 2
	copy(b.IDs["z"], []int32{1, 2})
	copy(b.IDs["a"], []int32{11, 12})
	if err := exportRows(dir, fixed{cats, b}, 2); err != nil {
		t.Fatal(err)
	}
	if got, want := int32s(t, dir, "ids"), []int32{1, 11, 2, 12}; !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
	if got, want := string(must(os.ReadFile(filepath.Join(dir, "rows.json")))), `{"rows":2,"fields":[30,40],"dense":1,"vocab":0}`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	multi := &data.Schema{Features: []data.Feature{{Name: "tags", Kind: data.Multi, MaxLen: 2, Vocab: 9}}}
	if err := exportRows(dir, fixed{multi, nil}, 2); err == nil || !strings.HasPrefix(err.Error(), "tags: only") {
		t.Errorf("error %v", err)
	}
}

func int32s(t *testing.T, dir, name string) []int32 {
	t.Helper()
	text := must(os.ReadFile(filepath.Join(dir, name)))
	out := make([]int32, len(text)/4)
	if err := binary.Read(bytes.NewReader(text), binary.LittleEndian, out); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", name, err))
	}
	return out
}

// fixed is a source of one batch.
type fixed struct {
	schema *data.Schema
	batch  *data.Batch
}

func (f fixed) Schema() *data.Schema { return f.schema }
func (f fixed) Rows() int64          { return -1 }
func (f fixed) Batches(int, int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) { yield(f.batch, nil) }
}
