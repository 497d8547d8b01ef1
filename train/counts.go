package train

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// counts are how often each row of each trained table was in a training batch: the occurrences of its id in the live rows, of
// all features that share the table. Padding, row 0, is not counted. Where next items are predicted, an item counts once as part of a
// history, and once as the item that follows a position. So it does with the loss over all items too, by which each step moves the
// rows of all others; items that are drawn as negatives do not count.
type counts struct {
	groups []*countGroup
	table  map[string]*countGroup // by the table's name
	batch  *data.Batch
	run    func(i int)
}

// countGroup is the count of tables that the same features look up: embedding and linear term of a feature, for one.
type countGroup struct {
	features []*data.Feature
	next     bool    // items that follow positions count too
	n        []int64 // by row
}

func newCounts(tables []models.TableUse) *counts {
	c := &counts{table: map[string]*countGroup{}}
	byKey := map[string]*countGroup{}
	for _, t := range tables {
		var names []string
		for _, f := range t.Features {
			names = append(names, f.Name)
		}
		slices.Sort(names)
		key := fmt.Sprintf("%d\x00%v\x00%s", t.Param.Shape[0], t.Next, strings.Join(names, "\x00"))
		g := byKey[key]
		if g == nil {
			g = &countGroup{t.Features, t.Next, make([]int64, t.Param.Shape[0])}
			byKey[key] = g
			c.groups = append(c.groups, g)
		}
		c.table[t.Param.Name] = g
	}
	// The largest first, so that no thread is left with one when the others are done.
	slices.SortStableFunc(c.groups, func(a, b *countGroup) int { return cmp.Compare(len(b.features)*len(b.n), len(a.features)*len(a.n)) })
	c.run = func(i int) { c.groups[i].add(c.batch) }
	return c
}

// add counts a batch.
func (c *counts) add(b *data.Batch) {
	c.batch = b
	kernel.Parallel(len(c.groups), c.run)
	c.batch = nil
}

func (g *countGroup) add(b *data.Batch) {
	for _, f := range g.features {
		for _, id := range embed.Live(b, f) {
			g.n[id]++
		}
		if g.next && f.Kind == data.Sequence {
			g.follow(b, f)
		}
	}
	g.n[data.PadID] = 0
}

// follow counts the items that follow the positions of a batch's histories: those after the first, and the label. An item that is not
// known is not predicted.
func (g *countGroup) follow(b *data.Batch, f *data.Feature) {
	ids := embed.Live(b, f)
	for r := range b.N {
		row := ids[r*f.MaxLen : (r+1)*f.MaxLen]
		for _, id := range row[1:] {
			if id >= data.FirstID && !b.LastOnly {
				g.n[id]++
			}
		}
		if y := int(b.Label[r]); y >= data.FirstID && y < len(g.n) {
			g.n[y]++
		}
	}
}

// save writes the counts.
func (c *counts) save(path string) error {
	table := make(map[string][]int64, len(c.table))
	for name, g := range c.table {
		table[name] = g.n
	}
	return writeCounts(path, table)
}

// SaveCounts writes how often each row of each table was trained, by the table's name, to a file beside the run's model.
func SaveCounts(dir string, counts map[string][]int64) error {
	return writeCounts(filepath.Join(dir, run.CountsFile), counts)
}

func writeCounts(path string, counts map[string][]int64) error {
	infos := make([]ckpt.Info, 0, len(counts))
	for name, n := range counts {
		infos = append(infos, ckpt.Info{Name: name, DType: ckpt.I64, Shape: []int{len(n)}})
	}
	slices.SortFunc(infos, func(a, b ckpt.Info) int { return strings.Compare(a.Name, b.Name) })
	buf := make([]byte, 0, 1<<15)
	return ckpt.Stream(path, infos, nil, func(name string, w io.Writer) error {
		for x := counts[name]; len(x) > 0; {
			n := min(len(x), cap(buf)/8)
			buf = buf[:0]
			for _, v := range x[:n] {
				buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
			}
			if _, err := w.Write(buf); err != nil {
				return err
			}
			x = x[n:]
		}
		return nil
	})
}

// load reads what save wrote, for the same tables.
func (c *counts) load(path string) error {
	have, err := readCounts(path)
	if err != nil {
		return err
	}
	if len(have) != len(c.table) {
		return fmt.Errorf("train: %s: counts of %d tables, the model trains %d", path, len(have), len(c.table))
	}
	for name, g := range c.table {
		n, ok := have[name]
		if !ok || len(n) != len(g.n) {
			return fmt.Errorf("train: %s: table %s: counts of %d rows, the model has %d", path, name, len(n), len(g.n))
		}
		copy(g.n, n)
	}
	return nil
}

// LoadCounts returns how often each row of each table of a run's model was trained, by the table's name. It returns nil if the run
// has no such file.
func LoadCounts(dir string) (map[string][]int64, error) {
	c, err := readCounts(filepath.Join(dir, run.CountsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return c, err
}

func readCounts(path string) (map[string][]int64, error) {
	f, err := ckpt.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out := make(map[string][]int64, len(f.Tensors))
	for _, t := range f.Tensors {
		n, err := f.Ints(t.Name)
		if err != nil {
			return nil, err
		}
		if len(t.Shape) != 1 || slices.ContainsFunc(n, func(v int64) bool { return v < 0 }) {
			return nil, fmt.Errorf("train: %s: tensor %s %v: want counts of rows, none below 0", path, t.Name, t.Shape)
		}
		out[t.Name] = n
	}
	return out, nil
}
