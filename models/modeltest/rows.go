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
				b.Dense[i*sc.NumDense+f.Column] = float32(r.NormFloat64())
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
