package data

import (
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data/bound"
)

// Compatible returns how o reads columns differently from m, one line for each difference. It compares the features and their order,
// kinds, tables, transforms, fills, separators, lengths, pools and buckets of hash tables, and the tokenizers, lengths and labels of
// texts. The result is empty if the maps differ only in the tokens and counts of their vocabularies and in the statistics of numbers,
// as the maps of two days of one configuration do. Such maps have a [Union].
func (m *FeatureMap) Compatible(o *FeatureMap) []string {
	var out []string
	bad := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if o == nil {
		return []string{"there is no feature map"}
	}
	var ours, theirs []string // the features that both have, in the order of each
	tables := map[string]bool{}
	for i := range m.Features {
		f := &m.Features[i]
		g := o.feature(f.Name)
		if g == nil {
			bad("feature %s is missing", f.Name)
			continue
		}
		ours = append(ours, f.Name)
		for _, d := range f.differences(g) {
			bad("feature %s: %s", f.Name, d)
		}
		if f.Kind == Numeric || g.Kind == Numeric || f.Table != g.Table || tables[f.Table] {
			continue
		}
		tables[f.Table] = true
		if d := m.Table(f.Table).difference(o.Table(f.Table)); d != "" {
			bad("table %s: %s", f.Table, d)
		}
	}
	for i := range o.Features {
		name := o.Features[i].Name
		if m.feature(name) == nil {
			bad("feature %s is there too", name)
			continue
		}
		theirs = append(theirs, name)
	}
	if !slices.Equal(ours, theirs) {
		bad("features are in another order: %s, not %s", bound.Names(theirs), bound.Names(ours))
	}
	return append(out, m.Text.differences(o.Text)...)
}

// differences returns how g reads its column differently. What is fitted, not chosen, may differ: Mean, Std, Low, High, and the Edges of quantiles.
func (f *MapFeature) differences(g *MapFeature) []string {
	var out []string
	differ := func(what string, have, want any) {
		if have != want {
			out = append(out, fmt.Sprintf("%s is %s, not %s", what, quoted(have), quoted(want)))
		}
	}
	differ("kind", g.Kind, f.Kind)
	differ("transform", g.Transform, f.Transform)
	differ("column", g.Source(), f.Source())
	differ("prefix", g.Prefix, f.Prefix)
	differ("number of numbers", g.Count, f.Count)
	differ("embedding_dim", g.Dim, f.Dim)
	differ("project", g.Project, f.Project)
	differ("freeze", g.Frozen, f.Frozen)
	differ("time_format", g.Time, f.Time)
	if f.Transform == Bucket {
		differ("edges", fmt.Sprint(g.Edges), fmt.Sprint(f.Edges))
	}
	differ("buckets", g.Buckets, f.Buckets)
	if f.Kind != g.Kind {
		return out
	}
	differ("table", g.Table, f.Table)
	differ("fill", g.Fill, f.Fill)
	differ("separator", g.Separator, f.Separator)
	differ("max_len", g.MaxLen, f.MaxLen)
	differ("pooling", g.pool(), f.pool())
	differ("keep", g.Keep, f.Keep)
	differ("from", g.From, f.From)
	return out
}

// pool returns the pooling of a Multi or a Sequence by its name.
func (f *MapFeature) pool() string {
	if f.Kind.Lists() && f.Pool == "" {
		return PoolMean
	}
	return f.Pool
}

// quoted shows a value, text in quotes.
func quoted(v any) string {
	if s, ok := v.(string); ok {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprint(v)
}

// difference says why the ids of w cannot go with those of v; empty if they can.
func (v *Vocabulary) difference(w *Vocabulary) string {
	switch {
	case v == nil || w == nil:
		return "is missing"
	case v.Hash == w.Hash:
		return ""
	case v.Hash == 0:
		return fmt.Sprintf("has %d hash buckets, not a vocabulary", w.Hash)
	case w.Hash == 0:
		return fmt.Sprintf("has a vocabulary, not %d hash buckets", v.Hash)
	}
	return fmt.Sprintf("has %d hash buckets, not %d", w.Hash, v.Hash)
}

// SameIDs reports whether every token of every feature has the same id in both maps, and what is known of tokens is the same. Rows of embedding tables then need no
// matching. Counts and statistics of numbers may differ.
func (m *FeatureMap) SameIDs(o *FeatureMap) bool {
	if len(m.Compatible(o)) > 0 {
		return false
	}
	for i := range m.Features {
		f := &m.Features[i]
		if f.Kind == Numeric {
			continue
		}
		if t, u := m.Table(f.Table), o.Table(f.Table); !slices.Equal(t.Tokens, u.Tokens) || !slices.Equal(t.Of, u.Of) {
			return false
		}
	}
	return true
}

// Union returns the map that knows the tokens of all maps. The ids of base stay, and tokens that only the others know follow in their
// order. Counts add up, and the statistics of numbers are base's. A row becomes the same ids and numbers as with base, except for
// tokens that base does not know. The maps must be Compatible; the error lists every difference of all of them.
func Union(base *FeatureMap, others ...*FeatureMap) (*FeatureMap, error) {
	if base == nil {
		return nil, errors.New("data: union: there is no base feature map")
	}
	if err := base.Check(); err != nil {
		return nil, fmt.Errorf("data: union: base feature map: %w", err)
	}
	var errs []error
	for i, o := range others {
		lines := base.Compatible(o)
		if o != nil {
			if err := o.Check(); err != nil {
				lines = []string{err.Error()}
			}
		}
		for _, d := range lines {
			errs = append(errs, fmt.Errorf("data: union: feature map %d: %s", i+2, d))
		}
	}
	if len(errs) > 0 {
		return nil, bound.Join(errs...)
	}
	out := &FeatureMap{Version: MapVersion, Rows: base.Rows, Features: slices.Clone(base.Features), Text: base.Text}
	for _, o := range others {
		out.Rows += o.Rows
	}
	for _, t := range base.Tables {
		u := &Vocabulary{Name: t.Name, Hash: t.Hash, Tokens: slices.Clone(t.Tokens), Counts: slices.Clone(t.Counts)}
		for _, o := range others {
			if w := o.Table(t.Name); w != nil {
				u.add(w)
			}
		}
		if u.Size() > maxVocab {
			return nil, fmt.Errorf("data: union: table %s: %d ids, at most %d", t.Name, u.Size(), maxVocab)
		}
		out.Tables = append(out.Tables, u)
	}
	out.deriveUnion(base, others)
	return out, out.Check()
}

// deriveUnion gives the tables of out that are of another table what the maps know: of a token that several know, what the first one does.
func (m *FeatureMap) deriveUnion(base *FeatureMap, others []*FeatureMap) {
	for i := range m.Features {
		f := &m.Features[i]
		if f.From == "" || m.Table(f.Table).Of != nil {
			continue
		}
		to, of := m.Table(f.Table), m.Table(m.feature(f.From).Table)
		to.Of = make([]int32, of.Size())
		for _, o := range append([]*FeatureMap{base}, others...) {
			theirs, names := o.Table(f.Table), o.Table(of.Name)
			at, value := RowMap(names, of), RowMap(to, theirs)
			for id := range to.Of {
				if to.Of[id] <= OOVID && at[id] >= 0 {
					to.Of[id] = max(to.Of[id], value[theirs.Of[at[id]]])
				}
			}
		}
		for id := FirstID; id < len(to.Of); id++ {
			to.Of[id] = max(to.Of[id], OOVID)
		}
	}
}

// add appends the tokens of w that v does not know and adds the counts.
func (v *Vocabulary) add(w *Vocabulary) {
	if v.Hash > 0 {
		for id, n := range w.Counts {
			v.Counts[id] += n
		}
		return
	}
	v.once.Do(v.build)
	for id, n := range w.Counts {
		if id < FirstID {
			v.Counts[id] += n
			continue
		}
		at := FirstID + v.index.Add([]byte(w.Tokens[id-FirstID]))
		if at == len(v.Counts) {
			v.Tokens, v.Counts = v.index.Tokens, append(v.Counts, 0)
		}
		v.Counts[at] += n
	}
}

// RowMap returns for each id of to the id of the same token in from, or -1 if from does not know the token. A reserved id is mapped to
// itself. So is a bucket if both are hash tables of one size. Otherwise buckets are -1.
func RowMap(from, to *Vocabulary) []int32 {
	out := make([]int32, to.Size())
	for id := range out {
		switch {
		case id < FirstID || from.Hash > 0 && from.Hash == to.Hash:
			out[id] = int32(id)
		case from.Hash > 0 || to.Hash > 0:
			out[id] = -1
		default:
			out[id] = -1
			if at := from.ID([]byte(to.Tokens[id-FirstID])); at != OOVID {
				out[id] = at
			}
		}
	}
	return out
}
