package history

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// Columns of the rows.
const (
	ItemColumn    = "item"    // the action to predict, or one that the user did not take
	HistoryColumn = "history" // the actions before
	TableName     = "item"    // the table of both
)

// Beside returns the column of what is known of the items of a history by that name.
func Beside(name string) string { return HistoryColumn + "_" + name }

// Rows are the rows of a part of a split log. A row is an action to predict, or a negative of it, with the history before.
type Rows struct {
	Set   *Set
	Part  data.Part
	Seed  uint64 // of the order of train rows
	Whole bool   // a train row is the whole of a user's train actions
	Open  bool   // a row is the whole of a user's actions, and what comes next is not known

	drawn uint64   // seed of the negatives of train rows, a view's too
	kept  []uint32 // places of a view's rows; nil if it has all
	mix   bool     // epochs have orders of their own
	all   []int64  // the actions to predict, ascending; with Open the users
}

// Set is what the parts of a split log share. Everything in it is by the ids of a vocabulary.
type Set struct {
	Schema    *data.Schema
	Log       *Log
	IDs       []int32   // by action: the id of its item
	Own       [][]int32 // by user: the ids that the user ever had, ascending, each once
	Group     []int64   // by user: the key of the group
	MaxLen    int
	Negatives [data.TestPart + 1]int // of each action to predict, by part
	Sequences bool                   // rows have no item: their label is the id of the next one
	ByCount   bool                   // negatives are drawn by how often users had them, not uniformly
	EvalSeed  uint64                 // of the negatives of validation and test
	Stride    int                    // of Sequences: actions between the train rows of a user; 0: there is one

	parts   *Parts
	derive  func(*data.Batch) // fills the features that follow from items
	catalog int               // ids FirstID to catalog-1 are items
	drawn   []int32           // ids of all train actions, if negatives are drawn by their number
}

// NewSet returns the parts of a split log, encoded by m, whose table [TableName] has the items.
func NewSet(l *Log, p *Parts, m *data.FeatureMap, s Set) (*Set, error) {
	v := m.Table(TableName)
	s.Log, s.parts, s.Schema, s.catalog, s.derive = l, p, m.Schema(true), v.Size(), m.Derive
	ids := make([]int32, len(l.Names))
	for i, name := range l.Names {
		ids[i] = v.ID([]byte(name))
	}
	s.IDs = make([]int32, len(l.Item))
	for i, item := range l.Item {
		s.IDs[i] = ids[item]
	}
	counts := make([]int64, s.catalog)
	for u, end := range p.TrainEnd { // of a log to predict there are none
		for _, id := range s.IDs[l.Start[u]:end] {
			counts[id]++
		}
	}
	s.Schema.Counts = map[string][]int64{TableName: counts}
	s.Group = make([]int64, len(l.Users))
	for u, name := range l.Users {
		s.Group[u] = scan.ParseGroup([]byte(name))
	}
	s.Own = make([][]int32, len(l.Users))
	own := slices.Clone(s.IDs)
	most := slices.Max(s.Negatives[:])
	if s.Sequences {
		most = 0
	}
	for u := range l.Users {
		o := own[l.Start[u]:l.Start[u+1]]
		slices.Sort(o)
		s.Own[u] = slices.Compact(o)
		if free := s.catalog - data.FirstID - len(s.Own[u]); most > 0 && free < most {
			return nil, fmt.Errorf("user %q had all but %d of %d items, which leaves no %d negatives; lower negatives and eval_negatives",
				l.Users[u], free, s.catalog-data.FirstID, most)
		}
	}
	if s.ByCount {
		for u := range l.Users {
			s.drawn = append(s.drawn, s.IDs[l.Start[u]:p.TrainEnd[u]]...)
		}
	}
	return &s, nil
}

// Rows returns the rows of a part. Train rows are the actions with at least minHistory before them, or of sequences the windows of users. There
// may be none.
func (s *Set) Rows(part data.Part, minHistory int, seed uint64) *Rows {
	r := &Rows{Set: s, Part: part, Seed: seed, drawn: seed, Whole: s.Sequences && part == data.TrainPart, mix: part == data.TrainPart}
	switch {
	case part != data.TrainPart:
		r.all = s.parts.Target[part]
	case s.Sequences:
		for u, end := range s.parts.TrainEnd {
			r.all = s.windows(r.all, s.Log.Start[u], end-1, max(1, minHistory))
		}
	default:
		for u, end := range s.parts.TrainEnd {
			for i := s.Log.Start[u] + int64(minHistory); i < end; i++ {
				r.all = append(r.all, i)
			}
		}
	}
	return r
}

// windows appends the last actions of a user's train rows, ascending: the user's last one and, with a stride, those before it at that
// distance, until the history of one begins with the user's first action.
func (s *Set) windows(dst []int64, start, last int64, minHistory int) []int64 {
	first := len(dst)
	for at := last; at-start >= int64(minHistory); at -= int64(s.Stride) {
		dst = append(dst, at)
		if s.Stride == 0 || at-start <= int64(s.MaxLen) {
			break
		}
	}
	slices.Reverse(dst[first:])
	return dst
}

// Schema returns the features of the rows.
func (r *Rows) Schema() *data.Schema { return r.Set.Schema }

// perAction returns the rows of each action to predict.
func (r *Rows) perAction() int64 { return int64(1 + r.Negatives()) }

// Negatives returns the rows of items that the user did not take, for each action to predict.
func (r *Rows) Negatives() int {
	if r.Set.Sequences || r.Open {
		return 0
	}
	return r.Set.Negatives[r.Part]
}

// Rows returns the number of rows.
func (r *Rows) Rows() int64 {
	if r.kept != nil {
		return int64(len(r.kept))
	}
	return int64(len(r.all)) * r.perAction()
}

// Batches returns the rows of an epoch.
func (r *Rows) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return r.BatchesFrom(epoch, size, 0)
}

// BatchesFrom returns the rows of an epoch without the first skip batches. They are made ahead, beside what is done with them.
func (r *Rows) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return r.BatchesOf(epoch, size, skip, nil)
}

// BatchesOf returns the rows of an epoch without the first skip batches, and without the content of those that are not mine.
func (r *Rows) BatchesOf(epoch, size, skip int, mine func(batch int) bool) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		if size <= 0 || skip < 0 {
			yield(nil, fmt.Errorf("data: batches of %d rows after %d, want a positive size", size, skip))
			return
		}
		rows, lo := r.Rows(), int64(skip)*int64(size)
		order := newPermutation(rows, rng.Key(r.Seed, "shuffle", epoch))
		d := drawer{r: r, key: rng.Key(r.drawn, "negatives", epoch), at: -1}
		if r.Part != data.TrainPart {
			d.key = rng.Key(r.Set.EvalSeed, "negatives", r.Part.String())
		}
		if lo >= rows {
			return
		}
		made := make([]*data.Batch, min(scan.Prefetched, (rows-lo+int64(size)-1)/int64(size)))
		for i := range made {
			made[i] = data.NewBatch(r.Set.Schema, size)
			made[i].LastOnly = r.Set.Sequences && !r.Whole
		}
		scan.Prefetch(made, func(b *data.Batch) (bool, error) {
			if lo >= rows {
				return false, nil
			}
			b.N = int(min(int64(size), rows-lo))
			if mine != nil && !mine(int(lo/int64(size))) {
				lo += int64(size)
				return true, nil
			}
			for i := range b.N {
				at := lo + int64(i)
				if r.mix {
					at = order.at(at)
				}
				if r.kept != nil {
					at = int64(r.kept[at])
				}
				r.fill(b, i, at, &d)
			}
			r.pad(b)
			r.Set.derive(b)
			lo += int64(size)
			return true, nil
		}, yield)
	}
}

// fill makes row i of b the row of that place.
func (r *Rows) fill(b *data.Batch, i int, place int64, d *drawer) {
	s, per := r.Set, r.perAction()
	n := place / per
	action, u := r.all[n], 0
	if r.Open {
		u = int(action)
		action = s.Log.Start[u+1]
	} else {
		u = s.Log.userOf(action)
	}
	b.Label[i], b.Group[i] = 0, s.Group[u]
	switch k := int(place % per); {
	case r.Open:
	case s.Sequences:
		b.Label[i] = float32(s.IDs[action])
	case k > 0:
		b.IDs[ItemColumn][i] = d.negative(n, u, k-1)
	default:
		b.IDs[ItemColumn][i], b.Label[i] = s.IDs[action], 1
	}
	history := b.IDs[HistoryColumn][i*s.MaxLen : (i+1)*s.MaxLen]
	b.Seen[i] = s.IDs[s.Log.Start[u]:action]
	clear(history[copy(history, b.Seen[i][max(0, len(b.Seen[i])-s.MaxLen):]):])
}

// pad zeroes the rows of b from its N on.
func (r *Rows) pad(b *data.Batch) {
	if !r.Set.Sequences {
		clear(b.IDs[ItemColumn][b.N:])
	}
	clear(b.IDs[HistoryColumn][b.N*r.Set.MaxLen:])
	clear(b.Label[b.N:])
	clear(b.Group[b.N:])
	clear(b.Seen[b.N:])
}

// drawer draws negatives. Those of an action are distinct, are items that its user never had, and depend on the key and the action.
type drawer struct {
	r    *Rows
	key  uint64
	at   int64   // the action whose negatives are drawn
	list []int32 // its negatives so far
}

// negative returns the k-th negative of the n-th action to predict, which is user u's.
func (d *drawer) negative(n int64, u, k int) int32 {
	if d.at != n {
		d.at, d.list = n, d.list[:0]
	}
	s := d.r.Set
	for len(d.list) <= k {
		stream := rng.Key(d.key, n, len(d.list))
		for try := int64(0); ; try++ {
			var id int32
			if x := rng.Float(stream, try); s.drawn != nil && try < 1000 { // a user may have had all that is often drawn
				id = s.drawn[int(x*float64(len(s.drawn)))]
			} else {
				id = int32(data.FirstID + int(x*float64(s.catalog-data.FirstID)))
			}
			if id == data.OOVID || slices.Contains(d.list, id) {
				continue
			}
			if _, had := slices.BinarySearch(s.Own[u], id); !had {
				d.list = append(d.list, id)
				break
			}
		}
	}
	return d.list[k]
}

// Users returns a row for each user of the log, in its order: the last action and what is before it, or with open all of them.
func (s *Set) Users(open bool) *Rows {
	r := &Rows{Set: s, Part: data.TestPart, Open: open}
	for u := range s.Log.Users {
		switch lo, hi := s.Log.Start[u], s.Log.Start[u+1]; {
		case open:
			r.all = append(r.all, int64(u))
		case hi > lo:
			r.all = append(r.all, hi-1)
		}
	}
	return r
}

// View returns some of the rows, or all in another order.
func (r *Rows) View(o data.ViewOptions) data.Viewer {
	v := *r
	v.Seed, v.kept = o.Seed, data.Places(r.kept, o.Keep)
	v.mix = r.mix || o.Window > 0
	return &v
}

// Shuffles reports whether epochs have orders of their own.
func (r *Rows) Shuffles() bool { return r.mix }

// EachID calls do with the id of the item of one row after the other.
func (r *Rows) EachID(ctx context.Context, f *data.Feature, do func(id int32)) error {
	v := *r
	v.mix = false
	for b, err := range v.Batches(0, 1024) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, id := range b.IDs[f.Name][:b.N] {
			do(id)
		}
	}
	return nil
}

// Groups returns that a group is a user, and the number of users.
func (r *Rows) Groups() (name string, n int) { return "user", len(r.Set.Log.Users) }

// GroupToken returns the name of a user.
func (r *Rows) GroupToken(user int32) string { return r.Set.Log.Users[user] }

// EachGroup calls do with the user of one row after the other. Those of an action and of its negatives are one.
func (r *Rows) EachGroup(ctx context.Context, do func(user int32)) error {
	per, rows := r.perAction(), r.Rows()
	for i := range rows {
		if i%(1<<16) == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		place := i
		if r.kept != nil {
			place = int64(r.kept[i])
		}
		u := r.all[place/per]
		if !r.Open {
			u = int64(r.Set.Log.userOf(u))
		}
		do(int32(u))
	}
	return nil
}
