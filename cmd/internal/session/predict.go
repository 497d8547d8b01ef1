package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/task"
)

// Predict writes the prediction of every row of the files at in, one a line in the rows' order, to the file out ("-": to
// the standard output): that of the run, or of several runs' ensemble. It is a probability, a number, or the name of a class. The
// file appears when all rows are scored, or not at all.
func (t *Team) Predict(ctx context.Context, in, out string) error {
	p, err := t.stream(ctx, in, false)
	if err != nil {
		return err
	}
	predict, err := t.first().predictor(p.src[0].Schema())
	if err != nil {
		return err
	}
	progs, closeAll, err := t.programs(p)
	if err != nil {
		return err
	}
	defer closeAll()
	s, _, end, err := t.scorer(progs, p, false)
	if err != nil {
		return err
	}
	f := t.first()
	rows := 0
	write := func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		var buf []byte
		for b, err := range p.src[0].Batches(0, s.Batch()) {
			if err != nil {
				return cli.BadInput(err)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := s.Run(b, 0); err != nil {
				return differing(err)
			}
			z := s.Logits()
			width := len(z) / s.Batch()
			for i := range b.N {
				buf = predict(buf[:0], z[i*width:(i+1)*width])
				if _, err := bw.Write(append(buf, '\n')); err != nil {
					return err
				}
			}
			rows += b.N
		}
		if err := end(); err != nil {
			return differing(err)
		}
		return bw.Flush()
	}
	defer end()
	if out == "-" {
		return write(f.Out)
	}
	if err := ckpt.WriteFile(out, write); err != nil {
		return err
	}
	f.Log.Info("predicted", "rows", rows, "file", out)
	return nil
}

// predictor returns what appends the prediction of a row's logits to a line.
func (r *Run) predictor(sc *data.Schema) (func(line []byte, logits []float32) []byte, error) {
	if t := sc.Text; t != nil && t.MaskRate > 0 {
		return nil, cli.BadInput(fmt.Errorf("predict: %s predicts masked words, not something of a row; train its encoder on for a task: finetune --from %s --config FILE", r.Dir, r.Dir))
	} else if c, ok := r.Task.(task.Classifier); ok && t != nil && len(t.Labels) > 0 {
		return func(line []byte, logits []float32) []byte { return append(line, t.Labels[c.Classify(logits, nil)]...) }, nil
	}
	return func(line []byte, logits []float32) []byte {
		return strconv.AppendFloat(line, float64(r.Task.Predict(logits)), 'g', -1, 32)
	}, nil
}

// differing marks an error of runs that do not read the same rows as the user's to mend.
func differing(err error) error {
	if errors.As(err, new(ensemble.RowsError)) {
		return cli.BadInput(err)
	}
	return err
}
