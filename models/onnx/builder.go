package onnx

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/ops"
)

// batchDim names the number of rows.
const batchDim = "batch"

// builder collects the nodes of a graph. Its methods return the names of values.
type builder struct {
	scoring *models.Scoring
	schema  *data.Schema
	model   string // its name
	g       graph
	names   map[*G.Node]string
	taken   map[string]bool
	columns map[string]string              // inputs by feature
	values  map[*float32]map[string]string // tensors by where their values lie, and by shape
	ints    map[string]string              // constants by value
	once    map[string]string              // values that are made once, by what they are
	lookups map[*G.Node]*embed.Lookup      // by leaf
	layouts map[models.Layout]*layout
}

func newBuilder(s *models.Scoring, sc *data.Schema, name string) *builder {
	b := &builder{
		scoring: s, schema: sc, model: name, g: graph{name: name}, names: map[*G.Node]string{}, columns: map[string]string{},
		values: map[*float32]map[string]string{}, ints: map[string]string{}, once: map[string]string{}, lookups: map[*G.Node]*embed.Lookup{},
		layouts: map[models.Layout]*layout{},
		taken:   map[string]bool{"": true, Logits: true, Scores: true},
	}
	if b.g.name == "" {
		b.g.name = "model"
	}
	if s.Text != nil {
		for _, name := range []string{InputIDs, AttentionMask, TokenTypeIDs} {
			b.taken[name] = true
		}
	}
	for i := range sc.Features { // inputs have the names of their columns
		b.taken[sc.Features[i].Name] = true
	}
	for _, l := range s.Lookups {
		b.lookups[l.Node] = l
	}
	return b
}

// free returns a name that nothing has yet.
func (b *builder) free(name string) string {
	at := name
	for i := 1; b.taken[at]; i++ {
		at = fmt.Sprintf("%s_%d", name, i)
	}
	b.taken[at] = true
	return at
}

// add adds a node with one result.
func (b *builder) add(op string, in []string, attrs ...attr) string {
	name := b.free(strings.ToLower(op))
	b.g.nodes = append(b.g.nodes, node{op: op, name: name, in: in, out: []string{name}, attrs: attrs})
	return name
}

// do adds a node without attributes.
func (b *builder) do(op string, in ...string) string { return b.add(op, in) }

// made returns a value that is made once.
func (b *builder) made(what string, make func() string) string {
	name, ok := b.once[what]
	if !ok {
		name = make()
		b.once[what] = name
	}
	return name
}

// rename gives a value the name of an output, by a node of its own.
func (b *builder) rename(from, to string) {
	b.g.nodes = append(b.g.nodes, node{op: "Identity", name: to, in: []string{from}, out: []string{to}})
}

// vector returns a constant of whole numbers, [n].
func (b *builder) vector(v ...int) string { return b.constant([]int{len(v)}, v) }

// whole returns a constant that is one whole number, without dimensions.
func (b *builder) whole(v int) string { return b.constant(nil, []int{v}) }

func (b *builder) constant(shape, v []int) string {
	key := fmt.Sprint(shape, v)
	if name := b.ints[key]; name != "" {
		return name
	}
	t := namedTensor{name: b.free("constant"), shape: shape}
	for _, x := range v {
		t.ints = append(t.ints, int64(x))
	}
	b.g.tensors = append(b.g.tensors, t)
	b.ints[key] = t.name
	return t.name
}

// number returns a constant that is one number, without dimensions.
func (b *builder) number(v float32) string {
	return b.made(fmt.Sprint("number ", v), func() string {
		t := namedTensor{name: b.free("constant"), floats: []float32{v}}
		b.g.tensors = append(b.g.tensors, t)
		return t.name
	})
}

// tensor returns a tensor over values, which are shared with others of the same values and shape.
func (b *builder) tensor(name string, values []float32, shape ...int) string {
	at, key := unsafe.SliceData(values), fmt.Sprint(shape)
	if b.values[at] == nil {
		b.values[at] = map[string]string{}
	}
	if have := b.values[at][key]; have != "" {
		return have
	}
	t := namedTensor{name: b.free(name), shape: slices.Clone(shape), floats: values}
	b.g.tensors = append(b.g.tensors, t)
	b.values[at][key] = t.name
	return t.name
}

// input returns an input of the model, which is made once.
func (b *builder) input(name string, e elem, dims ...any) string {
	return b.made("input "+name, func() string {
		b.g.inputs = append(b.g.inputs, value{name, e, dims})
		return name
	})
}

// column returns the input of a feature: [batch] whole numbers or floats, [batch, length] whole numbers, or of a vector [batch, numbers] floats.
func (b *builder) column(f *data.Feature) string {
	name, ok := b.columns[f.Name]
	if !ok {
		name = f.Name
		if name == Logits || name == Scores {
			name = b.free(name)
		}
		b.columns[f.Name] = name
	}
	switch {
	case f.Kind == data.Numeric && f.Count > 0:
		return b.input(name, floatElem, batchDim, f.Count)
	case f.Kind == data.Numeric:
		return b.input(name, floatElem, batchDim)
	case f.Kind == data.Categorical:
		return b.input(name, intElem, batchDim)
	}
	return b.input(name, intElem, batchDim, name+"_length")
}

// values returns the values of a leaf.
func values(n *G.Node) ([]float32, error) {
	t, ok := n.Value().(*tensor.Dense)
	if !ok {
		return nil, fmt.Errorf("leaf %s holds a %T", n.Name(), n.Value())
	}
	return t.Float32s(), nil
}

// operands are the inputs of a node's op.
func operands(n *G.Node) G.Nodes { return ops.Operands(n) }

// split reshapes a value to [rows, length, width...], with the length of a layout.
func (b *builder) split(x string, l *layout, width ...int) string {
	shape := b.made(fmt.Sprint("split ", l.length, width), func() string {
		return b.add("Concat", []string{b.vector(-1), l.length, b.vector(width...)}, attr{"axis", 0})
	})
	return b.do("Reshape", x, shape)
}

// reshape reshapes a value; -1 stands for what is left, 0 for a dimension as it is.
func (b *builder) reshape(x string, shape ...int) string {
	return b.do("Reshape", x, b.vector(shape...))
}

func (b *builder) transpose(x string, perm ...int) string {
	return b.add("Transpose", []string{x}, attr{"perm", perm})
}

func (b *builder) unsqueeze(x string, axes ...int) string {
	return b.do("Unsqueeze", x, b.vector(axes...))
}

func (b *builder) squeeze(x string, axes ...int) string {
	return b.do("Squeeze", x, b.vector(axes...))
}

// sum is the sum over an axis.
func (b *builder) sum(x string, axis int, keep bool) string {
	k := 0
	if keep {
		k = 1
	}
	return b.add("ReduceSum", []string{x, b.vector(axis)}, attr{"keepdims", k})
}

// columnsOf returns columns of a matrix.
func (b *builder) columnsOf(x string, from, n int) string {
	return b.do("Slice", x, b.vector(from), b.vector(from+n), b.vector(1))
}

func (b *builder) cast(x string, to elem) string {
	return b.add("Cast", []string{x}, attr{"to", int(to)})
}
