package job

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/output"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/task"
)

// Predict writes the prediction for every row of the files at in to w, one a line in the order of the rows. It is that of the run, or
// of the ensemble of several runs. A prediction is a probability, a number, or the name of a class. Of a model of several tasks it is one of
// each, in the order of the data's labels, with tabs between them. Of a model that ranks a catalogue it is the names of TopK items, the best
// one first, with tabs between them. Predict returns the number of rows.
func (t *Ensemble) Predict(ctx context.Context, in string, w io.Writer) (rows int, err error) {
	out := bufio.NewWriterSize(w, 1<<20)
	rows, err = t.predict(ctx, in, func(line []byte) error {
		_, err := out.Write(append(line, '\n'))
		return err
	})
	if err != nil {
		return rows, err
	}
	return rows, out.Flush()
}

// PredictTable writes the predictions of [Ensemble.Predict] as a table, beside columns of the file at in. open gets the columns of the
// table: those, and prediction, or prediction_NAME for each of several labels, or item_1, item_2 and so on of a model that ranks a catalogue. The caller closes what open returned.
func (t *Ensemble) PredictTable(
	ctx context.Context, in string, columns []string, open func([]output.Column) (output.Table, error),
) (rows int, err error) {
	list, next, stop, err := t.passed(ctx, in, columns)
	if err != nil {
		return 0, err
	}
	defer stop()
	own, err := t.first().predicted(t.stream(ctx, in, false).src[0].Schema(), max(t.TopK, 1))
	if err != nil {
		return 0, err
	}
	list = append(list, own...)
	if err := output.CheckColumns(list); err != nil {
		return 0, run.BadInput(err)
	}
	table, err := open(list)
	if err != nil {
		return 0, run.BadInput(err)
	}
	row := make([][]byte, len(list))
	return t.predict(ctx, in, func(line []byte) error {
		clear(row)
		if len(columns) > 0 {
			cells, err, ok := next()
			if err == nil && !ok {
				err = fmt.Errorf("%s has changed while it was read: it has fewer rows now", in)
			}
			if err != nil {
				return run.BadInput(err)
			}
			copy(row, cells)
		}
		if len(own) == 1 {
			row[len(columns)] = line
			return table.Write(row)
		}
		for i := 0; i < len(own) && len(line) > 0; i++ {
			row[len(columns)+i], line, _ = bytes.Cut(line, []byte("\t"))
		}
		return table.Write(row)
	})
}

// passed returns the columns of a file that are passed along, and what returns their cells, row by row.
func (t *Ensemble) passed(
	ctx context.Context, in string, columns []string,
) (list []output.Column, next func() ([][]byte, error, bool), stop func(), err error) {
	if len(columns) == 0 {
		return nil, nil, func() {}, nil
	}
	r := t.first()
	p, ok := r.Data.(data.Passer)
	if !ok {
		name, _ := data.Datasets.NameOf(r.Data)
		return nil, nil, nil, run.BadInput(fmt.Errorf("%s was trained on data of type %s, whose columns cannot be passed along: those of csv and parquet can",
			r.Dir, name))
	}
	f, _, err := bound.Open(in) // a pipe cannot be read twice
	if err != nil {
		return nil, nil, nil, run.BadInput(fmt.Errorf("columns that are passed along are read beside the rows: %w", err))
	}
	if err := f.Close(); err != nil {
		return nil, nil, nil, err
	}
	of, err := p.Pass(ctx, in, columns, data.StreamOptions{Threads: r.Threads})
	if err != nil {
		return nil, nil, nil, run.BadInput(err)
	}
	kinds := map[data.CellKind]output.Kind{data.IntegerCells: output.Integer, data.NumberCells: output.Number, data.BooleanCells: output.Boolean}
	for i, name := range columns {
		list = append(list, output.Column{Name: name, Kind: kinds[of.Kinds[i]]})
	}
	next, stop = iter.Pull2(of.Rows)
	return list, next, stop, nil
}

// predict calls write with the prediction for every row, as a line without its end.
func (t *Ensemble) predict(ctx context.Context, in string, write func(line []byte) error) (rows int, err error) {
	p := t.stream(ctx, in, false)
	line, err := t.first().line(p.src[0].Schema(), t.TopK)
	if err != nil {
		return 0, err
	}
	if err := t.serves(p); err != nil {
		return 0, err
	}
	progs, closeAll, err := t.programs(p, true, false)
	if err != nil {
		return 0, err
	}
	defer closeAll()
	s, _, end, err := t.predictor(progs, p, false)
	if err != nil {
		return 0, err
	}
	defer end()
	var buf []byte
	for b, err := range p.src[0].Batches(0, s.Batch()) {
		if err != nil {
			return rows, run.BadInput(err)
		}
		if err := ctx.Err(); err != nil {
			return rows, err
		}
		if _, err := s.Run(b, 0); err != nil {
			return rows, differing(err)
		}
		z := s.Logits()
		width := len(z) / s.Batch()
		for i := range b.N {
			buf = line(buf[:0], z[i*width:(i+1)*width], b, i)
			if err := write(buf); err != nil {
				return rows, err
			}
		}
		rows += b.N
	}
	return rows, differing(end())
}

// predicted returns the columns of the run's predictions.
func (r *Run) predicted(sc *data.Schema, items int) (list []output.Column, err error) {
	if _, ranks := r.Task.(task.Ranking); ranks {
		for i := range items {
			list = append(list, output.Column{Name: fmt.Sprintf("item_%d", i+1)})
		}
		return list, nil
	}
	parts, err := task.Split(r.Task, sc)
	if err != nil {
		return nil, run.BadInput(err)
	}
	for _, p := range parts {
		c := output.Column{Name: "prediction", Kind: output.Single}
		if len(parts) > 1 {
			c.Name += "_" + p.Label
		}
		if _, ok := p.Task.(task.Classifier); ok && len(p.Classes(sc)) > 0 {
			c.Kind = output.Text
		}
		list = append(list, c)
	}
	return list, nil
}

// line returns what appends the prediction of a row's logits to a line.
func (r *Run) line(sc *data.Schema, top int) (func(line []byte, logits []float32, b *data.Batch, i int) []byte, error) {
	t := sc.Text
	ranking, ranks := r.Task.(task.Ranking)
	switch {
	case ranks:
		return r.recommended(ranking, max(top, 1)), nil
	case top > 0:
		return nil, run.BadInput(fmt.Errorf("%s ranks no catalogue, so that there are no top %d items of a row: runs of the task next_item have them", r.Dir, top))
	}
	if t != nil && t.MaskRate > 0 {
		return nil, run.BadInput(fmt.Errorf("%s predicts masked words, not something of a row; train its encoder on for a task: "+
			"finetune --from %s --config FILE", r.Dir, r.Dir))
	}
	parts, err := task.Split(r.Task, sc)
	if err != nil {
		return nil, run.BadInput(err)
	}
	return func(line []byte, logits []float32, _ *data.Batch, _ int) []byte {
		for i, p := range parts {
			if i > 0 {
				line = append(line, '\t')
			}
			line = appendPrediction(line, p, sc, logits)
		}
		return line
	}, nil
}

// appendPrediction appends the prediction of one task of a row: the name of a class, or a number.
func appendPrediction(line []byte, p task.Part, sc *data.Schema, logits []float32) []byte {
	own := p.Of(logits)
	if c, ok := p.Task.(task.Classifier); ok {
		if classes := p.Classes(sc); len(classes) > 0 {
			return append(line, classes[c.Classify(own, nil)]...)
		}
	}
	return strconv.AppendFloat(line, float64(p.Task.Predict(own)), 'g', -1, 32)
}

// recommended returns what appends the names of the top items of a row to a line.
func (r *Run) recommended(t task.Ranking, top int) func(line []byte, logits []float32, b *data.Batch, i int) []byte {
	var ids []int32
	return func(line []byte, logits []float32, b *data.Batch, i int) []byte {
		var seen []int32
		if b.Seen != nil {
			seen = b.Seen[i]
		}
		ids = t.Recommend(ids[:0], logits, seen, top)
		for k, id := range ids {
			if k > 0 {
				line = append(line, '\t')
			}
			line = append(line, r.Map.ItemName(id)...)
		}
		return line
	}
}

// differing marks an error of runs that do not read the same rows as the user's to mend.
func differing(err error) error {
	if errors.As(err, new(ensemble.RowsError)) || errors.As(err, new(*train.OutputError)) {
		return run.BadInput(err)
	}
	return err
}
