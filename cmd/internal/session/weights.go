package session

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// startRecord is start.json.
type startRecord struct {
	From       string          `json:"from,omitempty"`
	File       string          `json:"file,omitempty"`
	Digest     string          `json:"digest,omitempty"`     // of the weights that training started from
	Imported   bool            `json:"imported,omitempty"`   // weights of another model, with a fresh head
	Missing    []string        `json:"missing,omitempty"`    // tensors that kept fresh values
	Unexpected []string        `json:"unexpected,omitempty"` // tensors that the model does not have
	Tables     []tableRecord   `json:"tables,omitempty"`     // whose rows were matched by token
	Valid      numbers         `json:"valid,omitempty"`      // metrics of these weights on the validation rows
	Teachers   []teacherRecord `json:"teachers,omitempty"`
}

type tableRecord struct {
	Name    string `json:"name"`
	Rows    int    `json:"rows"`
	Matched int    `json:"matched"` // rows whose token the starting weights knew; the others are fresh
}

type teacherRecord struct {
	From   string `json:"from"`
	Digest string `json:"digest"`
}

// newParams returns the model's parameters with fresh values.
func (s *Session) newParams(sc *data.Schema) (*nn.Params, error) {
	p := nn.NewParams(s.Seed)
	prog, err := models.Compile(s.Model, p, sc, models.CompileOptions{Batch: 1})
	if err != nil {
		return nil, err
	}
	return p, prog.Close()
}

// load returns the parameters that training on d starts from.
func (st *start) load(s *Session, d *data.Splits) (*nn.Params, *startRecord, error) {
	p, err := s.newParams(d.Schema)
	if err != nil {
		return nil, nil, err
	}
	f, err := st.open()
	if err != nil {
		return nil, nil, fmt.Errorf("init.from: %s: %w", st.from, err)
	}
	defer f.Close()
	rec := &startRecord{From: st.from, File: st.file}
	rows := map[string][]int32{} // of tables that are matched by token
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("init.from: "+format, args...)) }
	names, err := st.tensors(s, f, p, rec)
	if err != nil {
		return nil, nil, err
	}
	if err := st.compareText(s, d, f, p, names); err != nil {
		return nil, nil, fmt.Errorf("init.from: %w", err)
	}
	for _, q := range p.All() {
		fresh := st.mayBeFresh(s, q.Name)
		name, ok := names[q.Name]
		if !ok {
			if rec.Missing = append(rec.Missing, q.Name); s.Init.Strict && !(fresh && st.imported(s)) {
				bad("%s: tensor %s: missing, model wants %v", st.file, q.Name, q.Shape)
			}
			continue
		}
		t := f.Info(name)
		want := q.Shape
		if from, to := st.vocabularies(s, d, q); from != nil {
			rows[q.Name] = data.RowMap(from, to)
			want = []int{from.Size(), q.Shape[1]}
		}
		switch {
		case slices.Equal(t.Shape, want):
		case fresh && !s.Init.Strict:
			rec.Missing = append(rec.Missing, q.Name)
		case fresh && isHead(d, want):
			bad("%s: tensor %s: have %v, model wants %v: the head has %d outputs, the data %s: take weights of the same task, or set init.strict to false to take the encoder and start the head fresh",
				st.file, name, t.Shape, want, t.Shape[0], headHelp(d))
		default:
			bad("%s: tensor %s: have %v, model wants %v", st.file, name, t.Shape, want)
		}
	}
	if s.Init.Strict {
		for _, name := range rec.Unexpected {
			bad("%s: tensor %s: unexpected %v, the model has none of that name", st.file, name, f.Info(name).Shape)
		}
	}
	if len(errs) == 0 && len(rec.Missing) == len(p.All()) {
		bad("%s: has none of the model's tensors", st.file)
	}
	if len(errs) > 0 {
		if _, ok := s.Model.(models.Resolver); ok && st.hf {
			bad("where sizes differ: set model.config to %s, for those that its %s names", st.dir, run.ModelConfigFile)
		}
		return nil, nil, errors.Join(errs...)
	}
	for _, q := range p.All() {
		if slices.Contains(rec.Missing, q.Name) {
			continue
		}
		if err := read(f, names[q.Name], q, rows[q.Name], rec); err != nil {
			return nil, nil, fmt.Errorf("init.from: %w", err)
		}
	}
	rec.Imported = st.imported(s) && len(rec.Missing) > 0
	rec.Digest = digestOf(p)
	st.log(s, p, rec)
	return p, rec, nil
}

// vocabularies returns the ids of a table's rows in the starting weights and in the model, nil if they are the same.
func (st *start) vocabularies(s *Session, d *data.Splits, q *nn.Param) (from, to *data.Vocabulary) {
	if s.Init.Features != "data" || q.Kind != nn.Table || d.Map == nil {
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
	if from = st.fmap.Table(to.Name); from == nil {
		return nil, nil
	}
	return from, to
}

// read reads the tensor called name. rows says which of its rows each row of q is, -1 for none; nil: the same.
func read(f *ckpt.File, name string, q *nn.Param, rows []int32, rec *startRecord) error {
	if rows == nil {
		if err := f.ReadInto(name, q.Data); err != nil {
			return err
		}
		return finite(f, name, q.Data)
	}
	have, err := f.Read(name)
	if err != nil {
		return err
	}
	if err := finite(f, name, have); err != nil {
		return err
	}
	t := tableRecord{Name: q.Name, Rows: len(rows)}
	dim := q.Dim()
	for i, row := range rows {
		if row >= 0 {
			copy(q.Data[i*dim:(i+1)*dim], have[int(row)*dim:])
			t.Matched++
		}
	}
	rec.Tables = append(rec.Tables, t)
	return nil
}

func finite(f *ckpt.File, name string, x []float32) error {
	for i, v := range x {
		if v-v != 0 {
			return fmt.Errorf("%s: tensor %s: element %d is %v: the weights diverged, take others", f.Path, name, i, v)
		}
	}
	return nil
}

// log says what the weights are and which of them stay fresh.
func (st *start) log(s *Session, p *nn.Params, rec *startRecord) {
	s.Log.Info("starting weights", "file", st.file, "tensors", len(p.All())-len(rec.Missing), "digest", rec.Digest)
	if len(rec.Missing) > 0 {
		s.Log.Warn("tensors that the file lacks, or has of another shape, keep fresh values: train before use", "tensors", strings.Join(rec.Missing, " "))
	}
	if len(rec.Unexpected) > 0 {
		s.Log.Warn("tensors that the model lacks are ignored", "tensors", strings.Join(rec.Unexpected, " "))
	}
	for _, t := range rec.Tables {
		s.Log.Info("rows matched by token", "tensor", t.Name, "rows", t.Rows, "matched", t.Matched, "fresh", t.Rows-t.Matched)
	}
}

// digestOf identifies parameters: a hash, 16 hexadecimal digits, of names, shapes and values.
func digestOf(p *nn.Params) string {
	h := sha256.New()
	buf := make([]byte, 0, 1<<16)
	for _, q := range p.All() {
		fmt.Fprintf(h, "%q %v\n", q.Name, q.Shape)
		for x := q.Data; len(x) > 0; {
			n := min(len(x), cap(buf)/4)
			buf = buf[:0]
			for _, v := range x[:n] {
				buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
			}
			h.Write(buf) // a hash has no errors
			x = x[n:]
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
