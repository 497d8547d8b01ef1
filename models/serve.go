package models

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/nn"
)

// ServeOptions is the `serve:` section: how a finished run is held when it scores rows. It changes no training, and no file of the run.
type ServeOptions struct {
	// how embedding tables are held: none: as float32; int8: a row as whole numbers of 8 bits and one scale, about a quarter
	// of the memory, where a row has more than one value and the model only looks rows up; dense weights stay float32
	Quantize string `yaml:"quantize,nodigest"`
	// predictions are calibrated as the run's calibration.json says, which evaluate --calibrate writes
	Calibrated bool `yaml:"calibrated,nodigest"`
}

// Values of [ServeOptions].Quantize.
const (
	QuantizeNone = "none"
	QuantizeInt8 = "int8"
)

// ServeDefaults returns the options of a config that leaves them out.
func ServeDefaults() ServeOptions { return ServeOptions{Quantize: QuantizeNone} }

// Validate reports every option out of range.
func (o ServeOptions) Validate() error {
	return errors.Join(registry.OneOf("quantize", o.Quantize, QuantizeNone, QuantizeInt8))
}

// Tables says how the embedding tables of a model are held.
type Tables struct {
	Float32 float64  // bytes of all tables as float32
	Held    float64  // bytes of all tables as they are held
	All     int      // number of tables
	Int8    []string // names of those that are held as int8
	Inside  []string // names of those that stay float32, though int8 is wanted, since the graph reads them as a whole
	Narrow  []string // names of those that do since a row is one value, which would take more bytes with a scale
}

// Add adds the tables of another model.
func (t *Tables) Add(o *Tables) {
	t.Float32, t.Held, t.All = t.Float32+o.Float32, t.Held+o.Held, t.All+o.All
	t.Int8, t.Inside, t.Narrow = append(t.Int8, o.Int8...), append(t.Inside, o.Inside...), append(t.Narrow, o.Narrow...)
}

// Kept says which tables stay float32 though int8 is wanted, and why. It is empty if there are none.
func (t *Tables) Kept() string {
	var list []string
	if len(t.Inside) > 0 {
		list = append(list, "the graph reads "+bound.Names(t.Inside)+" as a whole")
	}
	if n := len(t.Narrow); n > 0 { // the linear terms of all features, mostly
		names := t.Narrow[0]
		if n > 1 {
			names += fmt.Sprintf(" and %d more", n-1)
		}
		list = append(list, "a row of "+names+" is one value, which a scale would make larger")
	}
	return strings.Join(list, "; ")
}

// Params returns parameters for m and rows of sc, all of them 0, to be filled from a file: those of [BlankParams], with the tables as the
// options say. No table that is held as int8 is ever there as float32. If none can be held so, the error names the tables and says why.
func (o ServeOptions) Params(m Model, sc *data.Schema) (*nn.Params, *Tables, error) {
	if !o.Int8() {
		p, err := BlankParams(m, sc)
		if err != nil {
			return nil, nil, err
		}
		return p, o.tables(p, nil), nil
	}
	shapes, need, tables, err := o.measure(m, sc)
	if err != nil {
		return nil, nil, err
	}
	p := nn.BlankParams()
	for _, q := range shapes.All() {
		if o.quantizes(q, need) {
			q.Int8 = make([]byte, int(q.Int8Bytes()))
		} else {
			q.Data = make([]float32, int(q.Bytes()/4))
		}
		if err := p.Add(q); err != nil {
			return nil, nil, err
		}
	}
	return p, tables, nil
}

// Tables returns how Params holds the tables, without them.
func (o ServeOptions) Tables(m Model, sc *data.Schema) (*Tables, error) {
	_, _, t, err := o.measure(m, sc)
	return t, err
}

func (o ServeOptions) measure(m Model, sc *data.Schema) (*nn.Params, *Need, *Tables, error) {
	shapes := nn.NewShapes()
	need, err := Measure(m, shapes, sc, CompileOptions{Batch: 1})
	if err != nil {
		return nil, nil, nil, err
	}
	t := o.tables(shapes, need)
	if o.Int8() && len(t.Int8) == 0 {
		return nil, nil, nil, fmt.Errorf("models: serve.quantize: int8: no embedding table can be held so: %s; set it to none",
			cmp.Or(t.Kept(), "the model has none"))
	}
	return shapes, need, t, nil
}

// Int8 reports whether tables are held as int8 where they can be.
func (o ServeOptions) Int8() bool { return o.Quantize == QuantizeInt8 }

// quantizes reports whether a parameter of a model that needs need is held as int8.
func (o ServeOptions) quantizes(q *nn.Param, need *Need) bool {
	return o.Int8() && q.Kind == nn.Table && q.Int8Bytes() < q.Bytes() && !need.Inside[q]
}

// Bytes returns the bytes that a parameter of a model that needs need is held in.
func (o ServeOptions) Bytes(q *nn.Param, need *Need) float64 {
	if o.quantizes(q, need) {
		return q.Int8Bytes()
	}
	return q.Bytes()
}

// tables tells how the tables among parameters are held.
func (o ServeOptions) tables(p *nn.Params, need *Need) *Tables {
	t := &Tables{}
	for _, q := range p.All() {
		if q.Kind == nn.Table {
			t.All++
			t.Float32 += q.Bytes()
			t.Held += o.Bytes(q, need)
		}
		switch {
		case !o.Int8():
		case o.quantizes(q, need):
			t.Int8 = append(t.Int8, q.Name)
		case slices.Contains(need.Tokens, q.Name), q.Kind == nn.Table && need.Inside[q]:
			t.Inside = append(t.Inside, q.Name)
		case q.Kind == nn.Table:
			t.Narrow = append(t.Narrow, q.Name)
		}
	}
	return t
}
