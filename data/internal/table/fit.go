package table

import (
	"cmp"
	"fmt"
	"math"
	"sync/atomic"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/memory"
)

// tableSpec is how the vocabulary of a table is made.
type tableSpec struct {
	name     string
	minCount int64
	maxSize  int
	hash     int
}

// skeleton returns the features that a file's columns declare, without vocabularies, and the tables they need.
func skeleton(list []Declared, c *data.Common) ([]data.MapFeature, []tableSpec, error) {
	var features []data.MapFeature
	var tables []tableSpec
	owner := map[string]string{}
	addTable := func(f *data.MapFeature, o data.CategoricalColumn) (string, error) {
		feature := f.Name
		t := tableSpec{name: o.Share, minCount: o.MinCount, maxSize: o.MaxSize, hash: o.Hash}
		if f.Dim = o.EmbeddingDim; o.Pretrained != nil {
			f.Frozen, f.Project = o.Pretrained.Freeze, o.Pretrained.Project
			f.Dim = cmp.Or(o.Pretrained.Dim, f.Dim)
		}
		if t.name == "" {
			t.name = feature
		}
		if first, ok := owner[t.name]; ok {
			for _, have := range tables {
				if have.name == t.name && have != t {
					return "", fmt.Errorf("data: columns %s and %s share the table %s but differ in min_count, max_size or hash; give them the same",
						first, feature, t.name)
				}
			}
			return t.name, nil
		}
		owner[t.name] = feature
		tables = append(tables, t)
		return t.name, nil
	}
	for _, d := range list {
		f := data.MapFeature{Name: d.Name}
		if from := data.From(d.Column, d.Name); from != d.Name {
			f.Column = from
		}
		var err error
		switch o := d.Column.(type) {
		case data.CategoricalColumn:
			switch {
			case o.Derive == data.Prefix:
				f.Prefix = o.Length
			case o.Derive != "":
				f.Transform, f.Time = o.Derive, o.TimeFormat
			}
			f.Table, err = addTable(&f, o.Over(c.Categorical))
		case data.MultiColumn:
			f.Kind, f.Separator, f.MaxLen, f.Pool = data.Multi, o.Separator, o.MaxLen, cmp.Or(o.Pooling, data.PoolMean)
			f.Table, err = addTable(&f, o.Over(c.Categorical))
		case data.SequenceColumn:
			f.Kind, f.Separator, f.MaxLen, f.Pool = data.Sequence, o.Separator, o.MaxLen, cmp.Or(o.Pooling, data.PoolMean)
			f.Keep = cmp.Or(o.Keep, data.KeepLast)
			f.Table, err = addTable(&f, o.Over(c.Categorical))
		case data.NumericColumn:
			o = o.Over(c.Numeric)
			f.Transform, f.Edges, f.Buckets = o.Transform, o.Edges, o.Buckets
			switch f.Transform {
			case data.LogSquareBucket, data.Bucket:
				v := c.Categorical
				f.Table, err = addTable(&f, data.CategoricalColumn{MinCount: max(v.MinCount, 1), MaxSize: v.MaxSize})
			case data.QuantileBucket: // all its buckets have an id
				f.Table, err = addTable(&f, data.CategoricalColumn{MinCount: 1})
			default:
				f.Kind, f.Fill, f.InitStd = data.Numeric, *o.Fill, o.InitStd
			}
			f.Dim = o.EmbeddingDim
		case data.VectorColumn:
			f.Kind, f.Transform, f.Count, f.Separator = data.Numeric, data.Raw, o.Dim, o.Separator
			f.Project, f.Dim = o.Project, o.EmbeddingDim
		case data.IgnoreColumn:
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		features = append(features, f)
	}
	if err := shareWidths(features); err != nil {
		return nil, nil, err
	}
	if len(features) == 0 {
		return nil, nil, fmt.Errorf("data: no column is a feature; declare some under columns")
	}
	return features, tables, nil
}

// shareWidths gives the features of a table the width of the one that says it, and what is said of given embeddings.
func shareWidths(features []data.MapFeature) error {
	said := map[string]*data.MapFeature{}
	for i := range features {
		f := &features[i]
		if f.Table == "" || f.Dim == 0 && !f.Frozen {
			continue
		}
		if o := said[f.Table]; o != nil && (o.Dim != f.Dim || o.Project != f.Project || o.Frozen != f.Frozen) {
			return fmt.Errorf("data: columns %s and %s share the table %s but differ in embedding_dim or pretrained; say it of one of them, or the same of both",
				o.Name, f.Name, f.Table)
		}
		said[f.Table] = f
	}
	for i := range features {
		if o := said[features[i].Table]; o != nil {
			features[i].Dim, features[i].Project, features[i].Frozen = o.Dim, o.Project, o.Frozen
		}
	}
	return nil
}

// moments are the count, mean and sum of squared deviations of numbers, and the least and the greatest of them.
type moments struct {
	n, mean, m2 float64
	low, high   float64
}

func (m *moments) add(v float64) {
	if m.n == 0 {
		m.low, m.high = v, v
	}
	m.low, m.high = min(m.low, v), max(m.high, v)
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
	if m.n == 0 {
		m.low, m.high = o.low, o.high
	}
	m.low, m.high = min(m.low, o.low), max(m.high, o.high)
	n, d := m.n+o.n, o.mean-m.mean
	m.mean += d * o.n / n
	m.m2 += o.m2 + d*d*m.n*o.n/n
	m.n = n
}

// fitter is the sink that counts tokens and sums numbers of train rows.
type fitter struct {
	features []data.MapFeature
	plan     *scan.Plan
	counter  []*counter  // by feature; nil for Numeric, and for buckets of quantiles
	stats    []moments   // by feature, of the segments so far
	begun    []moments   // by feature, of the segment that has begun
	quantile []quantiles // by feature
	rows     int64
	draft    *draft // of the rows; nil for none
}

// afford reports tables of buckets that are more than memory holds, each of which is counted twice.
func afford(tables []tableSpec) error {
	need, greatest := 0.0, tableSpec{}
	for _, t := range tables {
		need += 16 * float64(t.hash)
		if t.hash > greatest.hash {
			greatest = t
		}
	}
	if err := memory.Check(need, fmt.Sprintf("hash, %d", greatest.hash)); err != nil {
		return fmt.Errorf("data: counting the buckets of column %s %w", greatest.name, err)
	}
	return nil
}

func newFitter(features []data.MapFeature, p *scan.Plan, tables []tableSpec) *fitter {
	f := &fitter{
		features: features, plan: p, counter: make([]*counter, len(features)), stats: make([]moments, len(features)), begun: make([]moments, len(features)),
		quantile: make([]quantiles, len(features)),
	}
	byName := map[string]*counter{}
	for _, t := range tables {
		byName[t.name] = newCounter(t.hash)
	}
	for i, feat := range features {
		if feat.Kind != data.Numeric && feat.Transform != data.QuantileBucket {
			f.counter[i] = byName[feat.Table]
		}
	}
	return f
}

// tileRows is how many rows are counted column by column: few enough that they stay in the first-level cache.
const tileRows = 64

// segmentRows is how many neighbouring rows are summed before the sums are added up. Segments begin at fixed rows, so that sums do not
// depend on how a file is cut into chunks, nor on its format.
const segmentRows = 1 << 10

// segments returns which segments lie within a chunk.
func segments(c *scan.Chunk) (from, to int64) {
	from = (c.First() + segmentRows - 1) / segmentRows
	return from, max(from, (c.First()+int64(c.N))/segmentRows)
}

// Work counts the tokens of a chunk, tile by tile, column by column, beginning at another column than the chunks beside it, so that
// goroutines seldom wait for each other.
func (f *fitter) Work(c *scan.Chunk) {
	s := scratchOf(c)
	from, to := segments(c)
	s.stats, s.values = scan.Grow(s.stats, len(f.stats)*int(to-from)), scan.Grow(s.values, len(f.stats))
	clear(s.stats)
	for i := range s.values {
		s.values[i] = s.values[i][:0]
	}
	if f.draft != nil {
		f.draft.begin(c)
	}
	n := len(f.features)
	for lo := 0; lo < c.N; lo += tileRows {
		hi := min(lo+tileRows, c.N)
		for k := range n {
			i := (k + int(c.Seq)*7) % n
			if ctr := f.counter[i]; ctr == nil {
				f.numbers(c, s, i, lo, hi)
			} else {
				ctr.mu.Lock()
				f.count(c, s, i, lo, hi)
				ctr.mu.Unlock()
			}
		}
	}
}

// count counts the tokens of a feature in the train rows from lo to hi. The numbers of the tokens of all rows go to the draft.
func (f *fitter) count(c *scan.Chunk, s *scratch, i, lo, hi int) {
	feat, at, ctr := &f.features[i], f.plan.Columns[i].At, f.counter[i]
	for r := lo; r < hi; r++ {
		times := int64(1)
		if c.Part[r] != data.TrainPart {
			if times = 0; f.draft == nil {
				continue
			}
		}
		s.numbers = s.numbers[:0]
		var cell []byte
		var memo *atomic.Int32
		if feat.ReadsNumbers() {
			cell = feat.AppendToken(s.digits[:0], c.Num[r*f.plan.Numbers+at])
		} else if d, k := c.CodedBy(r, at); d != nil && k >= 0 && !feat.Kind.Lists() && f.plan.Alone(at) {
			if memo = &d.Memo[k]; memo.Load() == 0 {
				cell = feat.Token(c.Cell(r, at))
			}
		} else {
			cell = feat.Token(c.Cell(r, at))
		}
		if memo != nil && memo.Load() > 0 { // the lock is held, so nobody else makes it
			n := memo.Load() - 1
			ctr.count[n] += times
			s.numbers = append(s.numbers, n)
		} else if feat.Kind.Lists() {
			s.pieces = feat.AppendPieces(s.pieces[:0], cell)
			for _, t := range s.pieces {
				s.numbers = append(s.numbers, ctr.add(t, times))
			}
		} else {
			n := ctr.add(cell, times)
			s.numbers = append(s.numbers, n)
			if memo != nil {
				memo.Store(n + 1)
			}
		}
		if f.draft != nil {
			f.draft.putTokens(c, i, r, s.numbers)
		}
	}
}

// numbers sums the numbers of a feature in the train rows from lo to hi, of segments within the chunk. Those of all rows go to the draft.
func (f *fitter) numbers(c *scan.Chunk, s *scratch, i, lo, hi int) {
	feat, at := &f.features[i], f.plan.Columns[i].At
	fitted, quantile := feat.Fitted(), feat.Transform == data.QuantileBucket
	from, to := segments(c)
	for r := lo; r < hi; r++ {
		v := c.Num[r*f.plan.Numbers+at]
		if fitted && c.Part[r] == data.TrainPart {
			k := (c.First() + int64(r)) / segmentRows
			switch {
			case quantile:
				s.values[i] = append(s.values[i], v)
			case !math.IsNaN(v) && k >= from && k < to:
				s.stats[int(k-from)*len(f.stats)+i].add(v)
			}
		}
		if f.draft != nil {
			f.draft.putNumbers(c, i, r, feat, c.Num[r*f.plan.Numbers+at:][:max(1, feat.Count)])
		}
	}
}

// Emit merges the sums of segments in their order: floating point sums depend on it.
func (f *fitter) Emit(c *scan.Chunk) error {
	for i := range f.features {
		if f.features[i].Transform == data.QuantileBucket {
			for _, v := range scratchOf(c).values[i] {
				f.quantile[i].add(v)
			}
		} else if f.features[i].Fitted() {
			f.sum(c, i)
		}
	}
	for _, p := range c.Part {
		if p == data.TrainPart {
			f.rows++
		}
	}
	if f.draft != nil {
		f.draft.add(c)
	}
	return nil
}

// sum merges the sums of a feature. Those of segments that lie in several chunks are made here.
func (f *fitter) sum(c *scan.Chunk, i int) {
	from, to := segments(c)
	at := f.plan.Columns[i].At
	add := func(lo, hi int64) {
		for r := lo; r < hi; r++ {
			if v := c.Num[int(r)*f.plan.Numbers+at]; c.Part[r] == data.TrainPart && !math.IsNaN(v) {
				f.begun[i].add(v)
			}
			if (c.First()+r+1)%segmentRows == 0 {
				f.stats[i].merge(f.begun[i])
				f.begun[i] = moments{}
			}
		}
	}
	n := int64(c.N)
	add(0, min(n, from*segmentRows-c.First()))
	for k := range int(to - from) {
		f.stats[i].merge(scratchOf(c).stats[k*len(f.stats)+i])
	}
	add(min(n, max(from, to)*segmentRows-c.First()), n)
}

// finish returns the fitted map.
func (f *fitter) finish(tables []tableSpec) (*data.FeatureMap, error) {
	if f.rows == 0 {
		return nil, fmt.Errorf("data: the split leaves no train rows")
	}
	m := &data.FeatureMap{Version: data.MapVersion, Rows: f.rows, Features: append([]data.MapFeature(nil), f.features...)}
	for _, t := range tables {
		for i, feat := range m.Features {
			if feat.Table != t.name {
				continue
			}
			v := (*data.Vocabulary)(nil)
			if c := f.counter[i]; c != nil {
				v = c.vocabulary(t.name, t.minCount, t.maxSize)
			} else {
				m.Features[i].Edges, v = f.quantile[i].vocabulary(t.name, feat.Buckets)
			}
			m.Tables = append(m.Tables, v)
			break
		}
	}
	for i := range m.Features {
		feat, s := &m.Features[i], f.stats[i]
		s.merge(f.begun[i])
		switch feat.Transform {
		case data.Standardize:
			feat.Mean, feat.Std = s.mean, 1
			if s.n > 0 && s.m2 > 0 {
				feat.Std = math.Sqrt(s.m2 / s.n)
			}
		case data.MinMax:
			feat.Low, feat.High = s.low, s.high
			if !(s.high > s.low) { // one number, which is 0 then
				feat.High = s.low + 1
			}
		}
	}
	return m, m.Check()
}
