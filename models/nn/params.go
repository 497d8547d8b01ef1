// Package nn holds the parameters of a model apart from the code that uses them. Params stores named values, Scope hands them to
// a graph under a path, and layers are functions of a few lines each.
package nn

import (
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/models/ops/kernel"
)

// Kind says how a parameter is stored and trained.
type Kind uint8

const (
	Weight Kind = iota // a leaf of the graph, trained by a dense gradient
	Table              // rows of an embedding table, kept outside of the graph, trained by row gradients
	Buffer             // state that no optimizer touches, such as running statistics
)

// String returns the kind's name in lower case.
func (k Kind) String() string { return [...]string{"weight", "table", "buffer"}[k] }

// Param is a named tensor of a model. Its values are updated in place, so that every Program over the same Params sees them.
type Param struct {
	Name      string
	Shape     []int
	Data      []float32 // row-major; nil if Int8 holds the values
	Int8      []byte    // a table's rows as [kernel.QuantizeInt8] makes them, for scoring alone; else nil
	Kind      Kind
	Embedding bool     // it belongs to an embedding or a linear term of a feature, and is regularised as an embedding
	L2        *float64 // weight of this parameter's L2 penalty, or nil for that of its kind
}

// Dim returns the width of a row: the product of all dimensions but the first.
func (p *Param) Dim() int {
	d := 1
	for _, n := range p.Shape[1:] {
		d *= n
	}
	return d
}

// Params is the ordered store of a model's parameters. Its zero value is not usable: NewParams makes one.
type Params struct {
	// Seed is that of the initial values. They are drawn from the stream (Seed, "init", name), so a further parameter does not
	// change the others.
	Seed   uint64
	blank  bool // nothing is drawn
	list   []*Param
	byName map[string]*Param
	shapes bool // parameters have no values
}

// NewShapes returns an empty store of parameters without values, to learn what a model would need.
func NewShapes() *Params {
	p := NewParams(0)
	p.shapes = true
	return p
}

// MostTensors bounds the parameters of a model: a model of more has too many layers.
const MostTensors = 1 << 15

// ErrTensors is the error of a model with more tensors.
var ErrTensors = fmt.Errorf("the model has more than %d tensors", MostTensors)

// Bytes returns the bytes of the parameter's values in float32, there or not.
func (p *Param) Bytes() float64 {
	n := 4.0
	for _, d := range p.Shape {
		n *= float64(d)
	}
	return n
}

// Int8Bytes returns the bytes of the values of a table in rows of int8.
func (p *Param) Int8Bytes() float64 {
	return float64(p.Shape[0]) * float64(kernel.Int8RowBytes(p.Dim()))
}

// NewParams returns an empty store whose initial values derive from seed.
func NewParams(seed uint64) *Params {
	return &Params{Seed: seed, byName: map[string]*Param{}}
}

// BlankParams returns an empty store whose initial values are all 0, to be filled from a file: nothing is drawn.
func BlankParams() *Params {
	return &Params{blank: true, byName: map[string]*Param{}}
}

// Get returns the parameter of that name, or nil.
func (p *Params) Get(name string) *Param { return p.byName[name] }

// All returns the parameters in the order in which the model asked for them. The slice is the caller's.
func (p *Params) All() []*Param { return slices.Clone(p.list) }

// Count returns the number of values of all trained parameters (weights and tables).
func (p *Params) Count() int {
	n := 0
	for _, q := range p.list {
		if q.Kind != Buffer {
			n += len(q.Data)
		}
	}
	return n
}

// Add puts a parameter into the store. A name that is there already is an error, and so are values that do not fill the shape.
func (p *Params) Add(q *Param) error {
	if p.byName[q.Name] != nil {
		return fmt.Errorf("nn: parameter %s: already there", q.Name)
	}
	n := 1
	for _, d := range q.Shape {
		if d < 0 {
			return fmt.Errorf("nn: parameter %s: negative dimension in %v", q.Name, q.Shape)
		}
		n *= d
	}
	if q.Int8 != nil {
		if len(q.Shape) != 2 || float64(len(q.Int8)) != q.Int8Bytes() || q.Data != nil {
			return fmt.Errorf("nn: parameter %s: %d bytes of int8 do not fill shape %v", q.Name, len(q.Int8), q.Shape)
		}
	} else if n != len(q.Data) {
		return fmt.Errorf("nn: parameter %s: %d values do not fill shape %v", q.Name, len(q.Data), q.Shape)
	}
	p.list = append(p.list, q)
	p.byName[q.Name] = q
	return nil
}

// ensure returns the parameter of that name, made and initialised if it is not there yet.
func (p *Params) ensure(name string, kind Kind, embedding bool, init Init, shape []int) (*Param, error) {
	if q := p.byName[name]; q != nil {
		if q.Kind != kind || !slices.Equal(q.Shape, shape) {
			return nil, fmt.Errorf("have %s %v, model wants %s %v", q.Kind, q.Shape, kind, shape)
		}
		return q, nil
	}
	n := 1
	for _, d := range shape {
		if d <= 0 {
			return nil, fmt.Errorf("shape %v has a dimension below 1", shape)
		}
		n *= d
	}
	if len(p.list) >= MostTensors {
		return nil, ErrTensors
	}
	q := &Param{Name: name, Shape: slices.Clone(shape), Kind: kind, Embedding: embedding}
	if p.shapes {
		p.list = append(p.list, q)
		p.byName[name] = q
		return q, nil
	}
	if q.Bytes() > math.MaxInt64/2 {
		return nil, fmt.Errorf("shape %v has more values than a machine can hold", shape)
	}
	q.Data = make([]float32, n)
	if !p.blank {
		init(p.stream(name), q.Shape, q.Data)
	}
	return q, p.Add(q)
}
