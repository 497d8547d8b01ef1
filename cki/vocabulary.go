package cki

import (
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
)

// Fill says which values a row gets whose token the parent does not know.
type Fill uint8

const (
	FillOOV   Fill = iota // the parent's row of unknown tokens: the parent behaves as it does on its own
	FillOther             // the row of the first other parent that knows the token: the parent has no say
)

// Remap returns the parents as models that read rows with the feature map to: rows of embedding tables are matched by token. A
// parent is returned as it is if it has no feature map, or if its vocabularies are those of to.
func Remap(parents []*Parent, to *data.FeatureMap, fill Fill) []*Parent {
	out := make([]*Parent, len(parents))
	for i, p := range parents {
		out[i] = p
		if to == nil || p.Map == nil || p.Map.Digest() == to.Digest() {
			continue
		}
		out[i] = remap(parents, i, to, fill)
	}
	return out
}

// remapped is a parent seen through another feature map.
type remapped struct {
	*Parent
	infos  []ckpt.Info
	tables map[string]*rowSource
}

// rowSource says where the rows of one table come from.
type rowSource struct {
	parent []int32 // by row: which reader
	row    []int32 // and which of its rows
	from   []*Parent
}

func remap(parents []*Parent, k int, to *data.FeatureMap, fill Fill) *Parent {
	p := parents[k]
	r := &remapped{Parent: p, tables: map[string]*rowSource{}}
	counts := Counts{}
	for _, t := range p.Tensors() {
		v := vocabularyOf(p.Map, t.Name, t.Shape)
		if v == nil || to.Table(v.Name) == nil {
			r.infos = append(r.infos, t)
			continue
		}
		want := to.Table(v.Name)
		src := &rowSource{from: parents, row: data.RowMap(v, want), parent: make([]int32, want.Size())}
		known := make([]bool, want.Size())
		for i, row := range src.row {
			src.parent[i], known[i] = int32(k), row >= 0
		}
		if fill == FillOther {
			for j, q := range parents {
				u := TableOf(q, t.Name)
				if j == k || u == nil {
					continue
				}
				for i, row := range data.RowMap(u, want) {
					if src.row[i] < 0 && row >= 0 {
						src.parent[i], src.row[i] = int32(j), row
					}
				}
			}
		}
		for i, row := range src.row {
			if row < 0 {
				src.parent[i], src.row[i] = int32(k), data.OOVID
			}
		}
		if c := p.Counts[t.Name]; c != nil {
			n := make([]int64, want.Size())
			for i, row := range src.row {
				if known[i] && int(row) < len(c) {
					n[i] = c[row]
				}
			}
			counts[t.Name] = n
		}
		r.tables[t.Name] = src
		r.infos = append(r.infos, ckpt.Info{Name: t.Name, DType: ckpt.F32, Shape: []int{want.Size(), t.Shape[1]}})
	}
	if p.Counts == nil {
		counts = nil
	}
	return &Parent{Name: p.Name, Reader: r, Counts: counts, Map: to}
}

// TableOf returns the vocabulary of a parent's table; nil of another tensor.
func TableOf(p *Parent, name string) *data.Vocabulary {
	for _, t := range p.Tensors() {
		if t.Name == name {
			return vocabularyOf(p.Map, name, t.Shape)
		}
	}
	return nil
}

// Tensors returns the tensors with their shapes under the other feature map.
func (r *remapped) Tensors() []ckpt.Info { return r.infos }

// ReadRows reads each row from the parent that it comes from.
func (r *remapped) ReadRows(name string, lo, hi int, dst []float32) error {
	src := r.tables[name]
	if src == nil {
		return r.Parent.ReadRows(name, lo, hi, dst)
	}
	if lo < 0 || hi < lo || hi > len(src.row) {
		return fmt.Errorf("cki: tensor %s: rows %d to %d of %d", name, lo, hi, len(src.row))
	}
	dim := 0
	if hi > lo {
		dim = len(dst) / (hi - lo)
	}
	for i := lo; i < hi; { // neighbours in one read
		k := i + 1
		for k < hi && src.parent[k] == src.parent[i] && src.row[k] == src.row[k-1]+1 {
			k++
		}
		row := int(src.row[i])
		if err := src.from[src.parent[i]].ReadRows(name, row, row+k-i, dst[(i-lo)*dim:(k-lo)*dim]); err != nil {
			return err
		}
		i = k
	}
	return nil
}

// Close closes the parent's file.
func (r *remapped) Close() error { return r.Parent.Close() }
