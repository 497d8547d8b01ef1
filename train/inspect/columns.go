package inspect

import (
	"slices"

	"github.com/splice-ml/splice/data"
)

// Column is what is permuted at once: one input, or several that belong together.
type Column struct {
	Name     string
	Features []string // of the schema
	Together string   // why there are several; empty for one
	Shares   []string // other columns whose tokens are of the same embedding table, and which are permuted apart
}

// Columns returns the inputs of a model of rows of a schema, in their order. Features that follow from another one, or are read from the same
// column of the file, are one column, and so are all histories.
func Columns(m *data.FeatureMap, sc *data.Schema) []Column {
	type root struct{ kind, name string }
	rootOf := func(f *data.Feature) root {
		if f.Kind == data.Sequence {
			return root{kind: "histories"}
		}
		name := f.Name
		for range 2 { // what a feature follows from follows from no other
			i := slices.IndexFunc(m.Features, func(of data.MapFeature) bool { return of.Name == name })
			switch {
			case i < 0:
				return root{"column", name}
			case m.Features[i].From == "":
				return root{"column", m.Features[i].Source()}
			}
			name = m.Features[i].From
		}
		return root{"column", name}
	}
	var list []Column
	at := map[root]int{}
	tables := map[string][]int{}
	for i := range sc.Features {
		f := &sc.Features[i]
		key := rootOf(f)
		k, ok := at[key]
		if !ok {
			k = len(list)
			at[key] = k
			list = append(list, Column{Name: f.Name})
		}
		c := &list[k]
		c.Features = append(c.Features, f.Name)
		if len(c.Features) > 1 {
			c.Name, c.Together = key.name, "of one column of the data"
			if key.kind == "histories" {
				c.Name, c.Together = key.kind, "of one user"
			}
		}
		if f.Kind != data.Numeric && !slices.Contains(tables[f.Table], k) {
			tables[f.Table] = append(tables[f.Table], k)
		}
	}
	for i := range sc.Features {
		f := &sc.Features[i]
		if f.Kind == data.Numeric {
			continue
		}
		k := at[rootOf(f)]
		for _, other := range tables[f.Table] {
			if name := list[other].Name; other != k && !slices.Contains(list[k].Shares, name) {
				list[k].Shares = append(list[k].Shares, name)
			}
		}
	}
	return list
}
