// Package table reads rows of features: it fits vocabularies and statistics on the train rows, encodes rows as records of fixed
// width, keeps them in a cache, and reads them in shuffled epochs. Package text is its twin, with files of the same names.
package table

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
)

// Data is a data set whose rows are features.
type Data struct {
	data.Common
	Format Format
	Name   string       // of the format
	Key    any          // options of the format that decide how text is read
	Label  string       // column, or what rows in memory call it
	Group  string       // column, or empty
	Time   string       // column, or empty
	Weight string       // column, or empty
	Labels []data.Label // of rows whose label is not one alone that is 0 or 1

	draft *draft // of the rows that Fit read, for Rows
}

// Format is a way to write rows of features as text: criteo, csv or libfm.
type Format interface {
	scan.Format
	// Features declares the features of a file whose first record is head.
	Features(path string, head []byte) ([]Declared, error)
	// Cell reads the text of a cell of a column as the parser of a file does: a number, or a token, which is text[lo:hi].
	// bad says what is wrong with it.
	Cell(c *scan.PlanColumn, text []byte) (lo, hi int, v float64, bad string)
}

// Declared is a feature as the options declare it, before it is fitted.
type Declared struct {
	Name   string
	Column data.Column
}

// Open opens the parts of the data set.
func (t *Data) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	own := *t
	defer func() { own.draft.close() }()
	return parts.Open(ctx, &own, own.Common, o)
}

// CheckMap returns an error if m cannot be the map of the rows.
func (t *Data) CheckMap(m *data.FeatureMap) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	if m.Text != nil {
		return errors.New("data: the feature map is one of texts; was it made for other data?")
	}
	return nil
}

// Schema returns the features that m makes.
func (t *Data) Schema(m *data.FeatureMap) *data.Schema {
	s := m.Schema(t.Group != "")
	s.HasWeight, s.Labels = t.Weight != "", t.Labels
	return s
}

// reading is everything that decides which rows are read from a text.
func (t *Data) reading() any {
	key := []any{t.Name, t.Key, t.BadRows, t.MaxBadRows, t.MaxLine, t.Group, t.Time}
	if t.Split.By == data.SplitTime {
		key = append(key, "one format of times") // older caches may be of mixed ones
	}
	if t.Weight != "" || t.Labels != nil { // keys without them are older
		key = append(key, t.Weight, t.Labels)
	}
	if t.MaxRows > 0 {
		key = append(key, "rows", t.MaxRows)
	}
	return key
}

// plan returns what a parser must deliver for features.
func (t *Data) plan(features []data.MapFeature) *scan.Plan {
	p := NewPlan(features)
	p.Group, p.Time, p.MaxLine, p.Weight = t.Group, t.Time, t.MaxLine, t.Weight
	if len(t.Labels) > 1 {
		for _, l := range t.Labels {
			p.Labels = append(p.Labels, l.Name)
		}
	}
	return p
}

// Fit returns the feature map of the train rows of files.
func (t *Data) Fit(ctx context.Context, o *parts.Opening, files []string) (*data.FeatureMap, error) {
	head, err := (&scan.Scanner{Format: t.Format, MaxLine: t.MaxLine}).Head(ctx, files[0])
	if err != nil {
		return nil, err
	}
	list, err := t.Format.Features(files[0], head)
	if err != nil {
		return nil, err
	}
	if len(list) > data.MostFeatures {
		return nil, fmt.Errorf("data: %s: its first row makes %d features; a model takes at most %d: is it the right file, and the right type of data?",
			files[0], len(list), data.MostFeatures)
	}
	features, tables, err := skeleton(list, &t.Common)
	if err != nil {
		return nil, err
	}
	specs := make([]string, len(tables))
	for i, t := range tables {
		specs[i] = fmt.Sprintf("%q %d %d %d", t.name, t.minCount, t.maxSize, t.hash)
	}
	files = scan.Absolute(files)
	key, err := cache.Key("fit", data.MapVersion, t.reading(), t.Split, features, specs, files)
	if err != nil {
		return nil, err
	}
	path := o.Cache.Path(key, "-"+data.MapFile)
	if e := o.Cache.Open(key, files); e != nil {
		m, err := data.LoadFeatureMap(path)
		if err == nil && m.Digest() == e.Map {
			return m, nil
		}
		o.Options.Log.Warn("data: cache is built again", "cache", path, "reason", err)
	}
	start := time.Now()
	p := t.plan(features)
	if err := afford(tables); err != nil {
		return nil, err
	}
	var f *fitter
	sc, err := o.Passes.RunFresh(ctx, t.Format, p, files, t.Split, func() scan.Sink {
		f = newFitter(features, p, tables)
		if t.draft.close(); o.WantsMain() {
			t.draft = newDraft(o.Cache.Path(key, "-draft"), features, p.Values(), t.Group != "")
			f.draft = t.draft
		}
		return f
	})
	if err != nil {
		return nil, err
	}
	m, err := f.finish(tables)
	if err != nil {
		return nil, err
	}
	if err := o.Cache.Wrap(m.Save(path)); err != nil {
		return nil, err
	}
	o.Options.Log.Info("data: fitted vocabularies", "rows", m.Rows, "seconds", parts.Seconds(start), "mb_per_second", speed(sc.Sums, start))
	switch {
	case t.draft == nil:
	case t.draft.failed != nil:
		o.Options.Log.Warn("data: the files are read again to cache their rows", "reason", t.draft.failed)
	default:
		t.draft.finish(f, sc, m)
		if t.draft.key, err = t.rowsKey(m, files, t.Split); err != nil {
			return nil, err
		}
	}
	return m, o.Cache.WriteIndex(key, &cache.Entry{Sources: sc.Sums, Map: m.Digest()})
}

// Rows returns the parts of files, encoded by m. It reads them from the cache, which it writes first if need be.
func (t *Data) Rows(
	ctx context.Context, o *parts.Opening, m *data.FeatureMap, files []string, split data.Split,
) (parts [3]data.Source, sums []scan.FileSum, err error) {
	key, err := t.rowsKey(m, files, split)
	if err != nil {
		return parts, nil, err
	}
	e := o.Cache.Open(key, files)
	if e == nil {
		if e, err = t.write(ctx, o, key, m, files, split); err != nil {
			return parts, nil, err
		}
	}
	scan.Report(o.Options.Log, e.Skipped, e.Rows, e.First)
	rec := newRecord(t.Schema(m))
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		if p.Record != rec.size {
			return parts, nil, fmt.Errorf("data: cache %s has rows of %d bytes, want %d; remove it", o.Cache.Path(key, ""), p.Record, rec.size)
		}
		c, err := openSource(o.Cache.PartPath(key, data.Part(i)), rec, p.Rows)
		if err != nil {
			return parts, nil, err
		}
		parts[i] = c
		where := namelist.Show(files)
		if split.Has(data.ValidPart) || split.Has(data.TestPart) {
			where = fmt.Sprintf("the %s rows of %s", data.Part(i), where)
		}
		warnUnknown(o.Options.Log, where, p.Unknown)
	}
	return parts, e.Sources, nil
}

// rowsKey returns the key of the cache of the rows of files.
func (t *Data) rowsKey(m *data.FeatureMap, files []string, split data.Split) (string, error) {
	return cache.Key("rows", t.reading(), split, m.Digest(), files)
}

// write encodes files into the cache.
func (t *Data) write(
	ctx context.Context, o *parts.Opening, key string, m *data.FeatureMap, files []string, split data.Split,
) (*cache.Entry, error) {
	start := time.Now()
	p := t.plan(m.Features)
	w := &writer{encoder: newEncoder(m, p, t.Labels), parts: o.Cache.Writers(key)}
	defer func() { w.abort() }()
	s := t.fromDraft(ctx, o, key, w)
	if s != nil {
		start = t.draft.start
	} else {
		var err error
		s, err = o.Passes.RunFresh(ctx, t.Format, p, files, split, func() scan.Sink {
			w.abort()
			w = &writer{encoder: newEncoder(m, p, t.Labels), parts: o.Cache.Writers(key)}
			return w
		})
		if err != nil {
			return nil, err
		}
	}
	e := &cache.Entry{Sources: s.Sums, Map: m.Digest(), Rows: s.Rows, Skipped: s.Bad.Count, First: s.Bad.First}
	if err := w.commit(e); err != nil {
		return nil, err
	}
	for part := range e.Parts {
		e.Parts[part].Unknown = w.unknown(data.Part(part))
	}
	o.Options.Log.Info("data: cached rows", "train", e.Parts[0].Rows, "valid", e.Parts[1].Rows, "test", e.Parts[2].Rows,
		"bytes_per_row", w.rec.size, "seconds", parts.Seconds(start), "mb_per_second", speed(s.Sums, start))
	return e, o.Cache.WriteIndex(key, e)
}

// fromDraft writes the rows of the draft and returns what was learned of their files, nil if there is no draft or it fails.
func (t *Data) fromDraft(ctx context.Context, o *parts.Opening, key string, w *writer) *scan.Pass {
	if !t.draft.fits(key) {
		return nil
	}
	defer t.draft.close()
	if err := t.draft.write(ctx, o.Passes.Threads, w); err != nil {
		if ctx.Err() == nil {
			o.Options.Log.Warn("data: the files are read again to cache their rows", "reason", err)
		}
		return nil
	}
	return t.draft.pass
}

// speed returns how many megabytes of the files a second were read since start, for a log.
func speed(files []scan.FileSum, start time.Time) int64 {
	bytes := int64(0)
	for _, f := range files {
		bytes += f.Size
	}
	return int64(float64(bytes) / 1e6 / time.Since(start).Seconds())
}

// Train gives the train part its order.
func (t *Data) Train(o *parts.Opening, src data.Source) data.Source {
	c := src.(*source)
	c.seed, c.window, c.dropLast = o.Options.Seed, t.ShuffleBuffer, t.DropLast
	return c
}
