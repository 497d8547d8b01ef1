package data

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strconv"
)

// tableSpec is how the vocabulary of a table is made.
type tableSpec struct {
	name     string
	minCount int64
	maxSize  int
	hash     int
}

// skeleton returns the features that a file's columns declare, without vocabularies, and the tables they need.
func skeleton(list []declared, c *Common) ([]MapFeature, []tableSpec, error) {
	var features []MapFeature
	var tables []tableSpec
	owner := map[string]string{}
	addTable := func(feature string, o CategoricalColumn) (string, error) {
		t := tableSpec{name: o.Share, minCount: o.MinCount, maxSize: o.MaxSize, hash: o.Hash}
		if t.name == "" {
			t.name = feature
		}
		if first, ok := owner[t.name]; ok {
			for _, have := range tables {
				if have.name == t.name && have != t {
					return "", fmt.Errorf("data: columns %s and %s share the table %s but differ in min_count, max_size or hash; give them the same", first, feature, t.name)
				}
			}
			return t.name, nil
		}
		owner[t.name] = feature
		tables = append(tables, t)
		return t.name, nil
	}
	for _, d := range list {
		f := MapFeature{Name: d.name}
		var err error
		switch o := d.column.(type) {
		case CategoricalColumn:
			f.Table, err = addTable(d.name, o.over(c.Categorical))
		case MultiColumn:
			f.Kind, f.Separator, f.MaxLen, f.Pool = Multi, o.Separator, o.MaxLen, cmp.Or(o.Pooling, PoolMean)
			f.Table, err = addTable(d.name, o.over(c.Categorical))
		case NumericColumn:
			o = o.over(c.Numeric)
			f.Transform = o.Transform
			if f.Transform == LogSquareBucket {
				v := c.Categorical
				f.Table, err = addTable(d.name, CategoricalColumn{MinCount: max(v.MinCount, 1), MaxSize: v.MaxSize})
			} else {
				f.Kind, f.Fill = Numeric, *o.Fill
			}
		case IgnoreColumn:
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		features = append(features, f)
	}
	if len(features) == 0 {
		return nil, nil, fmt.Errorf("data: no column is a feature; declare some under columns")
	}
	return features, tables, nil
}

// moments are the count, mean and sum of squared deviations of numbers.
type moments struct {
	n, mean, m2 float64
}

func (m *moments) add(v float64) {
	m.n++
	d := v - m.mean
	m.mean += d / m.n
	m.m2 += d * (v - m.mean)
}

// merge adds the numbers of o (Chan, Golub, LeVeque 1979).
func (m *moments) merge(o moments) {
	if o.n == 0 {
		return
	}
	n, d := m.n+o.n, o.mean-m.mean
	m.mean += d * o.n / n
	m.m2 += o.m2 + d*d*m.n*o.n/n
	m.n = n
}

// fitter is the sink that counts tokens and sums numbers of train rows.
type fitter struct {
	plan    *plan
	counter []*counter // by feature; nil for Numeric
	stats   []moments  // by feature
	rows    int64
}

func newFitter(p *plan, tables []tableSpec) *fitter {
	f := &fitter{plan: p, counter: make([]*counter, len(p.features)), stats: make([]moments, len(p.features))}
	byName := map[string]*counter{}
	for _, t := range tables {
		byName[t.name] = newCounter(t.hash)
	}
	for i, feat := range p.features {
		if feat.Kind != Numeric {
			f.counter[i] = byName[feat.Table]
		}
	}
	return f
}

// work counts the tokens of a chunk, column by column, beginning at another column than the chunks beside it, so that
// goroutines seldom wait for each other.
func (f *fitter) work(c *chunk) {
	c.stats = grow(c.stats, len(f.stats))
	clear(c.stats)
	n := len(f.plan.features)
	for k := range n {
		i := (k + int(c.seq)*7) % n
		feat, at := &f.plan.features[i], f.plan.at[i]
		switch {
		case feat.Kind == Numeric:
			f.sum(c, i, at)
		default:
			ctr := f.counter[i]
			ctr.mu.Lock()
			f.count(c, ctr, feat, at)
			ctr.mu.Unlock()
		}
	}
}

func (f *fitter) count(c *chunk, ctr *counter, feat *MapFeature, at int) {
	var scratch [32]byte
	for r := range c.n {
		if c.part[r] != partTrain {
			continue
		}
		if feat.numbers() {
			ctr.add(bucket(scratch[:0], c.num[r*f.plan.numbers+at]))
			continue
		}
		s := c.tok[r*f.plan.tokens+at]
		cell := c.data[s.lo:s.hi]
		if feat.Kind == Categorical {
			ctr.add(cell)
			continue
		}
		c.pieces = pieces(c.pieces[:0], cell, feat)
		for _, t := range c.pieces {
			ctr.add(t)
		}
	}
}

func (f *fitter) sum(c *chunk, i, at int) {
	if f.plan.features[i].Transform != Standardize {
		return
	}
	for r := range c.n {
		if v := c.num[r*f.plan.numbers+at]; c.part[r] == partTrain && !math.IsNaN(v) {
			c.stats[i].add(v)
		}
	}
}

// emit merges the sums of chunks in their order: floating point sums depend on it.
func (f *fitter) emit(c *chunk) error {
	for i := range f.stats {
		f.stats[i].merge(c.stats[i])
	}
	for _, p := range c.part {
		if p == partTrain {
			f.rows++
		}
	}
	return nil
}

// finish returns the fitted map.
func (f *fitter) finish(tables []tableSpec) (*FeatureMap, error) {
	if f.rows == 0 {
		return nil, fmt.Errorf("data: the split leaves no train rows")
	}
	m := &FeatureMap{Version: mapVersion, Rows: f.rows, Features: append([]MapFeature(nil), f.plan.features...)}
	for _, t := range tables {
		for i, feat := range m.Features {
			if feat.Table == t.name {
				m.Tables = append(m.Tables, f.counter[i].vocabulary(t.name, t.minCount, t.maxSize))
				break
			}
		}
	}
	for i := range m.Features {
		feat, s := &m.Features[i], f.stats[i]
		if feat.Transform != Standardize {
			continue
		}
		feat.Mean, feat.Std = s.mean, 1
		if s.n > 0 && s.m2 > 0 {
			feat.Std = math.Sqrt(s.m2 / s.n)
		}
	}
	return m, m.check()
}

// pieces appends the tokens of a Multi cell to list: those between separators that are not blank, MaxLen at most.
func pieces(list [][]byte, cell []byte, f *MapFeature) [][]byte {
	for len(cell) > 0 && len(list) < f.MaxLen {
		var piece []byte
		if i := bytes.Index(cell, []byte(f.Separator)); i >= 0 {
			piece, cell = cell[:i], cell[i+len(f.Separator):]
		} else {
			piece, cell = cell, nil
		}
		if len(piece) > 0 {
			list = append(list, piece)
		}
	}
	return list
}

// bucket appends the token of v under LogSquareBucket; a blank is the empty token.
func bucket(dst []byte, v float64) []byte {
	if math.IsNaN(v) {
		return dst
	}
	if v > 2 {
		l := math.Log(v)
		v = math.Floor(l * l)
	}
	return strconv.AppendInt(dst, int64(max(min(v, math.MaxInt32), math.MinInt32)), 10)
}

// value returns v as a model sees it: transformed, a blank filled.
func (f *MapFeature) value(v float64) float32 {
	switch {
	case math.IsNaN(v):
		return float32(f.Fill)
	case f.Transform == Log1p:
		return float32(math.Copysign(math.Log1p(math.Abs(v)), v))
	case f.Transform == Standardize:
		return float32(min(max((v-f.Mean)/f.Std, -math.MaxFloat32), math.MaxFloat32))
	}
	return float32(v)
}
