// Package onnx writes the graph of a model as an ONNX file, which other runtimes run. It is a translation of ops: each op of models/ops has
// a line here that says which ONNX nodes compute the same. So a model needs no code of its own to be written.
//
// A matrix over the positions of sequences is packed in our graphs and padded in ONNX's, [rows·length, width], with the length of the input. Ops
// that take positions one by one are the same for both, and others leave padding out by a mask. What ONNX computes of padding is finite and
// read by nothing.
package onnx

import (
	"fmt"
	"io"
	"slices"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// Names of the outputs and of a text's inputs.
const (
	Logits        = "logits" // [batch, outputs]
	Scores        = "scores" // what a prediction is, by Options.Links
	InputIDs      = "input_ids"
	AttentionMask = "attention_mask"
	TokenTypeIDs  = "token_type_ids"
)

// Link says how the logits of one task become what is predicted.
type Link struct {
	Outputs  int    // logits of the task
	Function string // Identity, Sigmoid or Softmax, as ONNX calls them
}

// Options says what is written beside the logits.
type Options struct {
	Name     string      // of the model, for errors and for the file
	Links    []Link      // of each task, in their order; without any there is no output of scores
	Metadata [][2]string // keys and values that the file holds
}

// Input is an input of a written model.
type Input struct {
	Name    string // of the tensor
	Feature *data.Feature
}

// Model is a graph that is ready to be written.
type Model struct {
	Inputs []Input // of features, in the order of the schema; none for text
	Text   []string
	Opset  int
	file   model
}

// Translate returns the ONNX model of m over the parameters p and rows of sc. An op that ONNX cannot say is an error with the model and the op.
func Translate(m models.Model, p *nn.Params, sc *data.Schema, o Options) (*Model, error) {
	scoring, err := models.NewScoring(m, p, sc)
	if err != nil {
		return nil, err
	}
	b := newBuilder(scoring, sc, o.Name)
	y, err := b.node(scoring.Logits)
	if err != nil {
		return nil, fmt.Errorf("onnx: model %s: %w", o.Name, err)
	}
	outputs := scoring.Logits.Shape()[1]
	b.rename(y, Logits)
	b.g.outputs = append(b.g.outputs, value{Logits, floatElem, []any{batchDim, outputs}})
	if len(o.Links) > 0 {
		b.rename(b.scores(Logits, o.Links), Scores)
		b.g.outputs = append(b.g.outputs, value{Scores, floatElem, []any{batchDim, outputs}})
	}
	b.g.prune()
	out := &Model{Opset: opset, file: model{graph: b.g, metadata: o.Metadata}}
	for i := range sc.Features {
		f := &sc.Features[i]
		if name, ok := b.columns[f.Name]; ok {
			out.Inputs = append(out.Inputs, Input{Name: name, Feature: f})
		}
	}
	for _, name := range []string{InputIDs, AttentionMask, TokenTypeIDs} {
		if slices.ContainsFunc(b.g.inputs, func(v value) bool { return v.name == name }) && scoring.Text != nil {
			out.Text = append(out.Text, name)
		}
	}
	return out, nil
}

// Write writes the file. Of a model that takes more than 2 GiB nothing is written, and the error is an [ErrSize].
func (m *Model) Write(w io.Writer) error { return m.file.write(w, mostBytes) }

// scores applies the tasks' links to the logits.
func (b *builder) scores(logits string, links []Link) string {
	var parts []string
	at := 0
	for _, l := range links {
		z := logits
		if len(links) > 1 {
			z = b.columnsOf(logits, at, l.Outputs)
		}
		at += l.Outputs
		var attrs []attr
		if l.Function == "Softmax" {
			attrs = []attr{{"axis", -1}}
		}
		parts = append(parts, b.add(l.Function, []string{z}, attrs...))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return b.add("Concat", parts, attr{"axis", 1})
}

// node returns the name of a node's value. Nodes are translated in the order of their inputs, without recursion: graphs are deep.
func (b *builder) node(root *G.Node) (string, error) {
	stack := []*G.Node{root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		if b.names[n] != "" {
			stack = stack[:len(stack)-1]
			continue
		}
		in, ready := operands(n), true
		for i := len(in) - 1; i >= 0; i-- {
			if b.names[in[i]] == "" {
				stack, ready = append(stack, in[i]), false
			}
		}
		if !ready {
			continue
		}
		name, err := b.translate(n, in)
		if err != nil {
			return "", err
		}
		b.names[n] = name
		stack = stack[:len(stack)-1]
	}
	return b.names[root], nil
}
