package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/rng"
)

// What ShardOptions.By says if it is not a feature.
const (
	ByRows  = "rows"
	ByOrder = "order"
)

// ShardOptions say how the rows are dealt.
type ShardOptions struct {
	// rows: at random; order: one range after the other, that is by time if the file is in the order of time; or a categorical
	// feature, or user for a log of interactions: rows of one id stay together
	By    string `yaml:"by"`
	Count int    `yaml:"count"` // shards
	Seed  uint64 `yaml:"seed"`  // of which row or id goes where, and of the order of each shard's rows
}

// Validate returns what is wrong with the options.
func (o ShardOptions) Validate() error {
	var errs []error
	if o.By == "" {
		errs = append(errs, registry.Field("by", "is missing; want rows, order or the name of a categorical feature"))
	}
	if o.Count < 1 {
		errs = append(errs, registry.Field("count", "must be at least 1, have %d", o.Count))
	}
	return errors.Join(errs...)
}

// Shard deals the rows of src to o.Count shards. Every row is in exactly one of them. By rows or by order, their sizes differ by at
// most one row. By a feature, the ids that occur are put in an order that depends on the seed and on their tokens in m, or on the ids
// themselves if m is nil. They are dealt in turn, so the numbers of ids differ by at most one. Rows of unknown tokens share one id and
// stay together. The same tokens go to the same shards, whatever their ids are. The groups of a Grouped source are dealt as the ids of
// a feature are, by what a group is called there.
//
// Each shard is a Viewer, so it can be dealt again. It keeps the numbers of its rows, 4 bytes each. It shuffles as src does, in windows
// of bounded memory, by a seed that depends on o.Seed and its place in the list.
func Shard(ctx context.Context, src Source, o ShardOptions, m *FeatureMap) ([]Source, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("data: shards: %w", err)
	}
	v, err := viewable(src, "shards")
	if err != nil {
		return nil, err
	}
	rows := v.Rows()
	if int64(o.Count) > rows {
		return nil, fmt.Errorf("data: %d shards of %d rows; make fewer", o.Count, rows)
	}
	sizes := make([]int64, o.Count)
	for k := range sizes {
		sizes[k] = rows / int64(o.Count)
		if int64(k) < rows%int64(o.Count) {
			sizes[k]++
		}
	}
	var keep [][]uint32
	switch o.By {
	case ByRows:
		keep = Deal(rows, sizes, rng.Key(o.Seed, "shard"))
	case ByOrder:
		keep = inOrder(sizes)
	default:
		if keep, err = byFeature(ctx, v, o, m); err != nil {
			return nil, err
		}
	}
	out := make([]Source, o.Count)
	for k := range out {
		out[k] = v.View(ViewOptions{Keep: keep[k], Seed: rng.Key(o.Seed, "shard", "order", k)})
	}
	return out, nil
}

// lists returns empty lists that have room for so many rows.
func lists(sizes []int64) [][]uint32 {
	out := make([][]uint32, len(sizes))
	for k, n := range sizes {
		out[k] = make([]uint32, 0, n)
	}
	return out
}

// Deal deals rows to lists of the given sizes, every assignment alike (selection sampling, Knuth, The Art of Computer
// Programming 3.4.2, algorithm S). What row i draws is a hash of the key and i.
func Deal(rows int64, sizes []int64, key uint64) [][]uint32 {
	out, left := lists(sizes), slices.Clone(sizes)
	for i := range rows {
		u := int64(rng.Float(key, i) * float64(rows-i))
		for k := range left {
			if u < left[k] {
				left[k]--
				out[k] = append(out[k], uint32(i))
				break
			}
			u -= left[k]
		}
	}
	return out
}

// inOrder deals the first rows to the first list, and so on.
func inOrder(sizes []int64) [][]uint32 {
	out, row := lists(sizes), uint32(0)
	for k, n := range sizes {
		for range n {
			out[k] = append(out[k], row)
			row++
		}
	}
	return out
}

// ids are the ids that rows are dealt by: those of a feature, or the groups of the rows.
type ids struct {
	n     int                           // above all ids
	each  func(do func(id int32)) error // by row
	token func(id int32) (string, bool) // false for ids without a token of their own
}

// idsOf returns the ids of what the rows are dealt by.
func idsOf(ctx context.Context, v Viewer, by string, m *FeatureMap) (ids, error) {
	group := ""
	if g, ok := v.(Grouped); ok {
		name, n := g.Groups()
		if name == by {
			return ids{
				n: n, each: func(do func(int32)) error { return g.EachGroup(ctx, do) },
				token: func(id int32) (string, bool) { return g.GroupToken(id), true },
			}, nil
		}
		group = name
	}
	f, err := oneID(v.Schema(), by, group)
	if err != nil {
		return ids{}, err
	}
	return ids{
		n: f.Vocab, each: func(do func(int32)) error { return v.EachID(ctx, f, do) },
		token: func(id int32) (string, bool) {
			if m == nil {
				return "", false
			}
			return m.Token(by, id)
		},
	}, nil
}

// byFeature deals ids, and with them the rows. It reads the rows twice rather than hold an id a row.
func byFeature(ctx context.Context, v Viewer, o ShardOptions, m *FeatureMap) ([][]uint32, error) {
	x, err := idsOf(ctx, v, o.By, m)
	if err != nil {
		return nil, err
	}
	count := make([]uint32, x.n) // by id: rows
	if err := x.each(func(id int32) { count[id]++ }); err != nil {
		return nil, fmt.Errorf("data: shards by %s: %w", o.By, err)
	}
	order := x.order(count, o)
	if len(order) < o.Count {
		return nil, fmt.Errorf("data: %d shards by %s: it has %d values in %d rows; make fewer shards or take another feature", o.Count, o.By,
			len(order), v.Rows())
	}
	shard, sizes := make([]int32, x.n), make([]int64, o.Count)
	for i, id := range order {
		shard[id] = int32(i % o.Count)
		sizes[i%o.Count] += int64(count[id])
	}
	out, row := lists(sizes), uint32(0)
	err = x.each(func(id int32) {
		k := shard[id]
		out[k] = append(out[k], row)
		row++
	})
	if err != nil {
		return nil, fmt.Errorf("data: shards by %s: %w", o.By, err)
	}
	return out, nil
}

// order returns the ids that occur, by the hash of their tokens.
func (x ids) order(count []uint32, o ShardOptions) []int32 {
	type ranked struct {
		hash uint64
		id   int32
	}
	key := rng.Key(o.Seed, "shard", o.By)
	var list []ranked
	for id, n := range count {
		if n == 0 {
			continue
		}
		r := ranked{rng.Key(key, id), int32(id)}
		if token, ok := x.token(r.id); ok {
			r.hash = rng.Mix(key + xxhash.Sum64String(token))
		}
		list = append(list, r)
	}
	slices.SortFunc(list, func(a, b ranked) int { return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.id, b.id)) })
	out := make([]int32, len(list))
	for i, r := range list {
		out[i] = r.id
	}
	return out
}

// oneID returns the categorical feature of that name, or an error that lists what would do: such features, and the groups.
func oneID(s *Schema, name, group string) (*Feature, error) {
	var have []string
	why := "there is no such feature"
	for i := range s.Features {
		f := &s.Features[i]
		switch {
		case f.Kind == Categorical && f.Name == name:
			return f, nil
		case f.Kind == Categorical:
			have = append(have, f.Name)
		case f.Name == name:
			why = "it is " + f.Kind.String() + ", a row has no one id of it"
		}
	}
	want := "rows, order"
	if group != "" {
		want += ", " + group
	}
	list := "; there are no categorical features"
	if len(have) > 0 {
		list = " or a categorical feature: " + bound.Names(have)
	}
	return nil, fmt.Errorf("data: shards by %q: %s; want %s%s", name, why, want, list)
}
