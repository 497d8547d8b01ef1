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
// Out). The file appears when all rows are scored, or not at all.
func (r *Run) Predict(ctx context.Context, in, out string) error {
	src, err := r.Stream(ctx, in, false)
	if err != nil {
		return err
	}
	prog, err := r.Program(src.Schema())
	if err != nil {
		return err
	}
	defer prog.Close()
	rows := 0
	write := func(w io.Writer) error {
		bw := bufio.NewWriterSize(w, 1<<20)
		var buf []byte
		for b, err := range src.Batches(0, prog.Batch()) {
			if err != nil {
				return cli.BadInput(err)
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			if _, err := prog.Run(b, 0); err != nil {
				return err
			}
			z := prog.Logits()
			width := len(z) / prog.Batch()
			for i := range b.N {
				buf = strconv.AppendFloat(buf[:0], float64(r.Task.Predict(z[i*width:(i+1)*width])), 'g', -1, 32)
				if _, err := bw.Write(append(buf, '\n')); err != nil {
					return err
				}
			}
			rows += b.N
		}
		return bw.Flush()
	}
	if out == "-" {
		return write(r.Out)
	}
	if err := ckpt.WriteFile(out, write); err != nil {
		return err
	}
	r.Log.Info("predicted", "rows", rows, "file", out)
	return nil
}
