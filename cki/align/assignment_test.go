package align_test

import (
	"math"
	"testing"
	"time"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/data/rng"
)

func total(cost []float64, p []int) (sum float64) {
	for i, j := range p {
		sum += cost[i*len(p)+j]
	}
	return sum
}

// brute returns the least cost over all permutations.
func brute(cost []float64, n int) float64 {
	best, used := math.Inf(1), make([]bool, n)
	var try func(i int, sum float64)
	try = func(i int, sum float64) {
		if i == n {
			best = min(best, sum)
			return
		}
		for j := range n {
			if !used[j] {
				used[j] = true
				try(i+1, sum+cost[i*n+j])
				used[j] = false
			}
		}
	}
	try(0, 0)
	return best
}

func permutation(p []int, n int) bool {
	seen := make([]bool, n)
	for _, j := range p {
		if j < 0 || j >= n || seen[j] {
			return false
		}
		seen[j] = true
	}
	return len(p) == n
}

func TestAssignmentIsTheBestOfAll(t *testing.T) {
	r := rng.New(1)
	for n := range 8 {
		for range 40 {
			cost := make([]float64, n*n)
			for i := range cost {
				cost[i] = r.NormFloat64()
				if r.IntN(3) == 0 {
					cost[i] = float64(r.IntN(3)) // ties
				}
			}
			p, err := align.Assignment(cost, n)
			if err != nil {
				t.Fatal(err)
			}
			want := 0.0
			if n > 0 {
				want = brute(cost, n)
			}
			if !permutation(p, n) || math.Abs(total(cost, p)-want) > 1e-12 {
				t.Fatalf("Assignment(%v, %d) = %v with cost %v, want %v", cost, n, p, total(cost, p), want)
			}
		}
	}
}

// TestAssignmentOfAHiddenLayer: with prices u and v, costs u_i + v_j + slack, and slack 0 on one permutation alone, that
// permutation is the best one by duality.
func TestAssignmentOfAHiddenLayer(t *testing.T) {
	const n = 400
	r := rng.New(2)
	hidden, cost := r.Perm(n), make([]float64, n*n)
	u, v := make([]float64, n), make([]float64, n)
	for i := range n {
		u[i], v[i] = 10*r.NormFloat64(), 10*r.NormFloat64()
	}
	for i := range n {
		for j := range n {
			cost[i*n+j] = u[i] + v[j]
			if hidden[i] != j {
				cost[i*n+j] += 0.01 + r.Float64()
			}
		}
	}
	begin := time.Now()
	p, err := align.Assignment(cost, n)
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(begin); d > 2*time.Second {
		t.Errorf("%d units take %v", n, d)
	}
	for i := range p {
		if p[i] != hidden[i] {
			t.Fatalf("row %d gets column %d, want %d", i, p[i], hidden[i])
		}
	}
}

func TestAssignmentRefuses(t *testing.T) {
	for _, tc := range []struct {
		cost []float64
		n    int
	}{{[]float64{1, 2, 3}, 2}, {[]float64{1, math.NaN(), 3, 4}, 2}, {[]float64{1, 2, math.Inf(1), 4}, 2}, {nil, -1}} {
		if p, err := align.Assignment(tc.cost, tc.n); err == nil {
			t.Errorf("Assignment(%v, %d) = %v and no error", tc.cost, tc.n, p)
		}
	}
}

func BenchmarkAssignment400(b *testing.B) {
	const n = 400
	r := rng.New(3)
	cost := make([]float64, n*n)
	for i := range cost {
		cost[i] = r.NormFloat64()
	}
	for b.Loop() {
		if _, err := align.Assignment(cost, n); err != nil {
			b.Fatal(err)
		}
	}
}
