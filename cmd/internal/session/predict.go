package session

import (
	"bufio"
	"context"
	"io"
	"strconv"

	"github.com/splice-ml/splice/cmd/internal/cli"
	"github.com/splice-ml/splice/train/ckpt"
)

// Predict writes the prediction of every row of the files at in, one a line in the rows' order, to the file out ("-": to
// the standard output): that of the run, or of several runs' ensemble. The file appears when all rows are scored, or not at
// all.
func (t *Team) Predict(ctx context.Context, in, out string) error {
	p, err := t.stream(ctx, in, false)
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
				return err
			}
			z := s.Logits()
			width := len(z) / s.Batch()
			for i := range b.N {
				buf = strconv.AppendFloat(buf[:0], float64(f.Task.Predict(z[i*width:(i+1)*width])), 'g', -1, 32)
				if _, err := bw.Write(append(buf, '\n')); err != nil {
					return err
				}
			}
			rows += b.N
		}
		if err := end(); err != nil {
			return err
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
