package models

import (
	"fmt"
	"math/rand/v2"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
)

// Inputs is what a model sees of a batch.
type Inputs struct {
	Schema *data.Schema
	// Label holds the labels, [B, 1]. For a masked language model it is [B·M, 1]: a row for each token to predict, -1 for none.
	Label *G.Node
	// EmbeddingStd is the standard deviation of fresh embeddings. A model sets it before its lookups if it wants another than FuxiCTR's.
	EmbeddingStd float64
	// ItemDropout is the dropped share of the items' vectors in training, of histories that are looked up by Sequence and of what a catalogue
	// compares their states with. What is dropped of an item at a step is the same wherever it stands. A model sets it before its lookups.
	ItemDropout float64
	// Weight holds the weights of the rows in the loss, [B, 1]; nil if all are 1.
	Weight *G.Node
	plan   *embed.Plan
	label  []float32 // the values of Label
	weight []float32 // those of Weight
	labels []ownLabel

	length    int                       // positions of a sequence, of text or of a history
	seq       *Sequences                // nil unless the model reads text
	histories []*History                // that the model reads
	catalogue *Catalogue                // what a model of next items leaves to the loss; nil for others
	within    *Catalogue                // of a loss beside that of the task; nil without one
	losses    G.Nodes                   // losses beside that of the task
	whole     bool                      // tables of histories are weights of the graph
	tables    map[string]*G.Node        // those, by their names; with ItemDropout, after it
	inside    []TableUse                // those
	build     func(s *nn.Scope) *G.Node // builds the model again over the same inputs
	passes    []pass                    // those after the first
	features  []float32                 // nil unless the model starts from features
}

// embeddingStd is FuxiCTR's default standard deviation of a fresh embedding.
const embeddingStd = 1e-4

func (in *Inputs) std() float64 {
	if in.EmbeddingStd > 0 {
		return in.EmbeddingStd
	}
	return embeddingStd
}

// Embeddings returns the embeddings of all features side by side, [B, F·dim], in the schema's order. The table of feature f is
// <name>.f.weight, [vocabulary, dim], whose row 0, the padding, stays zero. A numeric feature has one vector instead, which its
// value scales. A multi-valued feature has the mean or the sum of its values' embeddings. Features of other widths come behind the others, and
// then vectors and embeddings that are mapped to another width: the result is as wide as they are together.
func (in *Inputs) Embeddings(s *nn.Scope, name string, dim int) *G.Node {
	return in.embed(s, name, name, dim, in.all())
}

// Linear returns the first-order term of all features plus a bias, [B, 1]. The weights of feature f are <name>.f.weight,
// [vocabulary, 1]; the bias is <name>.bias.
func (in *Inputs) Linear(s *nn.Scope, name string) *G.Node {
	l := &embed.Lookup{Dim: 1, Reduce: true}
	sub := s.Sub(name)
	var single []*data.Feature
	for _, f := range in.all() {
		if f.Count == 0 {
			single = append(single, f)
		}
	}
	vectors := in.linearOfVectors(s, name)
	sp := []nn.Space{s.Fixed(1)}
	if len(single) > 0 || len(vectors) == 0 {
		sp = in.fields(sub, l, nn.Normal(in.std()), single...)
	}
	if s.Err() != nil {
		return nil
	}
	if l.Bias = sub.Table("bias", nn.Weight, 1, 1, nn.Zeros); l.Bias != nil {
		l.Bias.Embedding = false
		l.BiasDerived, l.BiasFrozen = derived(sub, l.Bias)
		sub.Along("bias", 1, sp[0])
	}
	s.Tie(sp...)
	y := s.Columns(in.add(s, name, l), sp[0])
	if len(vectors) == 0 {
		return y
	}
	return nn.Add(s, append(vectors, y)...)
}

// all returns all features.
func (in *Inputs) all() []*data.Feature {
	var out []*data.Feature
	for i := range in.Schema.Features {
		out = append(out, &in.Schema.Features[i])
	}
	return out
}

// fields adds a field for each of the features to l, and returns the spaces of their columns.
func (in *Inputs) fields(s *nn.Scope, l *embed.Lookup, init nn.Init, features ...*data.Feature) []nn.Space {
	var spaces []nn.Space
	if len(features) == 0 {
		s.Fail(fmt.Errorf("the data has no features"))
	}
	for _, f := range features {
		rows, kind, table := f.Vocab, nn.Table, f.Table
		if table == "" {
			table = f.Name
		}
		fill := paddedRow(init)
		if f.Kind == data.Numeric {
			rows, kind, fill = 1, nn.Weight, init
			if f.InitStd > 0 && !l.Reduce {
				fill = nn.Normal(f.InitStd)
			}
		}
		if f.Dim > 0 && f.Dim != l.Dim && !l.Reduce {
			s.Fail(fmt.Errorf("column %s has embeddings of width %d, and the model needs %d here: leave embedding_dim out, or set pretrained.project", f.Name, f.Dim, l.Dim))
			return nil
		}
		full := table + ".weight"
		p := s.Table(full, kind, rows, l.Dim, fill)
		d, frozen := derived(s, p)
		frozen = frozen || f.Frozen && d == nil && !l.Reduce
		pool := embed.Mean
		if f.Pool == data.PoolSum {
			pool = embed.Sum
		}
		l.Fields = append(l.Fields, embed.Field{Feature: f, Param: p, Pool: pool, Derived: d, Frozen: frozen})
		sp := s.Sub(table).Units(l.Dim)
		s.Along(full, 0, s.Fixed(rows))
		s.Along(full, 1, sp)
		spaces = append(spaces, sp)
	}
	return spaces
}

// derived returns how a lookup's parameter is computed, or nil if it is trained as it is. It also reports whether what is trained,
// the parameter or what stands in its place, is frozen.
func derived(s *nn.Scope, p *nn.Param) (*nn.Derived, bool) {
	if p == nil {
		return nil, false
	}
	d, trained := s.Derived(p), p
	if d != nil {
		trained = d.From
	}
	return d, trained == nil || s.Frozen != nil && s.Frozen(trained.Name)
}

// paddedRow is init with row 0, the padding, at zero.
func paddedRow(init nn.Init) nn.Init {
	return func(r *rand.Rand, shape []int, dst []float32) {
		init(r, shape, dst)
		clear(dst[:shape[1]])
	}
}

func (in *Inputs) add(s *nn.Scope, name string, l *embed.Lookup) *G.Node {
	if s.Err() != nil {
		return nil
	}
	width := l.Dim * len(l.Fields)
	if l.Reduce {
		width = l.Dim
	}
	node, leaf := s.Input(name, s.Batch, width)
	if node != nil && !s.IsAgain() {
		in.plan.Add(l, node, leaf)
	}
	return node
}
