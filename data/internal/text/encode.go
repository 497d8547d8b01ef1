package text

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/token"
)

// encoder makes records of texts. Its work is done on many goroutines at once; the records come out in order.
type encoder struct {
	spec   *Spec
	m      *data.TextMap
	width  int
	max    int     // ids of the longest row
	before []int32 // special tokens round a text
	after  []int32

	cut     atomic.Int64 // texts that were longer
	mu      sync.Mutex
	err     error
	scratch sync.Pool  // of *token.Encoding
	rest    [3][]int32 // ids of each part that do not fill a block yet
}

func newEncoder(s *Spec, m *data.TextMap) (*encoder, error) {
	e := &encoder{spec: s, m: m, width: idWidth(m.Vocab), max: m.Lengths[len(m.Lengths)-1]}
	var empty, pair token.Encoding
	if err := m.Tokenizer().Encode(&empty, e.max, ""); err != nil {
		return nil, fmt.Errorf("data: max_length: %w", err)
	}
	if s.Pair != "" {
		if err := m.Tokenizer().EncodePair(&pair, e.max, "", ""); err != nil {
			return nil, fmt.Errorf("data: max_length: %w", err)
		}
	}
	at := max(slices.Index(empty.IDs, m.Tokenizer().Special().SEP), 0)
	e.before, e.after = empty.IDs[:at], empty.IDs[at:]
	if s.MaskRate > 0 && e.max <= len(empty.IDs) {
		return nil, fmt.Errorf("data: max_length: %d has no room for a token beside the %d special ones", e.max, len(empty.IDs))
	}
	return e, nil
}

// Work tokenises the rows of a chunk: c.Enc holds their records by part, each with its length before it.
func (e *encoder) Work(c *scan.Chunk) {
	enc, _ := e.scratch.Get().(*token.Encoding)
	if enc == nil {
		enc = &token.Encoding{}
	}
	defer e.scratch.Put(enc)
	for p := range c.Enc {
		c.Enc[p], c.Count[p] = c.Enc[p][:0], 0
	}
	for i := range c.N {
		tok := c.Tok[i*cells : (i+1)*cells]
		text := func(k int) string { return string(c.Data[tok[k].Lo:tok[k].Hi]) }
		out := &c.Enc[c.Part[i]]
		enc.Reset()
		var err error
		if e.spec.MaskRate > 0 {
			if err = e.m.Tokenizer().Encode(enc, 0, text(firstText)); err == nil {
				*out = e.pieces(*out, enc.IDs[len(e.before):len(enc.IDs)-len(e.after)])
			}
		} else {
			*out, err = e.row(*out, c.Label[i], enc, text(firstText), text(secondText))
		}
		if err != nil {
			e.mu.Lock()
			e.err = errors.Join(e.err, fmt.Errorf("data: %s: %w", c.Src.Path, err))
			e.mu.Unlock()
			return
		}
	}
}

// row appends the record of a text, or of a pair of texts.
func (e *encoder) row(dst []byte, label float32, enc *token.Encoding, first, second string) ([]byte, error) {
	var err error
	if e.spec.Pair != "" {
		err = e.m.Tokenizer().EncodePair(enc, e.max, first, second)
	} else {
		err = e.m.Tokenizer().Encode(enc, e.max, first)
	}
	if err != nil {
		return dst, err
	}
	return e.record(dst, label, enc)
}

// record appends a row.
func (e *encoder) record(dst []byte, label float32, enc *token.Encoding) ([]byte, error) {
	if enc.Cut > 0 {
		e.cut.Add(1)
	}
	split := slices.Index(enc.Segments, 1)
	if split < 0 {
		split = len(enc.IDs)
	}
	if slices.Contains(enc.Segments[split:], 0) {
		return dst, errors.New("the tokenizer mixes the segments of two texts; want all of the first before the second")
	}
	return e.append(dst, label, split, enc.IDs), nil
}

// append appends a record and, before it, its length.
func (e *encoder) append(dst []byte, label float32, split int, ids []int32) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(recordHead+e.width*len(ids)))
	return appendRecord(dst, label, split, ids, e.width)
}

// pieces appends the rows of a line of a masked language model, of which ids has no special tokens: cut into rows, or as a whole
// if rows are blocks.
func (e *encoder) pieces(dst []byte, ids []int32) []byte {
	if len(ids) == 0 {
		return dst
	}
	if e.spec.Blocks {
		return e.append(dst, 0, len(ids), ids)
	}
	for piece := range slices.Chunk(ids, e.room()) {
		dst = e.whole(dst, piece)
	}
	return dst
}

// room is how many ids beside the special tokens the longest row has.
func (e *encoder) room() int { return e.max - len(e.before) - len(e.after) }

// whole appends ids between the special tokens.
func (e *encoder) whole(dst []byte, ids []int32) []byte {
	row := slices.Concat(e.before, ids, e.after)
	return e.append(dst, 0, len(row), row)
}

// rows hands the records of a chunk to do, one after the other. It is called for one chunk at a time, in the order of the files.
func (e *encoder) rows(c *scan.Chunk, do func(part int, rec []byte) error) error {
	e.mu.Lock()
	err := e.err
	e.mu.Unlock()
	for part := range c.Enc {
		for recs := c.Enc[part]; len(recs) > 0 && err == nil; {
			n := 4 + int(binary.LittleEndian.Uint32(recs))
			rec := recs[4:n]
			recs = recs[n:]
			if e.spec.Blocks {
				err = e.block(part, rec, do)
			} else {
				err = do(part, rec)
			}
		}
	}
	return err
}

// block adds a line's ids, after one special token that ends the line before, and hands on the blocks that are full.
func (e *encoder) block(part int, rec []byte, do func(part int, rec []byte) error) error {
	rest := e.rest[part]
	if len(rest) > 0 && len(e.after) > 0 {
		rest = append(rest, e.after[0])
	}
	rest = appendIDs(rest, rec, e.width)
	at := 0
	for ; len(rest)-at >= e.room(); at += e.room() {
		if err := do(part, e.whole(nil, rest[at:at+e.room()])[4:]); err != nil {
			return err
		}
	}
	e.rest[part] = append(rest[:0], rest[at:]...)
	return nil
}

// finish hands on the last blocks, which are not full.
func (e *encoder) finish(do func(part int, rec []byte) error) error {
	for part, rest := range e.rest {
		if len(rest) == 0 {
			continue
		}
		if err := do(part, e.whole(nil, rest)[4:]); err != nil {
			return err
		}
	}
	return nil
}

// appendIDs appends the ids of a record.
func appendIDs(dst []int32, rec []byte, width int) []int32 {
	for rec = rec[recordHead:]; len(rec) > 0; rec = rec[width:] {
		if width == 2 {
			dst = append(dst, int32(binary.LittleEndian.Uint16(rec)))
		} else {
			dst = append(dst, int32(binary.LittleEndian.Uint32(rec)))
		}
	}
	return dst
}
