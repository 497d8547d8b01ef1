package table

import (
	"context"
	"encoding/binary"
	"math"
	"os"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/internal/scan"
)

// draft is the rows of files while vocabularies are fitted on them, in a temporary file of the cache: all that their records are made
// of, with numbers in place of ids that nobody knows yet. So text is parsed once to fit and to cache it. The rows of a chunk are columns:
//
//	part uint8 | labels and weight float32 | group int64, if any | values of each feature, one after the other
//
// A value is a float32, or several of a vector; a float64 of a feature that is transformed by statistics that are not known yet; or for each id of a feature
// a uint32, which is 0 for none, or else 1 and the number that the feature's counter gave the token.
//
// Whatever fails of a draft is no error: text is parsed again then.
type draft struct {
	file   *os.File // nil if there is no draft any more
	start  time.Time
	values int // labels and weight of a row
	group  bool
	size   []int // bytes of a row's values of each feature
	at     []int // bytes of a row before these
	row    int   // bytes of a row

	chunks []draftChunk
	end    int64 // of the file
	failed error // why there is no draft any more

	key  string     // of the cache that the rows are for
	pass *scan.Pass // what was learned of the files
	ids  [][]int32  // by feature that has a vocabulary, by the numbers of tokens
}

// draftChunk is where the rows of a chunk are.
type draftChunk struct {
	at   int64
	rows int
}

// widestDraft is how many bytes a row of a draft has at most. Longer rows are those of long lists, most of which is padding.
const widestDraft = 1 << 12

// newDraft returns the draft of rows of features, with so many labels and weights, whose file is beside path, nil if it cannot be made.
func newDraft(path string, features []data.MapFeature, values int, group bool) *draft {
	d := &draft{start: time.Now(), values: values, group: group, row: 1 + 4*values}
	if group {
		d.row += 8
	}
	for _, f := range features {
		size := 4
		switch {
		case f.Fitted():
			size = 8
		case f.Count > 0:
			size = 4 * f.Count
		case f.Kind.Lists():
			size = 4 * f.MaxLen
		}
		d.size, d.at = append(d.size, size), append(d.at, d.row)
		d.row += size
	}
	if d.row > widestDraft {
		return nil
	}
	if d.file, d.failed = atomicfile.Temporary(path); d.failed != nil {
		return nil
	}
	return d
}

// close removes the file.
func (d *draft) close() {
	if d != nil && d.file != nil {
		_ = d.file.Close()
		_ = os.Remove(d.file.Name())
		d.file = nil
	}
}

// fits reports whether the draft is of the rows of a cache.
func (d *draft) fits(key string) bool { return d != nil && d.file != nil && d.key == key }

// begin makes room for the rows of a chunk in c.Enc[0] and puts in what is not of a feature.
func (d *draft) begin(c *scan.Chunk) {
	buf := scan.Grow(c.Enc[0], c.N*d.row)
	c.Enc[0] = buf
	for i, p := range c.Part[:c.N] {
		buf[i] = byte(p)
	}
	for k := range d.values {
		for i := range c.N {
			binary.LittleEndian.PutUint32(buf[(1+4*k)*c.N+4*i:], math.Float32bits(c.Value(k, i)))
		}
	}
	if d.group {
		for i, v := range c.Group[:c.N] {
			binary.LittleEndian.PutUint64(buf[(1+4*d.values)*c.N+8*i:], uint64(v))
		}
	}
}

// putTokens puts in the numbers of the tokens of feature i in row r.
func (d *draft) putTokens(c *scan.Chunk, i, r int, numbers []int32) {
	to := c.Enc[0][d.at[i]*c.N+d.size[i]*r:][:d.size[i]]
	for k, n := range numbers {
		binary.LittleEndian.PutUint32(to[4*k:], uint32(n)+1)
	}
	clear(to[4*len(numbers):])
}

// putNumbers puts in the value of feature i in row r, or those of a vector.
func (d *draft) putNumbers(c *scan.Chunk, i, r int, f *data.MapFeature, list []float64) {
	to := c.Enc[0][d.at[i]*c.N+d.size[i]*r:][:d.size[i]]
	if f.Fitted() {
		binary.LittleEndian.PutUint64(to, math.Float64bits(list[0]))
		return
	}
	for k, v := range list {
		binary.LittleEndian.PutUint32(to[4*k:], math.Float32bits(f.Value(v)))
	}
}

// add appends the rows of a chunk.
func (d *draft) add(c *scan.Chunk) {
	if d.failed != nil || c.N == 0 {
		return
	}
	if _, d.failed = d.file.Write(c.Enc[0]); d.failed != nil {
		d.close()
		return
	}
	d.chunks = append(d.chunks, draftChunk{d.end, c.N})
	d.end += int64(len(c.Enc[0]))
}

// finish takes over what was learned of the files, and the ids of a fitted map.
func (d *draft) finish(f *fitter, pass *scan.Pass, m *data.FeatureMap) {
	d.pass, d.ids = pass, make([][]int32, len(m.Features))
	byTable := map[string][]int32{}
	for i, feat := range m.Features {
		ctr := f.counter[i]
		if ctr == nil || ctr.hash > 0 {
			continue
		}
		if _, ok := byTable[feat.Table]; !ok {
			v, ids := m.Table(feat.Table), make([]int32, len(ctr.seen.Tokens))
			for n, token := range ctr.seen.Tokens {
				ids[n] = v.ID([]byte(token))
			}
			byTable[feat.Table] = ids
		}
		d.ids[i] = byTable[feat.Table]
	}
}

// draftSink makes records of the chunks of a draft, and hands them to a writer.
type draftSink struct {
	*draft
	w   *writer
	buf []byte     // of a chunk
	out []byte     // its records, part by part
	rec []int      // where the record of each row is in out
	c   scan.Chunk // the records, for w
}

// write hands the rows to w as records.
func (d *draft) write(ctx context.Context, threads int, w *writer) error {
	return scan.InOrder(ctx, threads, len(d.chunks), func() (func(i int) error, func() error) {
		s := &draftSink{draft: d, w: w}
		return s.work, func() error { return s.w.Emit(&s.c) }
	})
}

// work makes records of chunk k.
func (s *draftSink) work(k int) error {
	n := s.chunks[k].rows
	s.buf = scan.Grow(s.buf, n*s.row)
	if _, err := s.file.ReadAt(s.buf, s.chunks[k].at); err != nil {
		return err
	}
	s.place(n)
	rec := s.w.rec
	group := s.buf[(1+4*s.values)*n:]
	for r, at := range s.rec {
		for k := range s.values {
			copy(s.out[at+4*(rec.schema.NumDense+k):][:4], s.buf[(1+4*k)*n+4*r:])
		}
		if s.group {
			copy(s.out[at+rec.group:][:8], group[8*r:])
		}
	}
	for i := range s.w.features {
		if values := s.buf[s.at[i]*n : (s.at[i]+s.size[i])*n]; s.w.tables[i] == nil {
			s.dense(i, values)
		} else if s.w.features[i].Fitted() {
			s.buckets(i, values)
		} else {
			s.tokens(i, values, n)
		}
	}
	return nil
}

// place makes room for the records of n rows, and sets where each is.
func (s *draftSink) place(n int) {
	size := s.w.rec.size
	s.out, s.rec = scan.Grow(s.out, n*size), scan.Grow(s.rec, n)
	s.c.Count = [3]int64{}
	for _, p := range s.buf[:n] {
		s.c.Count[p]++
	}
	var next [3]int
	at := 0
	for p, k := range s.c.Count {
		next[p] = at
		s.c.Enc[p] = s.out[at : at+int(k)*size]
		at += int(k) * size
	}
	for r, p := range s.buf[:n] {
		s.rec[r] = next[p]
		next[p] += size
	}
}

// dense puts the values of a feature of numbers into the records.
func (s *draftSink) dense(i int, values []byte) {
	f, to := &s.w.features[i], 4*s.w.fields[i]
	if !f.Fitted() {
		for r, at := range s.rec {
			copy(s.out[at+to:][:s.size[i]], values[s.size[i]*r:])
		}
		return
	}
	for r, at := range s.rec {
		v := f.Value(math.Float64frombits(binary.LittleEndian.Uint64(values[8*r:])))
		binary.LittleEndian.PutUint32(s.out[at+to:], math.Float32bits(v))
	}
}

// buckets puts the ids of a feature of numbers whose buckets were fitted into the records.
func (s *draftSink) buckets(i int, values []byte) {
	f, field := &s.w.features[i], &s.w.rec.ids[s.w.fields[i]]
	var digits [32]byte
	for r, at := range s.rec {
		id := s.w.tables[i].ID(f.AppendToken(digits[:0], math.Float64frombits(binary.LittleEndian.Uint64(values[8*r:]))))
		note(s.w.met[s.buf[r]], i, id)
		field.put(s.out[at:], 0, id)
	}
}

// tokens puts the ids of a feature into the records.
func (s *draftSink) tokens(i int, values []byte, n int) {
	field, ids := &s.w.rec.ids[s.w.fields[i]], s.ids[i]
	for r, at := range s.rec {
		rec, met := s.out[at:], s.w.met[s.buf[r]]
		for k := range field.n {
			number := binary.LittleEndian.Uint32(values[4*(r*field.n+k):])
			id := int32(data.PadID)
			if number > 0 {
				id = data.FirstID + int32(number-1)
				if ids != nil {
					id = ids[number-1]
				}
				note(met, i, id)
			}
			field.put(rec, k, id)
		}
	}
}
