package export

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/onnx"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// FeaturesFile is the name of the file that says what an ONNX file is fed.
const FeaturesFile = "features.json"

// ONNX is a run as an ONNX file and what is fed to it.
type ONNX struct {
	model    *onnx.Model
	features *Features
}

// NewONNX translates a run.
func NewONNX(r *job.Run) (*ONNX, error) {
	o, err := open(r)
	if err != nil {
		return nil, err
	}
	if t := o.schema.Text; t != nil && t.MaskRate > 0 {
		return nil, bad(r, "predicts masked words, not something of a row, and is not written as ONNX: train its encoder on for a task with finetune")
	}
	parts, err := o.parts()
	if err != nil {
		return nil, err
	}
	model, _ := models.Registry.NameOf(r.Model)
	digest, err := r.Digest()
	if err != nil {
		return nil, err
	}
	options := onnx.Options{Name: model, Metadata: [][2]string{{"splice.model", model}, {"splice.config", digest}}}
	for _, p := range parts {
		if p.link.Function == "" {
			options.Links = nil
			break
		}
		options.Links = append(options.Links, p.link)
	}
	m, err := onnx.Translate(r.Model, o.params, o.schema, options)
	if err != nil {
		return nil, run.BadInput(err)
	}
	return &ONNX{m, o.features(m, model, parts)}, nil
}

// WriteModel writes the ONNX file.
func (x *ONNX) WriteModel(w io.Writer) error {
	if err := x.model.Write(w); errors.Is(err, onnx.ErrSize) {
		return run.BadInput(err)
	} else if err != nil {
		return err
	}
	return nil
}

// WriteFeatures writes [Features] as JSON.
func (x *ONNX) WriteFeatures(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(x.features)
}

// part is one of the labels that a run predicts.
type part struct {
	task.Part
	link    onnx.Link
	classes []string
}

// parts returns the labels, with how their logits become scores.
func (o *opened) parts() ([]part, error) {
	split, err := task.Split(o.Task, o.schema)
	if err != nil {
		return nil, run.BadInput(err)
	}
	var parts []part
	for _, p := range split {
		q := part{Part: p, classes: p.Classes(o.schema)}
		q.link.Outputs = max(1, len(q.classes))
		switch p.Task.(type) {
		case task.Binary:
			q.link.Function = "Sigmoid"
		case task.Classification:
			q.link.Function = "Softmax"
		case task.Regression:
			q.link.Function = "Identity"
		}
		parts = append(parts, q)
	}
	return parts, nil
}
