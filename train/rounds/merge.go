package rounds

import "math"

// Table is an embedding table in the hands of the workers, when all have made the same number of steps since the last merge.
type Table struct {
	Dim     int
	Ref     []float32     // [rows, Dim], at the last merge; of the new merge afterwards
	Workers [][]float32   // by worker; all are the merge afterwards
	States  [][][]float32 // the optimizer's, by slot and worker; all workers have the merge's afterwards
	Counts  [][]int64     // by worker and row: occurrences of the row in its batches since the last merge
	Touched [][]int32     // by worker and row: its steps since the last merge whose batch had a gradient of the row
	// by worker and row: its part of the row's occurrences in the rows of all workers; nil: not known
	Shares [][]float32
	Lazy   bool // the optimizer leaves rows alone that have no gradient
}

// Rows merges the rows [lo, hi) of a table, h steps of each worker after the last merge. Of workers k whose batches had a row n_k times,
// in t_k of their steps,
//
//	row = ref + (T/t)^g · Σ_k n_k·(row_k − ref) / Σ_k n_k,   t = Σ_k n_k·t_k / Σ_k n_k,   T = h·(1 − Π_k (1 − t_k/h))
//
// where t is how many steps of a worker touched the row, and T how many of h steps one run over all workers' rows would have touched it
// in, for touches that are independent of each other. One such step of the run moves the row about as far as one of a worker does, since
// optimizers with second moments normalise gradients: with g = 0 too few moves are left. The optimizer's states are the means with the
// weights n_k, without the factor. If only one worker touched a row, the row and its states are that worker's, bit for bit.
//
// Weights of a row that nobody counted are the steps that touched it, as negatives do that a loss draws. Rows that no step touched stay
// as they are where updates are lazy. Elsewhere L2 and momentum have moved them, and their weights are the shares. Sums are in float64,
// in the order of the workers.
func (o Options) Rows(t *Table, h int64, lo, hi int) {
	w := make([]float64, len(t.Workers))
	slots := t.States
	if o.States == StatesKeep {
		slots = nil
	}
	for row := lo; row < hi; row++ {
		touched := t.weights(w, row)
		if t.Lazy && !touched {
			continue
		}
		more := 0.0
		if touched {
			more = o.factor(t, w, row, h) - 1
		}
		at, to := row*t.Dim, (row+1)*t.Dim
		for i := at; i < to; i++ {
			x := mean(t.Workers, w, i)
			if more != 0 {
				x += more * (x - float64(t.Ref[i]))
			}
			t.Ref[i] = float32(x)
			set(t.Workers, i, t.Ref[i])
		}
		for _, s := range slots {
			for i := at; i < to; i++ {
				set(s, i, float32(mean(s, w, i)))
			}
		}
	}
}

// weights sets w to the workers' weights of a row, and reports whether a step touched the row.
func (t *Table) weights(w []float64, row int) (touched bool) {
	sum := 0.0
	for k := range w {
		w[k] = float64(t.Counts[k][row])
		sum += w[k]
	}
	touched = sum > 0
	for k := 0; sum == 0 && k < len(w); k++ {
		touched = touched || t.Touched[k][row] > 0
	}
	if sum > 0 || t.Lazy && !touched {
		return touched
	}
	for k := range w {
		switch {
		case touched:
			w[k] = float64(t.Touched[k][row])
		case t.Shares != nil:
			w[k] = float64(t.Shares[k][row])
		}
		sum += w[k]
	}
	for k := 0; sum == 0 && k < len(w); k++ {
		w[k] = 1
	}
	return touched
}

// factor returns (T/t)^g of a row.
func (o Options) factor(t *Table, w []float64, row int, h int64) float64 {
	workers, sum, steps, none := 0, 0.0, 0.0, 1.0
	for k := range w {
		n := float64(t.Touched[k][row])
		if n > 0 {
			workers++
		}
		sum += w[k]
		steps += w[k] * n
		none *= 1 - n/float64(h)
	}
	if workers < 2 || steps == 0 {
		return 1 // T is t
	}
	return math.Pow(float64(h)*(1-none)*sum/steps, o.Growth)
}

// mean returns Σ_k w_k·x_k[i] / Σ_k w_k. Equal values have a mean of the same bits, and so has a single one with a weight.
func mean(x [][]float32, w []float64, i int) float64 {
	sum, of := 0.0, 0.0
	for k, v := range w {
		if v != 0 {
			sum += v * float64(x[k][i])
			of += v
		}
	}
	return sum / of
}

func set(x [][]float32, i int, v float32) {
	for k := range x {
		x[k][i] = v
	}
}

// Mean sets the elements [lo, hi) of all workers to their mean over the workers.
func Mean(workers [][]float32, lo, hi int) {
	for i := lo; i < hi; i++ {
		set(workers, i, float32(plainMean(workers, i)))
	}
}

func plainMean(x [][]float32, i int) float64 {
	sum := 0.0
	for k := range x {
		sum += float64(x[k][i])
	}
	return sum / float64(len(x))
}

// Dense is a tensor without rows of its own, such as a tower's weights, in the hands of the workers.
type Dense struct {
	Ref      []float32   // at the last merge; of the new merge afterwards
	Workers  [][]float32 // by worker; all are the merge afterwards
	Momentum []float32   // of the outer optimizer, if it has one
}

// Weights merges the elements [lo, hi) of a tensor: to their mean, which the outer optimizer may change.
func (o Options) Weights(d *Dense, lo, hi int) {
	for i := lo; i < hi; i++ {
		x := plainMean(d.Workers, i)
		if d.Momentum != nil {
			x = o.Outer.Step(x, float64(d.Ref[i]), &d.Momentum[i])
		}
		d.Ref[i] = float32(x)
		set(d.Workers, i, d.Ref[i])
	}
}

// Statistics merges the running means and variances of a batch norm to those of all workers' batches together: the mean of the means,
// and the mean of the variances plus the variance of the means.
func Statistics(means, variances [][]float32) {
	for i := range means[0] {
		m, between := plainMean(means, i), 0.0
		for k := range means {
			d := float64(means[k][i]) - m
			between += d * d
		}
		set(variances, i, float32(plainMean(variances, i)+between/float64(len(means))))
		set(means, i, float32(m))
	}
}
