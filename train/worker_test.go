package train

import (
	"math"
	"testing"

	"github.com/splice-ml/splice/data"
)

// rowsOf is a source that has so many rows.
type rowsOf struct {
	data.Source
	rows int64
}

func (s rowsOf) Rows() int64 { return s.rows }

// TestLazyFactors: over a pass, the L2 of a row is that of a run over all rows, which has it once for each batch with the row:
// Σ_k f_k·t_k = T. A row of rare ids has it whole in each update, one that is in every batch has its share.
func TestLazyFactors(t *testing.T) {
	occurrences := [][]int64{ // by worker
		{0, 0, 1, 3, 900, 900, 20},
		{0, 2, 1, 1, 900, 0, 300},
		{0, 0, 1, 0, 900, 0, 4},
	}
	var workers []*worker
	var all []*counts
	for k, n := range occurrences {
		shares := make([]float32, len(n))
		for i := range n {
			if sum := occurrences[0][i] + occurrences[1][i] + occurrences[2][i]; sum > 0 {
				shares[i] = float32(n[i]) / float32(sum)
			}
		}
		trainer := &Trainer{Options: Options{BatchSize: 30}, Data: &data.Splits{Train: rowsOf{rows: 900}}}
		workers = append(workers, &worker{fit: &fit{Trainer: trainer}, shares: map[string][]float32{"e": shares}})
		all = append(all, &counts{table: map[string]*countGroup{"e": {n: occurrences[k]}}})
	}
	for row := 1; row < len(occurrences[0]); row++ {
		sum, got := 0.0, 0.0
		for k, n := range occurrences {
			sum += float64(n[row])
			if f := lazyFactors(workers, all, k)["e"][row]; n[row] > 0 {
				got += float64(f) * (1 - math.Pow(1-float64(n[row])/900, 30))
			}
		}
		want := 1 - math.Pow(1-sum/2700, 90)
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("row %d: L2 in a part of %v of the batches, want %v", row, got, want)
		}
	}
	for _, tc := range []struct {
		worker, row int
		want        float64
	}{{1, 1, 1}, {0, 2, 1}, {0, 3, 1}, {2, 4, 1.0 / 3}, {0, 5, 1}} {
		if f := float64(lazyFactors(workers, all, tc.worker)["e"][tc.row]); math.Abs(f-tc.want) > .05 {
			t.Errorf("row %d of worker %d has the factor %v, want about %v", tc.row, tc.worker, f, tc.want)
		}
	}
}
