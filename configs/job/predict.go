package job

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/splice-ml/splice/data"
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
	out := bufio.NewWriterSize(w, 1<<20)
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
			if _, err := out.Write(append(buf, '\n')); err != nil {
				return rows, err
			}
		}
		rows += b.N
	}
	if err := end(); err != nil {
		return rows, differing(err)
	}
	return rows, out.Flush()
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
