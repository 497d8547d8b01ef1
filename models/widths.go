package models

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// tableWidth returns the width of a feature's embeddings in a model of width dim, before they are mapped to another one.
func tableWidth(f *data.Feature, dim int) int { return cmp.Or(f.Dim, dim) }

// outWidth returns how many columns a feature has in a model of width dim.
func outWidth(f *data.Feature, dim int) int {
	switch {
	case f.Count > 0 && !f.Project:
		return f.Count
	case f.Count == 0 && f.Project:
		return dim
	}
	return tableWidth(f, dim)
}

// EqualEmbeddings is [Inputs.Embeddings] of a model that needs embeddings of one width, such as one that takes inner products of all of them.
func (in *Inputs) EqualEmbeddings(s *nn.Scope, name string, dim int) *G.Node {
	return in.equal(s, name, dim, in.all())
}

// equal is EqualEmbeddings of some features.
func (in *Inputs) equal(s *nn.Scope, name string, dim int, features []*data.Feature) *G.Node {
	var others []string
	for _, f := range features {
		if outWidth(f, dim) != dim {
			others = append(others, fmt.Sprintf("%s (%d)", f.Name, outWidth(f, dim)))
		}
	}
	if len(others) > 0 {
		s.Fail(fmt.Errorf("the model takes products of embeddings, which all need its width of %d, and these columns have another one: %s; "+
			"leave their embedding_dim out, set project where there is one, or take a model that has them side by side: mlp, widedeep, dcn or dcnv2",
			dim, strings.Join(others, ", ")))
		return nil
	}
	return in.embed(s, name, name, dim, features)
}

// embed returns the embeddings of features side by side. Those of the model's width come first, in the order of the features, then those of other
// widths, and then those that a linear map has taken to another one. leaf names what they are looked up into.
func (in *Inputs) embed(s *nn.Scope, name, leaf string, dim int, features []*data.Feature) *G.Node {
	byWidth, widths := map[int][]*data.Feature{}, []int{dim}
	var mapped []*data.Feature
	for _, f := range features {
		if f.Count > 0 || f.Project {
			mapped = append(mapped, f)
			continue
		}
		w := tableWidth(f, dim)
		if w != dim && len(byWidth[w]) == 0 {
			widths = append(widths, w)
		}
		byWidth[w] = append(byWidth[w], f)
	}
	if len(features) == 0 {
		s.Fail(fmt.Errorf("the data has no features"))
	}
	var parts []*G.Node
	for _, w := range widths {
		if list := byWidth[w]; len(list) > 0 {
			at := leaf
			if w != dim {
				at += ".width" + strconv.Itoa(w)
			}
			parts = append(parts, in.embedAlike(s, name, at, w, list))
			if at == name { // all of the model's features, at that place
				in.looked(s, name, parts[len(parts)-1], list)
			}
		}
	}
	for _, f := range mapped {
		at := leaf + ".of." + f.Name
		switch {
		case f.Count == 0:
			x := in.embedAlike(s, name, at, f.Dim, []*data.Feature{f})
			parts = append(parts, projected(s.Sub(name), f, x, dim))
		case f.Project:
			parts = append(parts, projected(s.Sub(name), f, in.numbers(s, at, f), tableWidth(f, dim)))
		default:
			parts = append(parts, in.numbers(s, at, f))
		}
	}
	if s.Err() != nil {
		return nil
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return nn.Concat(s, parts...)
}

// embedAlike looks embeddings of one width up.
func (in *Inputs) embedAlike(s *nn.Scope, name, leaf string, dim int, features []*data.Feature) *G.Node {
	l := &embed.Lookup{Dim: dim}
	sp := in.fields(s.Sub(name), l, nn.Normal(in.std()), features...)
	return s.Columns(in.add(s, leaf, l), nn.Join(sp...))
}

// looked declares that y holds embeddings of the features side by side.
func (in *Inputs) looked(s *nn.Scope, name string, y *G.Node, features []*data.Feature) {
	var tables []string
	for _, f := range features {
		tables = append(tables, s.Sub(name).Path(cmp.Or(f.Table, f.Name)+".weight"))
	}
	if s.Err() == nil {
		s.Looked(y, tables...)
	}
}

// projected returns x·Wᵀ, [n, w] → [n, dim], with the parameter <table>.project.weight, [dim, w], which the features of a table share.
func projected(s *nn.Scope, f *data.Feature, x *G.Node, dim int) *G.Node {
	if s.Err() != nil {
		return nil
	}
	s = s.Sub(cmp.Or(f.Table, f.Name)).Sub("project")
	w := s.Shared("weight", nn.XavierNormal, dim, x.Shape()[1])
	if s.Err() != nil {
		return nil
	}
	y := s.Check(ops.Linear(x, w, nil, kernel.None))
	s.Mapped("weight", "", x, y)
	sp := s.Units(dim)
	s.Along("weight", 0, sp)
	s.Along("weight", 1, s.SpaceOf(x))
	return s.Columns(y, sp)
}

// numbers returns the numbers of a numeric column, of which a vector has several, as they are, [B, n].
func (in *Inputs) numbers(s *nn.Scope, leaf string, f *data.Feature) *G.Node {
	node, values := s.Input(leaf, s.Batch, f.Numbers())
	if node != nil && !s.IsAgain() {
		in.plan.AddNumbers(f, values)
	}
	return s.Columns(node, s.Fixed(f.Numbers()))
}

// Numbers returns the numbers of all numeric columns as they are, vectors included, side by side in the order of the schema, [B, numbers]; nil
// if the data has none.
func (in *Inputs) Numbers(s *nn.Scope, name string) *G.Node {
	var parts []*G.Node
	for _, f := range in.all() {
		if f.Kind == data.Numeric {
			parts = append(parts, in.numbers(s, name+"."+f.Name, f))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return nn.Concat(s, parts...)
}

// EqualTokens is [Inputs.EqualEmbeddings] of all columns but the numeric ones; nil if the data has none.
func (in *Inputs) EqualTokens(s *nn.Scope, name string, dim int) *G.Node {
	var features []*data.Feature
	for _, f := range in.all() {
		if f.Kind != data.Numeric {
			features = append(features, f)
		}
	}
	if len(features) == 0 {
		return nil
	}
	return in.equal(s, name, dim, features)
}

// linearOfVectors returns the first-order terms of vectors, [B, 1] each. The weights of feature f are <name>.f.weight, [1, numbers].
func (in *Inputs) linearOfVectors(s *nn.Scope, name string) (terms []*G.Node) {
	for i := range in.Schema.Features {
		f := &in.Schema.Features[i]
		if f.Count == 0 || s.Err() != nil {
			continue
		}
		x, sub := in.numbers(s, name+".of."+f.Name, f), s.Sub(name).Sub(f.Name)
		w := sub.Param("weight", nn.Normal(in.std()), 1, f.Count)
		if s.Err() != nil {
			return nil
		}
		y := s.Check(ops.Linear(x, w, nil, kernel.None))
		sub.Mapped("weight", "", x, y)
		sub.Along("weight", 1, s.SpaceOf(x))
		terms = append(terms, s.Columns(y, s.Fixed(1)))
	}
	return terms
}
