package history

import (
	"fmt"
	"iter"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
)

// everything is the rows of a part with all items as candidates: for each action to predict a row of each item that its user did not have
// before, in the order of their ids, and one of the action's own item.
type everything struct{ r *Rows }

// Everything implements [data.Candidates]. It is nil if the rows are none of candidates.
func (r *Rows) Everything() data.Whole {
	if r.Set.Sequences || r.Open || r.kept != nil {
		return nil
	}
	return everything{r}
}

// Schema returns the features of the rows.
func (e everything) Schema() *data.Schema { return e.r.Set.Schema }

// Items returns the number of items of the catalogue.
func (e everything) Items() int { return e.r.Set.catalog - data.FirstID }

// Rows returns -1: users had different numbers of items.
func (e everything) Rows() int64 { return -1 }

// Batches returns the rows, which are the same in each epoch.
func (e everything) Batches(_, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		if size <= 0 {
			yield(nil, fmt.Errorf("data: batches of %d rows, want a positive size", size))
			return
		}
		s := e.r.Set
		made := make([]*data.Batch, scan.Prefetched)
		for i := range made {
			made[i] = data.NewBatch(s.Schema, size)
		}
		at, id := 0, int32(0) // the action in work, and the item of its next row
		had := make([]int, s.catalog)
		scan.Prefetch(made, func(b *data.Batch) (bool, error) {
			b.N = 0
			for ; at < len(e.r.all) && b.N < size; at, id = at+1, 0 {
				action := e.r.all[at]
				u := s.Log.userOf(action)
				target, seen := s.IDs[action], s.IDs[s.Log.Start[u]:action]
				for _, own := range seen {
					had[own] = at + 1
				}
				for ; int(id) < s.catalog && b.N < size; id++ {
					if id != target && (id < data.FirstID || had[id] == at+1) {
						continue
					}
					b.IDs[ItemColumn][b.N], b.Label[b.N], b.Group[b.N], b.Seen[b.N] = id, 0, s.Group[u], seen
					if id == target {
						b.Label[b.N] = 1
					}
					history := b.IDs[HistoryColumn][b.N*s.MaxLen : (b.N+1)*s.MaxLen]
					clear(history[copy(history, seen[max(0, len(seen)-s.MaxLen):]):])
					b.N++
				}
				if int(id) < s.catalog {
					break // the batch is full
				}
			}
			if b.N == 0 {
				return false, nil
			}
			e.r.pad(b)
			return true, nil
		}, yield)
	}
}
