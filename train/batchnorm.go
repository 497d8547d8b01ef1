package train

import (
	"context"
	"errors"
	"fmt"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// RecomputeOptions says how RecomputeBatchNorm runs.
type RecomputeOptions struct {
	Batch int    // rows of a batch; as many as in training, since the statistics are of batches
	Rows  int64  // number of rows to use at most, or 0 for all
	Seed  uint64 // seed of dropout's masks

	Precision kernel.Precision // of products
}

// RecomputeBatchNorm sets the running statistics of m's batch norms to the average over the batches of src. Weights that were put
// together from several models need it. Batches run in training mode, dropout included, and each layer sees what the layers before
// it make with the statistics of the batch, as in PyTorch's torch.optim.swa_utils.update_bn. A smaller batch after the first is left
// out. A model without batch norm is left as it is, and so are the statistics after an error.
func RecomputeBatchNorm(ctx context.Context, m models.Model, p *nn.Params, src data.Source, o RecomputeOptions) error {
	return recomputeBatchNorm(ctx, m, p, src, models.CompileOptions{Batch: o.Batch, Seed: o.Seed, Precision: o.Precision}, o.Rows)
}

func recomputeBatchNorm(ctx context.Context, m models.Model, p *nn.Params, src data.Source, o models.CompileOptions, rows int64) error {
	o.Train, o.Loss = true, nil
	prog, err := models.Compile(m, p, src.Schema(), o)
	if err != nil {
		return err
	}
	defer func() { prog.Close() }()
	if len(prog.BatchStats()) == 0 {
		return nil
	}
	if n := models.Longest(src.Schema()); n > 0 && o.Length == 0 { // one graph, since each has statistics' momenta of its own
		prog.Close()
		o.Length = n
		if prog, err = models.Compile(m, p, src.Schema(), o); err != nil {
			return err
		}
	}
	stats := prog.BatchStats()
	old := saveStats(stats)
	if err := averageStats(ctx, prog, stats, src, rows); err != nil {
		restoreStats(stats, old)
		return fmt.Errorf("train: batch norm: %w", err)
	}
	return nil
}

func averageStats(ctx context.Context, prog *models.Program, stats []*ops.BatchStats, src data.Source, limit int64) error {
	for _, s := range stats {
		clear(s.Mean)
		kernel.Fill(s.Var, 1)
	}
	batches, rows := 0, int64(0)
	for b, err := range src.Batches(0, prog.Batch()) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if batches > 0 && (b.N < prog.Batch() || limit > 0 && rows+int64(b.N) > limit) {
			break
		}
		if b.N < 2 {
			return fmt.Errorf("a batch of %d row has no variance: give at least 2 rows", b.N)
		}
		for _, s := range stats {
			s.Momentum = 1 / float64(batches+1)
		}
		if _, err := prog.Run(b, int64(batches)); err != nil {
			return err
		}
		batches++
		rows += int64(b.N)
	}
	if batches == 0 {
		return errors.New("there are no rows to compute the statistics from")
	}
	for i, s := range stats {
		if nn.NotFinite(s.Mean) >= 0 || nn.NotFinite(s.Var) >= 0 {
			return fmt.Errorf("the statistics of layer %d of %d are not finite: look for extreme values in weights or data",
				i+1, len(stats))
		}
	}
	return nil
}

// saveStats copies the statistics' values.
func saveStats(stats []*ops.BatchStats) [][]float32 {
	var old [][]float32
	for _, s := range stats {
		old = append(old, append([]float32(nil), s.Mean...), append([]float32(nil), s.Var...))
	}
	return old
}

func restoreStats(stats []*ops.BatchStats, old [][]float32) {
	for i, s := range stats {
		copy(s.Mean, old[2*i])
		copy(s.Var, old[2*i+1])
	}
}
