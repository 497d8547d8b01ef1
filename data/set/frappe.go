package set

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
	"github.com/splice-ml/splice/data/rng"
)

// Frappe is the Frappe log of app usage (Baltrunas et al. 2015, arXiv:1505.03014) as a set of labelled rows. Each of the
// log's entries is a positive row of 10 fields; the count cnt is left out. For each, some negative rows are sampled:
// the same user and context with an app that this user never used, uniformly among them, no app twice. This is how the
// set of 288,609 rows of the literature (He & Chua 2017; BARS' Frappe_x1) was made, and as in it, a negative row keeps
// every other field of its positive, cost included, although cost is a property of the app.
//
// Without split, rows are split at random into 7:2:1; of a ratio, the bounds between parts are rounded up, which makes
// 202,027 / 57,722 / 28,860 rows of the whole log.
type Frappe struct {
	data.Common `yaml:",inline"`
	Negatives   int    `yaml:"negatives"` // rows sampled for each entry of the log
	Seed        uint64 `yaml:"seed"`      // of the negatives; the split has its own
}

func init() { data.Register("frappe", Frappe{Common: data.DefaultCommon(), Negatives: 2}) }

// frappeNames are the fields of a row.
var frappeNames = []string{"user", "item", "daytime", "weekday", "isweekend", "homework", "cost", "weather", "country", "city"}

const frappeVersion = 1

// maxNegatives bounds the rows that a slip of the pen makes.
const maxNegatives = 1000

// Validate returns what is wrong with the options.
func (d Frappe) Validate() error {
	errs := []error{
		d.Common.Validate(), table.CheckColumns(d.Columns, frappeNames), table.RefuseDerived(d.Columns, "frappe"),
		registry.In("negatives", d.Negatives, 1, maxNegatives),
	}
	if d.Split.By == data.SplitTime {
		errs = append(errs, registry.Field("split.by", "the Frappe log has no times; split at random or by order"))
	}
	if d.MaxRows > 0 {
		errs = append(errs, registry.Field("max_rows", "negatives are sampled from the whole log; remove it"))
	}
	for part, list := range [...][]string{data.ValidPart: d.ValidPath, data.TestPart: d.TestPath} {
		if len(list) > 0 {
			errs = append(errs, registry.Field(data.Part(part).PathKey(), "negatives are sampled from one log; remove it and use split"))
		}
	}
	return errors.Join(errs...)
}

// Open reads the log, samples the negatives and keeps all rows as text in the cache directory, where the readers of
// delimited files take over.
func (d Frappe) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	o.Log = parts.Logger(o.Log)
	if d.Negatives == 0 {
		d.Negatives = 2
	}
	d.Common = d.WithDefaults()
	if err := table.Validate(d, d.Common); err != nil {
		return nil, err
	}
	files, err := scan.Expand(d.Path)
	if err != nil {
		return nil, fmt.Errorf("%w; want the Frappe log frappe.csv (tab separated, header user item cnt daytime ... city, 96,203 entries), "+
			"described in arXiv:1505.03014, whose authors hand it out", err)
	}
	log := &frappeLog{bad: scan.BadRowsOf(d.Common), maxLine: d.MaxLine}
	for _, f := range files {
		if err := log.read(ctx, f); err != nil {
			return nil, err
		}
	}
	scan.Report(o.Log, log.bad.Count, int64(len(log.entries)), log.bad.First)
	var text bytes.Buffer
	if err := log.sample(&text, d.Negatives, d.Seed); err != nil {
		return nil, err
	}
	dir := cache.At(o.CacheDir, o.Log)
	key, err := cache.Key("frappe", frappeVersion, scan.Absolute(files), d.Negatives, d.Seed)
	if err != nil {
		return nil, err
	}
	path := dir.Path(key, "-frappe.tsv")
	if sum, err := scan.HashFile(path); err != nil || sum != xxhash.Sum64(text.Bytes()) {
		if err := dir.Make(); err != nil {
			return nil, err
		}
		write := func(w io.Writer) error { _, err := w.Write(text.Bytes()); return err }
		if err := dir.Wrap(atomicfile.Write(path, write)); err != nil {
			return nil, err
		}
	}
	rows := d.rows()
	rows.Path = []string{path}
	rows.Split = d.split(int64(len(log.entries)) * int64(1+d.Negatives))
	s, err := rows.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	read := s.Sources // of the log's rows as text, and of other parts
	s.Sources = parts.Sources(nil, data.TrainPart, log.sums)
	for _, f := range read {
		if f.Key != data.TrainPart.PathKey() {
			s.Sources = append(s.Sources, f)
		}
	}
	return s, nil
}

// Stream reads one file in order: tab separated rows with a header of the log's names, a column label or none.
func (d Frappe) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	return d.stored().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Frappe) Encoder(m *data.FeatureMap) (data.RowEncoder, error) { return d.stored().Encoder(m) }

// stored is the data set of files that have the log's columns.
func (d Frappe) stored() CSV {
	rows := d.rows()
	rows.Columns["cnt"] = data.IgnoreColumn{}
	return rows
}

// rows is the data set of the labelled rows, without its files.
func (d Frappe) rows() CSV {
	c := CSV{Common: d.Common, Label: data.Names{"label"}, Delimiter: "\t"}
	c.Columns = map[string]data.Column{}
	for _, name := range frappeNames {
		c.Columns[name] = data.CategoricalColumn{}
		if o, ok := table.ColumnOf(d.Columns, name); ok {
			c.Columns[name] = o
		}
	}
	return c
}

// split returns the split of n rows with exact numbers of rows.
func (d Frappe) split(n int64) data.Split {
	s := d.Split
	if len(s.Counts) > 0 {
		return s
	}
	if len(s.Ratio) == 0 {
		s.Ratio = []float64{.7, .2, .1}
	}
	share, done := 0., int64(0)
	for i, r := range s.Ratio {
		share += r
		end := min(n, int64(math.Ceil(share*float64(n)-1e-6)))
		if i == len(s.Ratio)-1 {
			end = n
		}
		s.Counts = append(s.Counts, end-done)
		done = end
	}
	s.Ratio = nil
	return s
}

// frappeLog is the entries of a log: in each, the value of every field.
type frappeLog struct {
	entries [][]string
	bad     scan.BadRows
	maxLine int
	sums    []scan.FileSum // of its files
}

// read appends the entries of a file.
func (l *frappeLog) read(ctx context.Context, path string) error {
	in, err := scan.OpenInput(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, l.maxLine)
	var at []int // column of each field
	var names []string
	rows := 0
	for line := int64(1); sc.Scan(); line++ {
		if line&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		text := bytes.TrimSuffix(sc.Bytes(), []byte("\r"))
		if line == 1 {
			text = bytes.TrimPrefix(text, scan.UTF8BOM)
			if err := scan.CheckLineEnds(path, text); err != nil {
				return err
			}
			names = strings.Split(string(text), "\t")
			if at, err = frappeHeader(path, names); err != nil {
				return err
			}
			continue
		}
		if len(text) == 0 {
			continue
		}
		entry, bad := frappeEntry(text, names, at)
		if bad != nil {
			bad.File, bad.Line = path, line
			if err := l.bad.Add(1, []*data.RowError{bad}); err != nil {
				return err
			}
			continue
		}
		l.entries = append(l.entries, entry)
		rows++
	}
	switch err := sc.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("data: %s: a row is longer than %d bytes (max_line); is it the tab separated log?", path, l.maxLine)
	case err != nil:
		return scan.ReadError(path, err)
	case at == nil:
		return fmt.Errorf("data: %s: the file is empty; want the Frappe log frappe.csv", path)
	case rows == 0:
		return fmt.Errorf("data: %s: has a header but no rows", path)
	}
	sum := scan.FileSum{Path: scan.Absolute([]string{path})[0]}
	if sum.Size, sum.Hash, err = in.Sum(); err != nil {
		return scan.ReadError(path, err)
	}
	l.sums = append(l.sums, sum)
	return nil
}

// frappeHeader returns the column of each field.
func frappeHeader(path string, names []string) ([]int, error) {
	at := make([]int, len(frappeNames))
	var missing []string
	for i, n := range frappeNames {
		if at[i] = slices.Index(names, n); at[i] < 0 {
			missing = append(missing, n)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("data: %s:1: the header has no %s; want the tab separated log with "+
			"user item cnt daytime weekday isweekend homework cost weather country city", path, strings.Join(missing, ", "))
	}
	return at, nil
}

// frappeEntry returns the fields of a line.
func frappeEntry(text []byte, names []string, at []int) ([]string, *data.RowError) {
	if i, f := scan.TextFault(text); f != "" {
		column := bytes.Count(text[:i], []byte("\t"))
		return nil, &data.RowError{Column: names[min(column, len(names)-1)], Msg: string(f)}
	}
	cells := strings.Split(string(text), "\t")
	if len(cells) != len(names) {
		return nil, &data.RowError{Msg: fmt.Sprintf("%d columns, the header has %d separated by tabs", len(cells), len(names))}
	}
	entry := make([]string, len(at))
	for i, k := range at {
		entry[i] = cells[k]
		if i < 2 && cells[k] == "" {
			return nil, &data.RowError{Column: frappeNames[i], Msg: "is blank; every entry needs a user and an item"}
		}
	}
	return entry, nil
}

// sample writes every entry as a positive row, negatives rows with other items after it.
func (l *frappeLog) sample(w *bytes.Buffer, negatives int, seed uint64) error {
	const user, item = 0, 1
	var items []string
	seen := map[string]bool{}
	used := map[string]map[string]bool{} // items by user
	for _, e := range l.entries {
		if !seen[e[item]] {
			seen[e[item]] = true
			items = append(items, e[item])
		}
		if used[e[user]] == nil {
			used[e[user]] = map[string]bool{}
		}
		used[e[user]][e[item]] = true
	}
	fmt.Fprintf(w, "label\t%s\n", strings.Join(frappeNames, "\t"))
	r := rng.New(rng.Key(seed, "frappe", "negatives"))
	row := func(label byte, e []string, id string) {
		w.WriteByte(label)
		for i, v := range e {
			if i == item {
				v = id
			}
			w.WriteByte('\t')
			w.WriteString(v)
		}
		w.WriteByte('\n')
	}
	drawn := make([]string, 0, negatives)
	for _, e := range l.entries {
		if free := len(items) - len(used[e[user]]); free < negatives {
			return fmt.Errorf("data: user %s used all but %d of %d apps, which leaves no %d negatives; lower negatives", e[user], free, len(items),
				negatives)
		}
		row('1', e, e[item])
		for drawn = drawn[:0]; len(drawn) < negatives; {
			id := items[r.IntN(len(items))]
			if used[e[user]][id] || slices.Contains(drawn, id) {
				continue
			}
			drawn = append(drawn, id)
			row('0', e, id)
		}
	}
	return nil
}
