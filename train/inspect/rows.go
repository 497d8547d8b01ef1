// Package inspect finds out what a trained model goes by: the columns that its metrics need, and the rows on which it is better or worse.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// Rows are rows of a source, held in memory in their order.
type Rows struct {
	Of int64 // rows that the source has

	schema *data.Schema
	all    *data.Batch // its N rows
}

// HoldOptions say which rows of a source are held.
type HoldOptions struct {
	Most   int    // rows that are held at most, above 0; of a source with more, they are drawn without replacement
	Key    uint64 // of the stream of random numbers
	Groups bool   // draw whole groups of rows, such as all rows of a user, as many as fit
}

// ErrGroup says that no group of rows is small enough to be held.
var ErrGroup = errors.New("no group of rows is so small")

// Hold reads a source and holds its rows, or a sample of them. Memory is bounded by the options, whatever the source has. A row has a random
// number, or its group has, and the rows of the least numbers are the sample.
func Hold(ctx context.Context, src data.Source, o HoldOptions) (*Rows, error) {
	room := 2 * o.Most
	if n := src.Rows(); n >= 0 && n < int64(room) {
		room = max(1, int(n))
	}
	r := &Rows{schema: src.Schema(), all: data.NewBatch(src.Schema(), room)}
	numbers := make([]float64, 0, room)
	limit := math.Inf(1) // rows of such a number and above are left out
	for b, err := range src.Batches(0, min(room, holdBatch)) {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		r.all.LastOnly = b.LastOnly
		for i := range b.N {
			at := r.Of
			r.Of++
			if o.Groups && b.Group != nil {
				at = b.Group[i]
			}
			u := rng.Float(o.Key, at)
			if u >= limit {
				continue
			}
			if r.all.N == room {
				numbers, limit = r.prune(numbers, o.Most)
				if u >= limit {
					continue
				}
			}
			r.set(r.all.N, b, i)
			r.all.N++
			numbers = append(numbers, u)
		}
	}
	if r.all.N > o.Most {
		r.prune(numbers, o.Most)
	}
	if r.all.N == 0 && r.Of > 0 {
		return nil, fmt.Errorf("%w that it has at most %d rows", ErrGroup, o.Most)
	}
	return r, nil
}

// holdBatch is how many rows are read at once.
const holdBatch = 1024

// prune leaves the rows of the least numbers, at most so many. Those of equal numbers stay together. It returns their numbers, and the least one
// of those that are left out.
func (r *Rows) prune(numbers []float64, most int) ([]float64, float64) {
	order := slices.Clone(numbers)
	slices.Sort(order)
	if len(order) <= most {
		return numbers, math.Inf(1)
	}
	limit := order[most]
	n := 0
	for i, u := range numbers {
		if u < limit {
			r.set(n, r.all, i)
			numbers[n] = u
			n++
		}
	}
	r.all.N = n
	return numbers[:n], limit
}

// set copies row i of b to row k.
func (r *Rows) set(k int, b *data.Batch, i int) {
	for _, f := range r.schema.Features {
		copyIDs(r.all, k, b, i, &f)
	}
	copyRest(r.all, k, b, i)
}

func copyIDs(to *data.Batch, k int, b *data.Batch, i int, f *data.Feature) {
	if w := f.Width(); w > 0 {
		copy(to.IDs[f.Name][k*w:(k+1)*w], b.IDs[f.Name][i*w:])
		return
	}
	width, at := len(b.Dense)/b.Size, f.Column
	copy(to.Dense[k*width+at:k*width+at+f.Numbers()], b.Dense[i*width+at:])
}

// copyRest copies what a row has beside its features.
func copyRest(to *data.Batch, k int, b *data.Batch, i int) {
	to.Label[k] = b.Label[i]
	for l := 1; l < len(to.Labels); l++ {
		to.Labels[l][k] = b.Labels[l][i]
	}
	if to.Weight != nil {
		to.Weight[k] = b.Weight[i]
	}
	if to.Group != nil {
		to.Group[k] = b.Group[i]
	}
	if to.Seen != nil {
		to.Seen[k] = nil
		if b.Seen != nil {
			to.Seen[k] = slices.Clone(b.Seen[i])
		}
	}
}

// Held returns how many rows are held.
func (r *Rows) Held() int { return r.all.N }

// Source returns the rows, in their order.
func (r *Rows) Source() data.Source { return &view{rows: r} }

// Permuted returns the rows with the values of a column from other rows: row i has those of row order[i].
func (r *Rows) Permuted(c Column, order []int) data.Source {
	return &view{rows: r, permuted: c.Features, order: order}
}

// view is a source of held rows.
type view struct {
	rows     *Rows
	permuted []string
	order    []int
}

// Schema implements [data.Source].
func (v *view) Schema() *data.Schema { return v.rows.schema }

// Rows implements [data.Source].
func (v *view) Rows() int64 { return int64(v.rows.all.N) }

// Batches implements [data.Source].
func (v *view) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		b, all := data.NewBatch(v.rows.schema, size), v.rows.all
		b.LastOnly = all.LastOnly
		for lo := 0; lo < all.N; lo += size {
			n := min(size, all.N-lo)
			if n < size {
				b = data.NewBatch(v.rows.schema, size) // padding is zero
				b.LastOnly = all.LastOnly
			}
			b.N = n
			for _, f := range v.rows.schema.Features {
				moved := slices.Contains(v.permuted, f.Name)
				for k := range n {
					from := lo + k
					if moved {
						from = v.order[from]
					}
					copyIDs(b, k, all, from, &f)
				}
			}
			for k := range n {
				copyRest(b, k, all, lo+k)
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}
