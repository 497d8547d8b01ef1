package embed

import (
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/ops"
)

// index numbers the distinct ids that a batch looks up in one id space, in ascending order. An id space is that of a feature, or
// of features that share a table. The embedding and the linear term of a feature share an index.
type index struct {
	batch int
	lanes []lane
	ids   []int32   // the id of each slot, ascending
	mark  []int32   // the slot of each id, valid if ids[slot] is the id
	plan  *ops.Plan // adds up what the index needs, in the place of its lists; may be nil
	early bool      // it is built before the gather, since rows are derived
}

// lane is one feature of an index.
type lane struct {
	feature *data.Feature
	slots   []int32 // [batch·width]: the slot of each id, -1 for padding
	ids     []int32 // of the batch that is gathered
	own     []int32 // a lookup's own ids, in place of the batch's
	used    *int    // how many of them this run has; nil for all
	counted bool    // it is one of own ids in a plan, which has none
}

// lane returns the lane of a feature, or of a lookup's own ids of it, made if need be.
func (x *index) lane(f *data.Feature, l *Lookup) int {
	own, n := l.IDs, l.Count
	if n == 0 {
		n = x.batch * width(f)
		for i := range x.lanes {
			if x.lanes[i].feature.Name == f.Name && x.lanes[i].own == nil && !x.lanes[i].counted {
				return i
			}
		}
	}
	if x.plan != nil {
		x.lanes = append(x.lanes, lane{feature: f, counted: l.Count > 0})
		x.plan.Count(4 * (2*float64(n) + float64(f.Vocab)))
		return len(x.lanes) - 1
	}
	x.lanes = append(x.lanes, lane{feature: f, slots: make([]int32, n), own: own, used: l.Used})
	if f.Vocab > len(x.mark) {
		x.mark = make([]int32, f.Vocab)
	}
	x.ids = make([]int32, 0, min(cap(x.ids)+n, len(x.mark)))
	return len(x.lanes) - 1
}

// build numbers the distinct ids of the batch's live rows, in ascending order.
func (x *index) build(b *data.Batch) {
	ids, mark := x.ids[:0], x.mark
	for i := range x.lanes {
		for _, id := range x.lanes[i].live(b) {
			if s := mark[id]; id != 0 && (int(s) >= len(ids) || ids[s] != id) {
				mark[id] = int32(len(ids))
				ids = append(ids, id)
			}
		}
	}
	slices.Sort(ids)
	for s, id := range ids {
		mark[id] = int32(s)
	}
	for i := range x.lanes {
		l := &x.lanes[i]
		for k, id := range l.live(b) {
			if id == 0 {
				l.slots[k] = -1
			} else {
				l.slots[k] = mark[id]
			}
		}
	}
	x.ids = ids
}

// live returns the ids of the lane's feature in the batch's live rows, or the lane's own.
func (l *lane) live(b *data.Batch) []int32 {
	switch {
	case l.used != nil:
		return l.own[:*l.used]
	case l.own != nil:
		return l.own
	}
	return Live(b, l.feature)
}
