package train_test

import (
	"fmt"
	"iter"
	"path/filepath"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/logs"
	"github.com/splice-ml/splice/train/task"
)

// sentence is a row of a textSource. Its text is tokens, 2 of which are special.
type sentence struct {
	tokens []int32
	label  float32
}

// textSource is rows of text in memory, in batches of the length of the longest one's bucket.
type textSource struct {
	schema  *data.Schema
	rows    []sentence
	shuffle bool
	name    string
	read    *int // batches that were made
}

func (s *textSource) Schema() *data.Schema { return s.schema }
func (s *textSource) Rows() int64          { return int64(len(s.rows)) }
func (s *textSource) Fingerprint() string  { return s.name }

func (s *textSource) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return s.BatchesFrom(epoch, size, 0)
}

func (s *textSource) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		order := make([]int, len(s.rows))
		for i := range order {
			order[i] = i
		}
		if s.shuffle {
			rng.New(rng.Key(1, "order", epoch)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		}
		for lo := skip * size; lo < len(order); lo += size {
			if s.read != nil {
				*s.read++
			}
			if !yield(s.batch(epoch, size, order[lo:min(lo+size, len(order))]), nil) {
				return
			}
		}
	}
}

func (s *textSource) batch(epoch, size int, rows []int) *data.Batch {
	longest := 0
	for _, r := range rows {
		longest = max(longest, len(s.rows[r].tokens))
	}
	i, _ := slices.BinarySearch(s.schema.Text.Lengths, longest)
	b := data.NewTokenBatch(s.schema, size, s.schema.Text.Lengths[i])
	b.N = len(rows)
	m := len(b.Tokens.At) / size
	for i, r := range rows {
		q := s.rows[r]
		copy(b.Tokens.IDs[i*b.Tokens.L:], q.tokens)
		b.Tokens.Len[i], b.Label[i], b.Row[i] = int32(len(q.tokens)), q.label, int64(r)
		for k := range min(m, len(q.tokens)/4) { // a masked language model: some tokens become token 3
			at := i*b.Tokens.L + rng.New(rng.Key(2, "mask", epoch*1000+r*10+k)).IntN(len(q.tokens))
			if b.Tokens.IDs[at] != 3 {
				b.Tokens.At[i*m+k], b.Tokens.Target[i*m+k] = int32(at), float32(b.Tokens.IDs[at])
				b.Tokens.IDs[at] = 3
			}
		}
	}
	return b
}

// texts returns parts whose label is 1 if most tokens are even. Lengths differ.
func texts(mask float64) *data.Splits {
	sc := &data.Schema{Text: &data.Text{Vocab: 24, Lengths: []int{4, 8, 16}, Labels: []string{"odd", "even"}, MaskRate: mask}}
	part := func(name string, n int) *textSource {
		s := &textSource{schema: sc, shuffle: name == "train", name: name}
		r := rng.New(rng.Key(1, name))
		for range n {
			q := sentence{tokens: make([]int32, 2+r.IntN(15))}
			even := 0
			for i := range q.tokens {
				q.tokens[i] = int32(4 + r.IntN(20))
				even += 1 - int(q.tokens[i])%2
			}
			if 2*even > len(q.tokens) {
				q.label = 1
			}
			s.rows = append(s.rows, q)
		}
		return s
	}
	return &data.Splits{Schema: sc, Train: part("train", 90), Valid: part("valid", 41), Test: part("test", 33)}
}

// bag is a text model: the mean of the tokens' embeddings, a hidden layer of the stem, and a head.
type bag struct {
	Dim    int
	Masked bool
	Linear bool // no activation in the stem
}

// bagPart is the stem or the head of a bag.
type bagPart func(s *nn.Scope, in *models.Inputs) *G.Node

func (p bagPart) Build(s *nn.Scope, in *models.Inputs) *G.Node { return p(s, in) }

func (m bag) Build(s *nn.Scope, in *models.Inputs) *G.Node {
	if m.Masked {
		q := in.Sequences(s)
		x := q.Embed(s, models.TokenTable{Weight: s.Param("embed.weight", nn.Normal(0.5), 24, m.Dim)})
		at := q.Masked(s)
		if s.Err() != nil {
			return nil
		}
		return nn.Linear(s.Sub("lm"), s.Check(ops.PickRows(x, at)), 24, kernel.None)
	}
	return m.head(s, in, m.stem(s, in))
}

func (m bag) stem(s *nn.Scope, in *models.Inputs) *G.Node {
	q := in.Sequences(s)
	x := q.Embed(s, models.TokenTable{Weight: s.Param("embed.weight", nn.Normal(0.5), 24, m.Dim)})
	if s.Err() != nil {
		return nil
	}
	act := kernel.Tanh
	if m.Linear {
		act = kernel.None
	}
	return nn.Linear(s.Sub("layer"), s.Check(ops.MeanTokens(x, q.Live)), 2*m.Dim, act)
}

func (m bag) head(s *nn.Scope, in *models.Inputs, x *G.Node) *G.Node {
	h := s.Sub("head")
	return nn.Linear(h, nn.Dropout(h, x, 0.1), 2, kernel.None)
}

func (m bag) Stem() models.Model { return bagPart(m.stem) }

func (m bag) Head() models.Model {
	return bagPart(func(s *nn.Scope, in *models.Inputs) *G.Node { return m.head(s, in, in.Features(s, 2*m.Dim)) })
}

// Layer makes the embeddings layer 0, the hidden layer 1 and the head 2.
func (m bag) Layer(name string) (layer, layers int) {
	switch name {
	case "embed.weight":
		return 0, 2
	case "layer.weight", "layer.bias":
		return 1, 2
	}
	return 2, 2
}

// reader returns a trainer of a bag.
func reader(t *testing.T, dir string) *train.Trainer {
	t.Helper()
	o := train.Defaults()
	o.BatchSize, o.Epochs, o.LearningRate = 8, 4, 0.02
	tk, _ := task.Registry.Default("classification")
	return &train.Trainer{
		Options: o, Task: tk, Data: texts(0), Seed: 3, Dir: dir, Digest: "d", Params: nn.NewParams(3), Model: bag{Dim: 6},
		CacheDir:  filepath.Join(dir, "cache"),
		Callbacks: []train.Callback{&logs.JSONL{Path: filepath.Join(dir, "metrics.jsonl"), LogSteps: 5}},
	}
}

func TestTextLearns(t *testing.T) {
	old := kernel.Threads()
	defer kernel.SetThreads(old)
	var want string
	for _, threads := range []int{1, 3} {
		kernel.SetThreads(threads)
		dir := t.TempDir()
		tr := reader(t, dir)
		tr.Epochs, tr.EMA = 12, 0.9
		tr.Patience = 0
		r, err := tr.Fit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if r.Valid["accuracy"] < 0.8 || r.Averages["ema"]["accuracy"] == 0 {
			t.Errorf("accuracy %v, of averages %v; want at least 0.8", r.Valid, r.Averages)
		}
		got := fmt.Sprint(r.Valid, r.Test, r.Averages, model(t, dir))
		if want == "" {
			want = got
		} else if got != want {
			t.Error("another number of threads gives another model")
		}
	}
}

func TestMaskedLMLearns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tr := reader(t, dir)
	tr.Model, tr.Data = bag{Dim: 6, Masked: true}, texts(0.3)
	tr.Task, _ = task.Registry.Default("masked_lm")
	tr.GradientAccumulation, tr.Patience = 2, 0
	r, err := tr.Fit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Masked tokens say nothing of themselves: the best guess is about one of the 20 ids.
	if p := r.Test["perplexity"]; p < 15 || p > 30 || r.Test["accuracy"] > 0.4 {
		t.Errorf("metrics %v, want a perplexity of about 20", r.Test)
	}
	if tr.Monitor != "" || r.BestEpoch < 1 {
		t.Errorf("best epoch %d by cross-entropy", r.BestEpoch)
	}
}
