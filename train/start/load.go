package start

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
)

// Record says which weights a training started from and which teachers it had. It is the content of start.json.
type Record struct {
	From       string                   `json:"from,omitempty"`
	File       string                   `json:"file,omitempty"`
	Parts      map[string]string        `json:"parts,omitempty"`      // where the parameters of each pattern are from, if not from there
	Digest     string                   `json:"digest,omitempty"`     // of the weights that training started from
	Imported   bool                     `json:"imported,omitempty"`   // weights of another model, with a fresh head
	Missing    []string                 `json:"missing,omitempty"`    // tensors that kept fresh values
	Unexpected []string                 `json:"unexpected,omitempty"` // tensors that the model does not have
	Tables     []TableRecord            `json:"tables,omitempty"`     // whose rows were matched by token
	Valid      run.Metrics              `json:"valid,omitempty"`      // metrics of these weights on the validation rows
	Teachers   []ensemble.TeacherRecord `json:"teachers,omitempty"`
}

// TableRecord is a table whose rows were matched by token.
type TableRecord struct {
	Name    string `json:"name"`
	Rows    int    `json:"rows"`
	Matched int    `json:"matched"` // rows whose token the starting weights knew; the others are fresh
}

// Load returns the parameters that training on d starts from.
func (w *Weights) Load(d *data.Splits) (*nn.Params, *Record, error) {
	p, err := models.NewParams(w.Model, d.Schema, w.Seed)
	if err != nil {
		return nil, nil, err
	}
	f, err := w.open()
	if err != nil {
		return nil, nil, fmt.Errorf("init.from: %s: %w", w.Options.From, err)
	}
	defer f.Close()
	rec := &Record{From: w.Options.From, File: w.file}
	rows := map[string][]int32{} // of tables that are matched by token
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("init.from: "+format, args...)) }
	names, err := w.tensors(f, p, rec)
	if err != nil {
		return nil, nil, err
	}
	head, err := w.compareText(d, f, p, names)
	if err != nil {
		return nil, nil, fmt.Errorf("init.from: %w", err)
	}
	covered := w.Options.covered()
	for _, q := range p.All() {
		fresh := w.mayBeFresh(q.Name)
		name, ok := names[q.Name]
		if !ok {
			rec.Missing = append(rec.Missing, q.Name)
			if w.Options.Strict && !(fresh && w.imported()) && !covered(q.Name) {
				bad("%s: tensor %s: missing, model wants %v", w.file, q.Name, q.Shape)
			}
			continue
		}
		t := f.Info(name)
		want := q.Shape
		if from, to := w.vocabularies(d, q); from != nil {
			rows[q.Name] = data.RowMap(from, to)
			want = []int{from.Size(), q.Shape[1]}
		}
		switch {
		case slices.Equal(t.Shape, want):
		case fresh && !w.Options.Strict:
			rec.Missing = append(rec.Missing, q.Name)
		case fresh && isHead(d, want):
			bad("%s: tensor %s: have %v, model wants %v: the head has %d outputs, the data %s: take weights of the same task, "+
				"or set init.strict to false to take the encoder and start the head fresh",
				w.file, name, t.Shape, want, t.Shape[0], headHelp(d))
		default:
			bad("%s: tensor %s: have %v, model wants %v", w.file, name, t.Shape, want)
		}
	}
	if w.Options.Strict {
		for _, name := range rec.Unexpected {
			bad("%s: tensor %s: unexpected %v, the model has none of that name", w.file, name, f.Info(name).Shape)
		}
	}
	if len(errs) == 0 && len(rec.Missing) == len(p.All()) {
		bad("%s: has none of the model's tensors", w.file)
	}
	if len(errs) > 0 {
		err := bound.Join(errs...)
		if _, ok := w.Model.(models.Resolver); ok && w.hf {
			err = errors.Join(err, fmt.Errorf("init.from: where sizes differ: set model.config to %s, for those that its %s names", w.dir, run.ModelConfigFile))
		}
		return nil, nil, err
	}
	for _, q := range p.All() {
		if slices.Contains(rec.Missing, q.Name) {
			continue
		}
		from := rows[q.Name]
		if turned := head[q.Name]; turned != nil {
			from = turned
		}
		matched, err := read(f, names[q.Name], q, from)
		if err != nil {
			return nil, nil, fmt.Errorf("init.from: %w", err)
		}
		if from != nil && head[q.Name] == nil {
			rec.Tables = append(rec.Tables, TableRecord{Name: q.Name, Rows: len(from), Matched: matched})
		}
	}
	if err := w.parts(d, p, rec); err != nil {
		return nil, nil, err
	}
	rec.Parts = w.Options.Parts
	rec.Imported = w.imported() && len(rec.Missing) > 0
	rec.Digest = p.Digest()
	w.log(p, rec)
	return p, rec, nil
}

// vocabularies returns the ids of a table's rows in the starting weights and in the model, nil if they are the same.
func (w *Weights) vocabularies(d *data.Splits, q *nn.Param) (from, to *data.Vocabulary) {
	if w.Options.Features != "data" || q.Kind != nn.Table || d.Map == nil {
		return nil, nil
	}
	for _, v := range d.Map.Tables { // the longest name that fits: a table may be called as the end of another one's name
		if strings.HasSuffix(q.Name, "."+v.Name+".weight") && v.Size() == q.Shape[0] && (to == nil || len(v.Name) > len(to.Name)) {
			to = v
		}
	}
	if to == nil {
		return nil, nil
	}
	if from = w.fmap.Table(to.Name); from == nil {
		return nil, nil
	}
	return from, to
}

// read reads the tensor called name. rows says which of its rows each row of q is, -1 for none; nil: the same. It returns how many
// rows were there.
func read(f *ckpt.File, name string, q *nn.Param, rows []int32) (matched int, err error) {
	if rows == nil {
		if err := f.ReadInto(name, q.Data); err != nil {
			return 0, err
		}
		return 0, finite(f, name, q.Data)
	}
	have, err := f.Read(name)
	if err != nil {
		return 0, err
	}
	if err := finite(f, name, have); err != nil {
		return 0, err
	}
	dim := len(q.Data) / len(rows)
	for i, row := range rows {
		if row >= 0 {
			copy(q.Data[i*dim:(i+1)*dim], have[int(row)*dim:(int(row)+1)*dim])
			matched++
		}
	}
	return matched, nil
}

func finite(f *ckpt.File, name string, x []float32) error {
	if i := nn.NotFinite(x); i >= 0 {
		return fmt.Errorf("%s: tensor %s: element %d is %v: the weights diverged, take others", f.Path, name, i, x[i])
	}
	return nil
}

// log says what the weights are and which of them stay fresh.
func (w *Weights) log(p *nn.Params, rec *Record) {
	w.Log.Info("starting weights", "file", w.file, "tensors", len(p.All())-len(rec.Missing), "digest", rec.Digest)
	if len(rec.Missing) > 0 {
		w.Log.Warn("tensors that the file lacks, or has of another shape, keep fresh values: train before use", "tensors",
			bound.Names(rec.Missing))
	}
	if len(rec.Unexpected) > 0 {
		w.Log.Warn("tensors that the model lacks are ignored", "tensors", bound.Names(rec.Unexpected))
	}
	for _, t := range rec.Tables {
		w.Log.Info("rows matched by token", "tensor", t.Name, "rows", t.Rows, "matched", t.Matched, "fresh", t.Rows-t.Matched)
	}
}
