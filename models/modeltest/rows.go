package modeltest

import (
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// Schema returns a small schema with every kind of feature, two of which share a table.
func Schema() *data.Schema {
	return &data.Schema{NumDense: 2, Features: []data.Feature{
		{Name: "n1", Kind: data.Numeric, Column: 0, Table: "n1"},
		{Name: "n2", Kind: data.Numeric, Column: 1, Table: "n2"},
		{Name: "a", Kind: data.Categorical, Vocab: 7, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 30, Table: "bc"},
		{Name: "c", Kind: data.Categorical, Vocab: 30, Table: "bc"},
		{Name: "m", Kind: data.Multi, Vocab: 12, MaxLen: 3, Table: "m"},
		{Name: "s", Kind: data.Multi, Vocab: 9, MaxLen: 4, Table: "s", Pool: data.PoolSum},
	}}
}

// Labelled returns the schema of rows with a click, and with a conversion of some of them, and with weights.
func Labelled() *data.Schema {
	sc := Schema()
	sc.Labels, sc.HasWeight = []data.Label{{Name: "click"}, {Name: "conversion"}}, true
	return sc
}

// Widths returns a schema of columns of several widths: a number's vector, tables, one that two columns share and a linear map takes to the model's
// width, one that is frozen, and vectors with and without a map.
func Widths() *data.Schema {
	s := &data.Schema{Features: append(Products().Features,
		data.Feature{Name: "n3", Kind: data.Numeric, Dim: 3},
		data.Feature{Name: "w", Kind: data.Categorical, Vocab: 11, Table: "w", Dim: 2},
		data.Feature{Name: "m2", Kind: data.Multi, Vocab: 12, MaxLen: 3, Table: "m2", Dim: 3},
		data.Feature{Name: "u", Kind: data.Numeric, Count: 3},
		data.Feature{Name: "v2", Kind: data.Numeric, Count: 4, Project: true, Dim: 2})}
	return placed(s)
}

// Products returns a schema of columns of other widths all of which enter the model with its width.
func Products() *data.Schema {
	return placed(&data.Schema{Features: []data.Feature{
		{Name: "n1", Kind: data.Numeric, InitStd: .1},
		{Name: "v", Kind: data.Numeric, Count: 5, Project: true},
		{Name: "a", Kind: data.Categorical, Vocab: 7, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 30, Table: "bc", Dim: 6, Project: true},
		{Name: "c", Kind: data.Categorical, Vocab: 30, Table: "bc", Dim: 6, Project: true},
		{Name: "m", Kind: data.Multi, Vocab: 12, MaxLen: 3, Table: "m", Dim: 9, Project: true, Frozen: true},
	}})
}

// placed gives the numbers of a schema their columns.
func placed(s *data.Schema) *data.Schema {
	s.NumDense = 0
	for i := range s.Features {
		if f := &s.Features[i]; f.Kind == data.Numeric {
			f.Table, f.Column = f.Name, s.NumDense
			s.NumDense += f.Numbers()
		}
	}
	return s
}

// Given returns [Histories] with wider embeddings of items, which are frozen and mapped to the model's width.
func Given() *data.Schema {
	s := Histories()
	for i := range s.Features[:2] {
		f := &s.Features[i]
		f.Dim, f.Project, f.Frozen = 11, true, true
	}
	return s
}

// Histories returns the schema of an item and the history before it, which share a table, and of a column beside them.
func Histories() *data.Schema {
	return &data.Schema{Features: []data.Feature{
		{Name: "item", Kind: data.Categorical, Vocab: 23, Table: "item"},
		{Name: "history", Kind: data.Sequence, Vocab: 23, MaxLen: 9, Table: "item"},
		{Name: "place", Kind: data.Categorical, Vocab: 5, Table: "place"},
	}}
}

// Sided returns a schema of histories with the columns category and history_category beside the item's and the history's.
func Sided(sc *data.Schema) *data.Schema {
	s := *sc
	s.Features = append(slices.Clone(s.Features), data.Feature{Name: "category", Kind: data.Categorical, Vocab: 6, Table: "category"},
		data.Feature{Name: "history_category", Kind: data.Sequence, Vocab: 6, MaxLen: 9, Table: "category"})
	return &s
}

// Batch returns n random rows in a batch of size rows. The rows depend on seed only, not on size.
func Batch(sc *data.Schema, n, size int, seed uint64) *data.Batch {
	if sc.Text != nil {
		return sentences(sc, n, size, seed)
	}
	b := data.NewBatch(sc, size)
	b.N = n
	r := rng.New(rng.Key(seed, "modeltest"))
	for i := range n {
		for _, f := range sc.Features {
			switch f.Kind {
			case data.Numeric:
				for k := range f.Numbers() {
					b.Dense[i*sc.NumDense+f.Column+k] = float32(r.NormFloat64())
				}
			case data.Categorical:
				b.IDs[f.Name][i] = int32(r.IntN(f.Vocab))
			case data.Multi, data.Sequence:
				for k := range r.IntN(f.MaxLen + 1) {
					b.IDs[f.Name][i*f.MaxLen+k] = int32(1 + r.IntN(f.Vocab-1))
				}
			}
		}
		b.Label[i] = float32(r.IntN(2))
		for k := 1; k < len(b.Labels); k++ {
			b.Labels[k][i] = b.Label[i] * float32(r.IntN(2))
			if r.IntN(5) == 0 {
				b.Labels[k][i] = float32(math.NaN())
			}
		}
		if b.Weight != nil {
			b.Weight[i] = float32(r.IntN(5)) / 2
		}
		if f := sc.Features; f[0].Kind == data.Sequence {
			next(b, i, &f[0])
		}
	}
	return b
}

// next makes row i a history in which each item tells the next one, which the label is.
func next(b *data.Batch, i int, f *data.Feature) {
	row := b.IDs[f.Name][i*f.MaxLen : (i+1)*f.MaxLen]
	id := int32(2 + i%(f.Vocab-2))
	for k := range row {
		if row[k] == data.PadID {
			break
		}
		row[k] = id
		id = 2 + (id+5)%int32(f.Vocab-2)
	}
	b.Label[i] = float32(id)
}
