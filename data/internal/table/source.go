package table

import (
	"fmt"
	"io"
	"iter"
	"os"
	"sync"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/evict"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// blockRows is how many neighbouring rows a shuffle in bounded memory reads at once.
const blockRows = 4096

// source is a Source over a file of records, or over some of them.
type source struct {
	rec      *record
	file     *os.File
	rows     int64
	kept     []uint32 // places of a view's records, in ascending order; nil if it has all
	seed     uint64
	window   int // rows that are shuffled together; 0 to keep the order of the file
	dropLast bool
	pool     *pool
}

// pool is the cursors of epochs that ended, for all views of a file: a window of rows is held once, not once a view.
type pool struct {
	mu    sync.Mutex
	spare []*cursor
}

func openSource(path string, rec *record, rows int64) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: cache: %w", err)
	}
	evict.Hold(f)
	return &source{rec: rec, file: f, rows: rows, pool: &pool{}}, nil
}

// Schema returns the features of the rows.
func (s *source) Schema() *data.Schema { return s.rec.schema }

// Rows returns the number of rows.
func (s *source) Rows() int64 { return s.rows }

// DropsLast reports whether a batch that is not full is left out.
func (s *source) DropsLast() bool { return s.dropLast }

// Batches returns the rows of an epoch.
func (s *source) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return s.BatchesFrom(epoch, size, 0)
}

// BatchesFrom returns the rows of an epoch without the first skip batches, of which nothing is read unless they share
// a shuffled window with the next one.
func (s *source) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return s.BatchesOf(epoch, size, skip, nil)
}

// BatchesOf returns the rows of an epoch without the first skip batches, and without the content of those that are not mine. Their rows are
// read with their windows, and not decoded.
func (s *source) BatchesOf(epoch, size, skip int, mine func(batch int) bool) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		if size <= 0 || skip < 0 {
			yield(nil, fmt.Errorf("data: batches of %d rows after %d, want a positive size", size, skip))
			return
		}
		if err := data.CheckBatch(s, size); err != nil {
			yield(nil, err)
			return
		}
		c := s.cursor(size)
		defer s.release(c)
		left := s.rows - int64(skip)*int64(size)
		c.start(epoch, int64(skip)*int64(size))
		batch := skip - 1
		scan.Prefetch(c.batches, func(b *data.Batch) (bool, error) {
			n := int(min(int64(size), left))
			if n <= 0 || n < size && s.dropLast {
				return false, nil
			}
			left -= int64(n)
			batch++
			return true, c.fill(b, n, mine == nil || mine(batch))
		}, yield)
	}
}

// cursor returns a cursor with batches of size rows, an old one if there is one.
func (s *source) cursor(size int) *cursor {
	s.pool.mu.Lock()
	defer s.pool.mu.Unlock()
	var c *cursor
	if n := len(s.pool.spare); n > 0 {
		c, s.pool.spare = s.pool.spare[n-1], s.pool.spare[:n-1]
	} else {
		c = &cursor{few: make([]byte, rowsAtOnce*s.rec.size)}
	}
	c.s = s
	if len(c.batches) == 0 || c.batches[0].Size != size {
		c.batches = make([]*data.Batch, scan.Prefetched)
		for i := range c.batches {
			c.batches[i] = data.NewBatch(s.rec.schema, size)
		}
	}
	return c
}

func (s *source) release(c *cursor) {
	s.pool.mu.Lock()
	s.pool.spare = append(s.pool.spare, c)
	s.pool.mu.Unlock()
}

// cursor is a place in the rows of an epoch. With a window, blocks of neighbouring rows are permuted, as many as fit in
// the window are read, and their rows are permuted; a part that fits as a whole is one window.
type cursor struct {
	s       *source
	batches []*data.Batch
	few     []byte // some records, gathered

	epoch  int
	blocks []int32 // permuted; nil without a window
	next   int     // in blocks, or the next row of the file / blockRows
	skip   int64   // rows still to be skipped
	win    []byte
	gap    []byte  // a piece of the file, of which a view keeps some
	order  []int32 // of the rows of win
	pos    int     // in order, or in the rows of win
	rows   int     // of win
}

func (c *cursor) start(epoch int, skip int64) {
	s := c.s
	c.epoch, c.next, c.pos, c.rows, c.skip = epoch, 0, 0, 0, skip
	if s.window == 0 {
		c.skip = skip % blockRows
		c.next = int(skip / blockRows)
		return
	}
	c.blocks = scan.Grow(c.blocks, int((s.rows+c.block()-1)/c.block()))
	for i := range c.blocks {
		c.blocks[i] = int32(i)
	}
	if s.rows > int64(s.window) {
		r := rng.New(rng.Key(s.seed, "blocks", epoch))
		r.Shuffle(len(c.blocks), func(i, j int) { c.blocks[i], c.blocks[j] = c.blocks[j], c.blocks[i] })
	}
}

// block returns the rows of a block.
func (c *cursor) block() int64 {
	if c.s.window > 0 {
		return int64(min(blockRows, c.s.window))
	}
	return blockRows
}

// load reads the next window that has rows which are not skipped. It returns io.EOF after the last one.
func (c *cursor) load() error {
	s := c.s
	for {
		blocks := c.upcoming()
		if len(blocks) == 0 {
			return io.EOF
		}
		rows := 0
		for _, b := range blocks {
			rows += int(min(c.block(), s.rows-int64(b)*c.block()))
		}
		first := c.next
		c.next += len(blocks)
		if c.skip >= int64(rows) {
			c.skip -= int64(rows)
			continue
		}
		return c.read(blocks, rows, first)
	}
}

// upcoming returns the blocks of the next window.
func (c *cursor) upcoming() []int32 {
	if c.s.window > 0 {
		per := max(1, int(int64(c.s.window)/c.block()))
		if c.s.rows <= int64(c.s.window) {
			per = len(c.blocks)
		}
		return c.blocks[min(c.next, len(c.blocks)):min(c.next+per, len(c.blocks))]
	}
	if int64(c.next)*blockRows >= c.s.rows {
		return nil
	}
	c.blocks = append(c.blocks[:0], int32(c.next))
	return c.blocks
}

func (c *cursor) read(blocks []int32, rows, first int) error {
	s, size := c.s, c.s.rec.size
	c.win = scan.Grow(c.win, rows*size)
	at := 0
	for i := 0; i < len(blocks); { // neighbours in one read
		k := i + 1
		for k < len(blocks) && blocks[k] == blocks[k-1]+1 {
			k++
		}
		lo := int64(blocks[i]) * c.block()
		hi := min(int64(blocks[k-1]+1)*c.block(), s.rows)
		n := int(hi-lo) * size
		if err := s.readRows(c.win[at:at+n], lo, hi, &c.gap); err != nil {
			return err
		}
		at, i = at+n, k
	}
	c.rows, c.pos, c.skip = rows, int(c.skip), 0
	if s.window > 0 {
		c.order = scan.Grow(c.order, rows)
		for i := range c.order {
			c.order[i] = int32(i)
		}
		r := rng.New(rng.Key(s.seed, "shuffle", c.epoch, first))
		for i := rows - 1; i > 0; i-- {
			j := r.IntN(i + 1)
			c.order[i], c.order[j] = c.order[j], c.order[i]
		}
	}
	return nil
}

// fill decodes the next n rows into b.
func (c *cursor) fill(b *data.Batch, n int, decode bool) error {
	size := c.s.rec.size
	for lo := 0; lo < n; {
		if c.pos == c.rows {
			if err := c.load(); err != nil {
				return err
			}
		}
		k := min(n-lo, c.rows-c.pos)
		switch {
		case !decode:
		case c.s.window == 0:
			c.s.rec.decode(b, lo, c.win[c.pos*size:(c.pos+k)*size])
		default:
			k = min(k, rowsAtOnce)
			for i, r := range c.order[c.pos : c.pos+k] {
				copy(c.few[i*size:(i+1)*size], c.win[int(r)*size:])
			}
			c.s.rec.decode(b, lo, c.few[:k*size])
		}
		c.pos += k
		lo += k
	}
	b.N = n
	if n < b.Size && decode {
		c.s.rec.pad(b, n)
	}
	return nil
}
