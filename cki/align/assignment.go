package align

import (
	"fmt"
	"math"
)

// Assignment returns the permutation p of n columns that makes the sum of cost[i·n + p[i]] over the rows i smallest. It adds
// one row after another along a shortest augmenting path, with prices that keep all reduced costs at or above 0 (Jonker and
// Volgenant 1987), in O(n³). Of equal permutations it returns the same one each time.
func Assignment(cost []float64, n int) ([]int, error) {
	if n < 0 || len(cost) != n*n {
		return nil, fmt.Errorf("align: assignment: %d costs for %d rows and columns", len(cost), n)
	}
	for i, c := range cost {
		if math.IsNaN(c) || math.IsInf(c, 0) {
			return nil, fmt.Errorf("align: assignment: the cost of row %d, column %d is %v", i/n, i%n, c)
		}
	}
	u, v := make([]float64, n), make([]float64, n+1) // prices of rows and columns; column n is where a new row starts from
	row := make([]int, n+1)                          // of a column, -1 if it is free
	for j := range row {
		row[j] = -1
	}
	dist, prev, done := make([]float64, n), make([]int, n), make([]bool, n+1)
	for i := range n {
		for j := range n {
			dist[j], done[j] = math.Inf(1), false
		}
		done[n] = false
		row[n] = i
		at := n
		for row[at] >= 0 {
			done[at] = true
			r, next, least := row[at], -1, math.Inf(1)
			line := cost[r*n : (r+1)*n]
			for j, c := range line {
				if done[j] {
					continue
				}
				if d := c - u[r] - v[j]; d < dist[j] {
					dist[j], prev[j] = d, at
				}
				if next < 0 || dist[j] < least {
					next, least = j, dist[j]
				}
			}
			for j := range n {
				if done[j] {
					u[row[j]] += least
					v[j] -= least
				} else {
					dist[j] -= least
				}
			}
			u[row[n]] += least
			at = next
		}
		for at != n {
			row[at] = row[prev[at]]
			at = prev[at]
		}
	}
	p := make([]int, n)
	for j := range n {
		p[row[j]] = j
	}
	return p, nil
}
