package table

import (
	"encoding/binary"
	"log/slog"
	"math"
	"sync/atomic"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/clock"
	"github.com/splice-ml/splice/data/internal/scan"
)

// scratch is what the sinks of a table need for the rows of one chunk.
type scratch struct {
	pieces [][]byte    // tokens of a Multi's or a Sequence's cell
	digits [32]byte    // of a number that is a token
	stats  []moments   // by feature
	values [][]float64 // by feature: the train rows' numbers, of buckets of quantiles

	numbers []int32 // that a counter gave the tokens of a cell
}

func scratchOf(c *scan.Chunk) *scratch {
	if c.Scratch == nil {
		c.Scratch = &scratch{}
	}
	return c.Scratch.(*scratch)
}

// NewPlan returns what a parser must deliver of the rows.
func NewPlan(features []data.MapFeature) *scan.Plan {
	p := &scan.Plan{}
	for i := range features {
		f := &features[i]
		c := scan.PlanColumn{Name: f.Source(), Number: f.ReadsNumbers()}
		if f.ReadsTimes() {
			c.Time, c.Clock = true, clock.NewReader(f.Time)
		}
		if f.Count > 0 {
			c.Count, c.Separator = f.Count, f.Separator
		}
		p.Add(c)
	}
	return p
}

// encoder is the part of a sink that turns rows into records.
type encoder struct {
	features []data.MapFeature
	plan     *scan.Plan
	rec      *record
	tables   []*data.Vocabulary // by feature; nil for Numeric
	fields   []int              // by feature: index in rec.ids, or column of Dense
	met      [3][]atomic.Uint32 // by part and feature: what its tokens were so far
}

// What the tokens of a feature were so far.
const (
	metUnknown = 1 << iota // one that the vocabulary does not have
	metKnown
)

// note remembers what a token of a feature is.
func note(met []atomic.Uint32, feature int, id int32) {
	bit := uint32(metKnown)
	if id == data.OOVID {
		bit = metUnknown
	}
	if met != nil && met[feature].Load()&bit == 0 {
		met[feature].Or(bit)
	}
}

// unknown returns the features of a part none of whose tokens the vocabulary has, although it has some.
func (e *encoder) unknown(part data.Part) (names []string) {
	for i := range e.features {
		if t := e.tables[i]; t != nil && len(t.Tokens) > 0 && e.met[part][i].Load() == metUnknown {
			names = append(names, e.features[i].Name)
		}
	}
	return names
}

// warnUnknown warns of columns none of whose tokens is known. where is a file or a part of the data.
func warnUnknown(log *slog.Logger, where string, columns []string) {
	if len(columns) > 0 {
		log.Warn("data: none of the tokens is known that these columns have here; are they written as in training (1 or 1.0, without blanks)?",
			"columns", columns, "in", where)
	}
}

func newEncoder(m *data.FeatureMap, p *scan.Plan, labels []data.Label) *encoder {
	s := m.Schema(p.Group != "")
	s.HasWeight = p.Weight != ""
	s.Labels = labels
	e := &encoder{features: m.Features, plan: p, rec: newRecord(s)}
	for p := range e.met {
		e.met[p] = make([]atomic.Uint32, len(m.Features))
	}
	ids := 0
	for i, f := range m.Features {
		if f.Kind == data.Numeric {
			e.tables = append(e.tables, nil)
			e.fields = append(e.fields, s.Features[i].Column)
			continue
		}
		e.tables = append(e.tables, m.Table(f.Table))
		e.fields = append(e.fields, ids)
		ids++
	}
	return e
}

// Work encodes the rows of c into c.Enc, part by part.
func (e *encoder) Work(c *scan.Chunk) {
	size := e.rec.size
	c.Count = [3]int64{}
	for _, p := range c.Part {
		c.Count[p]++
	}
	for p := range c.Enc {
		c.Enc[p] = scan.Grow(c.Enc[p], int(c.Count[p])*size)
	}
	s := scratchOf(c)
	var at [3]int
	for r := range c.N {
		p := c.Part[r]
		rec := c.Enc[p][at[p] : at[p]+size]
		at[p] += size
		clear(rec)
		e.row(c, r, rec, s, e.met[p])
	}
}

// row encodes row r of c as rec. It notes in met, unless it is nil, which features have known tokens.
func (e *encoder) row(c *scan.Chunk, r int, rec []byte, s *scratch, met []atomic.Uint32) {
	for k := range e.plan.Values() {
		binary.LittleEndian.PutUint32(rec[4*(e.rec.schema.NumDense+k):], math.Float32bits(c.Value(k, r)))
	}
	if e.rec.group >= 0 {
		binary.LittleEndian.PutUint64(rec[e.rec.group:], uint64(c.Group[r]))
	}
	for i := range e.features {
		f, at := &e.features[i], e.plan.Columns[i].At
		var cell []byte
		switch {
		case f.Kind == data.Numeric:
			for k := range max(1, f.Count) {
				v := f.Value(c.Num[r*e.plan.Numbers+at+k])
				binary.LittleEndian.PutUint32(rec[4*(e.fields[i]+k):], math.Float32bits(v))
			}
			continue
		case f.ReadsNumbers():
			cell = f.AppendToken(s.digits[:0], c.Num[r*e.plan.Numbers+at])
		default:
			if d, k := c.CodedBy(r, at); d != nil && k >= 0 && !f.Kind.Lists() && e.plan.Alone(at) {
				id := d.Memo[k].Load() - 1
				if id < 0 {
					id = e.tables[i].ID(f.Token(c.Cell(r, at)))
					d.Memo[k].Store(id + 1)
				}
				note(met, i, id)
				e.rec.ids[e.fields[i]].put(rec, 0, id)
				continue
			}
			cell = f.Token(c.Cell(r, at))
		}
		field := &e.rec.ids[e.fields[i]]
		if !f.Kind.Lists() {
			id := e.tables[i].ID(cell)
			note(met, i, id)
			field.put(rec, 0, id)
			continue
		}
		s.pieces = f.AppendPieces(s.pieces[:0], cell)
		for k, t := range s.pieces {
			id := e.tables[i].ID(t)
			note(met, i, id)
			field.put(rec, k, id)
		}
	}
}

// seen appends the ids of all tokens of the first sequence of the chunk's row, also of those that the sequence has no room for.
func (e *encoder) seen(ids []int32, c *scan.Chunk, s *scratch) []int32 {
	for i, f := range e.features {
		if f.Kind != data.Sequence {
			continue
		}
		f.MaxLen = math.MaxInt
		at := c.Tok[e.plan.Columns[i].At]
		s.pieces = f.AppendPieces(s.pieces[:0], c.Data[at.Lo:at.Hi])
		for _, t := range s.pieces {
			ids = append(ids, e.tables[i].ID(t))
		}
		break
	}
	return ids
}
