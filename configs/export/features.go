package export

import (
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/onnx"
	"github.com/splice-ml/splice/train/task"
)

// Features is the content of features.json: how rows become the inputs of an ONNX file, and what its outputs are. docs/export.md describes it.
type Features struct {
	Version int     `json:"version"`
	Model   string  `json:"model"`
	Opset   int     `json:"opset"`
	Padding int     `json:"padding"`  // id of padding in lists
	Unknown int     `json:"unknown"`  // id of a token that no table has
	FirstID int     `json:"first_id"` // of the first token of a table, or of its first hash bucket
	Inputs  []Input `json:"inputs"`
	Tables  []Table `json:"tables"`
	Text    *Text   `json:"text,omitempty"`
	Outputs []Label `json:"outputs"`
	Items   string  `json:"items,omitempty"` // of a model that ranks a catalogue: the table of its items; logit i is of the item of id i
}

// Input is how a column becomes an input. Options that are not of its kind are left out.
type Input struct {
	Name      string    `json:"name"`             // of the tensor
	Type      string    `json:"type"`             // categorical, numeric, vector, multi or sequence
	Column    string    `json:"column"`           // that is read
	Table     string    `json:"table,omitempty"`  // of its tokens
	Of        string    `json:"of,omitempty"`     // the table whose list of turns ids of Table into those of the input
	Prefix    int       `json:"prefix,omitempty"` // characters of a cell that are its token
	Separator string    `json:"separator,omitempty"`
	MaxLen    int       `json:"max_len,omitempty"`
	Keep      string    `json:"keep,omitempty"`      // which tokens of a longer list: first or last
	Transform string    `json:"transform,omitempty"` // see docs/export.md
	Time      string    `json:"time,omitempty"`      // how times are written; left out: as dates, or in seconds
	Fill      *float64  `json:"fill,omitempty"`      // value of a blank, after the transform
	Mean      *float64  `json:"mean,omitempty"`
	Std       *float64  `json:"std,omitempty"`
	Low       *float64  `json:"low,omitempty"`
	High      *float64  `json:"high,omitempty"`
	Edges     []float64 `json:"edges,omitempty"`
	Numbers   int       `json:"numbers,omitempty"` // of a vector
}

// Table is the ids of tokens.
type Table struct {
	Name   string   `json:"name"`
	Tokens []string `json:"tokens,omitempty"` // token i has id first_id + i
	Hash   int      `json:"hash,omitempty"`   // buckets, in the place of tokens: a token has id first_id + XXH64(token) mod hash
	Of     []int32  `json:"of,omitempty"`     // by id of another table: the id here
}

// Text is how texts become inputs.
type Text struct {
	Inputs    []string `json:"inputs"` // names of the tensors
	MaxLength int      `json:"max_length"`
	Padding   int32    `json:"padding"`
}

// Label is one label, and its columns of the outputs.
type Label struct {
	Name     string   `json:"name,omitempty"`
	From     int      `json:"from"` // first column
	To       int      `json:"to"`   // the one behind the last
	Classes  []string `json:"classes,omitempty"`
	Function string   `json:"function,omitempty"` // how logits become scores: Sigmoid, Softmax or Identity
}

// features describes the inputs and outputs of m.
func (o *opened) features(m *onnx.Model, model string, parts []part) *Features {
	f := &Features{Version: 1, Model: model, Opset: m.Opset, Padding: data.PadID, Unknown: data.OOVID, FirstID: data.FirstID, Inputs: []Input{}, Tables: []Table{}, Outputs: []Label{}}
	for _, in := range m.Inputs {
		x := input(in.Name, o.mapped(in.Feature.Name))
		if from := o.mapped(in.Feature.Name).From; from != "" { // it has no column of its own
			of := x.Table
			x = input(in.Name, o.mapped(from))
			x.Of = of
		}
		f.Inputs = append(f.Inputs, x)
		for _, name := range []string{x.Table, x.Of} {
			if t := o.Map.Table(name); t != nil && !slices.ContainsFunc(f.Tables, func(u Table) bool { return u.Name == name }) {
				f.Tables = append(f.Tables, Table{t.Name, t.Tokens, t.Hash, t.Of})
			}
		}
	}
	if t := o.schema.Text; t != nil {
		f.Text = &Text{m.Text, t.MaxLen(), t.Pad}
	}
	if _, ranks := o.Task.(task.Ranking); ranks {
		for _, g := range o.schema.Features {
			if g.Kind == data.Sequence {
				f.Items = g.Table
				break
			}
		}
		return f
	}
	at := 0
	for _, p := range parts {
		f.Outputs = append(f.Outputs, Label{p.Label, at, at + p.link.Outputs, p.classes, p.link.Function})
		at += p.link.Outputs
	}
	return f
}

// mapped returns how a feature is made.
func (o *opened) mapped(name string) *data.MapFeature {
	i := slices.IndexFunc(o.Map.Features, func(f data.MapFeature) bool { return f.Name == name })
	return &o.Map.Features[i]
}

// input describes a feature whose input has a name.
func input(name string, f *data.MapFeature) Input {
	x := Input{
		Name: name, Type: f.Kind.String(), Column: f.Source(), Table: f.Table, Prefix: f.Prefix, Separator: f.Separator, MaxLen: f.MaxLen,
		Keep: f.Keep, Transform: f.Transform, Time: f.Time, Edges: f.Edges, Numbers: f.Count,
	}
	if f.Kind == data.Numeric {
		x.Fill = &f.Fill
	}
	switch f.Transform {
	case data.Standardize:
		x.Mean, x.Std = &f.Mean, &f.Std
	case data.MinMax:
		x.Low, x.High = &f.Low, &f.High
	}
	if f.Count > 0 {
		x.Type = "vector"
	}
	if f.Kind == data.Multi {
		x.Keep = data.KeepFirst
	}
	return x
}
