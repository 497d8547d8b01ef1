package train

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// worker is a training on a shard, of which others say how far it goes. Between its steps, what it holds may be merged with what other
// workers hold.
type worker struct {
	*fit
	touched map[string][]int32   // by table: steps since the last merge that had a gradient of each row
	shares  map[string][]float32 // by table: see rounds.Table; nil if nothing needs them
}

// errPaused says that a training has made the steps that it was to make.
var errPaused = errors.New("train: paused")

// newWorker returns a worker that starts from the values in t.Params. It makes up to steps optimizer steps, over its rows again and again.
func newWorker(ctx context.Context, t Trainer, steps int64) (*worker, error) {
	t.Epochs, t.MaxSteps = math.MaxInt32, steps
	t.EvalSteps, t.CheckpointSteps, t.Patience, t.Keep = 0, 0, 0, "best"
	t.Resume, t.CacheFeatures = false, false
	parts := *t.Data
	parts.Valid, parts.Test = nil, nil
	t.Data = &parts
	w := &worker{fit: &fit{Trainer: &t, told: map[string]bool{}, driven: true}, touched: map[string][]int32{}}
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	for _, u := range w.prog.Tables() {
		w.touched[u.Param.Name] = make([]int32, u.Param.Shape[0])
	}
	w.stepping = w.touch
	return w, nil
}

// advance makes steps until so many are made.
func (w *worker) advance(ctx context.Context, steps int64) error {
	w.pause = steps
	for w.st.Step < steps {
		if err := w.epoch(ctx); err != nil && !errors.Is(err, errPaused) {
			return err
		}
	}
	return nil
}

// touch counts the rows that a step has gradients of.
func (w *worker) touch(tables []models.RowGrad) {
	for _, t := range tables {
		n := w.touched[t.Param.Name]
		for _, id := range t.IDs {
			n[id]++
		}
	}
}

// forget makes the counts those since a merge.
func (w *worker) forget() {
	for _, n := range w.touched {
		clear(n)
	}
	for _, g := range w.counts.groups {
		clear(g.n)
	}
}

// countRows returns how often each row of each trained table is in the rows of a source.
func (w *worker) countRows(ctx context.Context, src data.Source) (*counts, error) {
	c := newCounts(w.prog.Tables())
	for b, err := range src.Batches(0, w.BatchSize) {
		if err != nil {
			return nil, fmt.Errorf("train: %w", err)
		}
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		c.add(b)
	}
	return c, nil
}

// share sets the workers' shares of the rows: of a row that is c_k times in the rows of worker k, c_k / Σ c_k. A row that is in no worker's
// rows has equal shares. A worker's L2 of a row is its share of the L2 of a run over all rows.
func share(ctx context.Context, workers []*worker) error {
	var all []*counts
	for k, w := range workers {
		c, err := w.countRows(ctx, w.Data.Train)
		if err != nil {
			return fmt.Errorf("worker %d: %w", k+1, err)
		}
		all = append(all, c)
		w.shares = map[string][]float32{}
	}
	for name := range all[0].table {
		for k, w := range workers {
			out := make([]float32, len(all[k].table[name].n))
			for row := range out {
				sum := int64(0)
				for _, c := range all {
					sum += c.table[name].n[row]
				}
				out[row] = 1 / float32(len(workers))
				if sum > 0 {
					out[row] = float32(float64(all[k].table[name].n[row]) / float64(sum))
				}
			}
			w.shares[name] = out
		}
	}
	for k, w := range workers {
		factors := w.shares
		if w.Embeddings != "dense" {
			factors = lazyFactors(workers, all, k)
		}
		of := func(name string) []float32 {
			if w.l2(w.Params.Get(name)) == 0 {
				return nil
			}
			return factors[name]
		}
		w.opt.SetRowL2(of)
		w.norm.Rows = of
	}
	return nil
}

// lazyFactors returns the factors of worker k's L2 of rows where an update is of the batch's rows alone. The share is then divided among
// fewer updates: those of a worker, of which there are a part t_k/T of those of a run over all rows. So the factor is the share times T/t_k,
// where T and t_k are the parts of all batches that have the row.
func lazyFactors(workers []*worker, all []*counts, k int) map[string][]float32 {
	rows, size := 0.0, 0
	for _, w := range workers {
		rows += float64(w.Data.Train.Rows())
		size += w.BatchSize
	}
	w, factors := workers[k], map[string][]float32{}
	for name, g := range all[k].table {
		out := make([]float32, len(g.n))
		for row, n := range g.n {
			sum := int64(0)
			for _, c := range all {
				sum += c.table[name].n[row]
			}
			out[row] = 1
			if n > 0 {
				out[row] = w.shares[name][row] * float32(batchesWith(sum, rows, size)/batchesWith(n, float64(w.Data.Train.Rows()), w.BatchSize))
			}
		}
		factors[name] = out
	}
	return factors
}

// batchesWith returns the part of random batches of size of rows rows that have a value which is n times in the rows.
func batchesWith(n int64, rows float64, size int) float64 {
	return 1 - math.Pow(1-min(1, float64(n)/rows), float64(size))
}

// needShares reports whether shares of rows have a say: where there is L2 of rows, or where rows move that no step touched.
func (w *worker) needShares() bool {
	if w.Embeddings == "dense" {
		return true
	}
	for _, u := range w.prog.Tables() {
		if w.l2(u.Param) != 0 {
			return true
		}
	}
	return false
}

// states returns the optimizer's states of a parameter; none if it is not trained.
func (w *worker) states(q *nn.Param, trained map[string]int) [][]float32 {
	n, ok := trained[q.Name]
	if !ok {
		return nil
	}
	return w.opt.Slots(q.Name, n)
}
