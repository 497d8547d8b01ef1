package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/splice-ml/splice/data/rng"
)

// builder opens the parts of a data set of delimited files.
type builder struct {
	Common
	format format
	name   string    // of the format
	key    any       // options of the format that decide how text is read
	group  string    // column, or empty
	time   string    // column, or empty
	text   *textSpec // of texts; nil: rows of features
	o      OpenOptions

	cache cacheDir
	main  []string   // files of path
	count *rowCounts // of main, when needed
}

// rowCounts is what the first pass over the rows of a split by number or time finds out.
type rowCounts struct {
	rows  int64
	times []float64
}

func (r *rowCounts) work(*chunk) {}

func (r *rowCounts) emit(c *chunk) error {
	r.rows += int64(c.n)
	r.times = append(r.times, c.time...)
	return nil
}

// discard is a logger for nobody.
var discard = slog.New(slog.DiscardHandler)

func (b *builder) open(ctx context.Context) (*Splits, error) {
	if b.o.Log == nil {
		b.o.Log = discard
	}
	if !slices.Contains([]string{"", "train", "valid", "test"}, b.o.Only) {
		return nil, fmt.Errorf("data: no part %q; want train, valid or test", b.o.Only)
	}
	b.cache = cacheDir{dir: cmp.Or(b.o.CacheDir, ".cache"), log: b.o.Log}
	if err := b.cache.make(); err != nil {
		return nil, err
	}
	valid, verr := Expand(b.ValidPath)
	test, terr := Expand(b.TestPath)
	var merr error
	if b.o.Map == nil || b.wantsMain() {
		b.main, merr = Expand(b.Path)
	}
	if err := errors.Join(merr, verr, terr); err != nil {
		return nil, err
	}
	for _, f := range absolute(b.main) {
		if slices.Contains(absolute(valid), f) || slices.Contains(absolute(test), f) {
			b.o.Log.Warn("data: a file of path is in valid_path or test_path too; its rows are not unseen", "file", f)
		}
	}
	m := b.o.Map
	if m == nil {
		var err error
		if m, err = b.fit(ctx); err != nil {
			return nil, err
		}
	} else if err := b.checkMap(m); err != nil {
		return nil, err
	}
	return b.parts(ctx, m, valid, test)
}

// checkMap returns why m cannot be the map of the rows.
func (b *builder) checkMap(m *FeatureMap) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	switch {
	case b.text != nil:
		return m.Text.usable(b.text)
	case m.Text != nil:
		return errors.New("data: the feature map is one of texts; was it made for other data?")
	}
	return nil
}

func (b *builder) wants(part int) bool { return b.o.Only == "" || b.o.Only == partNames[part] }

// wantsMain reports whether a part that is wanted comes from path.
func (b *builder) wantsMain() bool {
	for part := range partNames {
		if b.wants(part) && b.Split.has(part) {
			return true
		}
	}
	return false
}

// parts opens the parts that are wanted.
func (b *builder) parts(ctx context.Context, m *FeatureMap, valid, test []string) (*Splits, error) {
	s := &Splits{Schema: m.Schema(b.group != ""), Map: m}
	var open [3]Source
	if b.wantsMain() {
		from, err := b.rows(ctx, m, b.main, b.Split)
		if err != nil {
			return nil, err
		}
		for part := range open {
			if !b.Split.has(part) || !b.wants(part) {
				continue
			}
			if from[part] == nil {
				return nil, fmt.Errorf("data: the split leaves no %s rows; give that part a larger share", partNames[part])
			}
			open[part] = from[part]
		}
	}
	for part, files := range [...][]string{partValid: valid, partTest: test} {
		if len(files) == 0 || !b.wants(part) {
			continue
		}
		from, err := b.rows(ctx, m, files, Split{})
		if err != nil {
			return nil, err
		}
		open[part] = from[0]
	}
	if b.o.Only != "" && open[slices.Index(partNames[:], b.o.Only)] == nil {
		return nil, fmt.Errorf("data: there is no %s part; give split or %s_path", b.o.Only, b.o.Only)
	}
	switch train := open[partTrain].(type) {
	case *cached:
		train.seed, train.window, train.dropLast = b.o.Seed, b.ShuffleBuffer, b.DropLast
	case *textRows:
		train.seed, train.shuffle = b.o.Seed, true
		if n, rows := b.text.options.MaxTrainRows, train.Rows(); n > 0 && n < rows {
			open[partTrain] = train.view(random(rows, []int64{n, rows - n}, rng.Key(0, "max_train_rows"))[0], b.o.Seed)
			b.o.Log.Info("data: training on a choice of the rows, as max_train_rows says", "rows", n, "of", rows)
		}
	}
	s.Train, s.Valid, s.Test = open[partTrain], open[partValid], open[partTest]
	return s, nil
}

// fit returns the feature map of the train rows of path.
func (b *builder) fit(ctx context.Context) (*FeatureMap, error) {
	if b.text != nil {
		return b.fitText(ctx)
	}
	head, err := (&scanner{format: b.format, maxLine: b.MaxLine}).head(b.main[0])
	if err != nil {
		return nil, err
	}
	list, err := b.format.features(b.main[0], head)
	if err != nil {
		return nil, err
	}
	features, tables, err := skeleton(list, &b.Common)
	if err != nil {
		return nil, err
	}
	specs := make([]string, len(tables))
	for i, t := range tables {
		specs[i] = fmt.Sprintf("%q %d %d %d", t.name, t.minCount, t.maxSize, t.hash)
	}
	files := absolute(b.main)
	key, err := cacheKey("fit", mapVersion, b.reading(), b.Split, features, specs, files)
	if err != nil {
		return nil, err
	}
	path := b.cache.path(key, "-"+MapFile)
	if e := b.cache.open(key, files); e != nil {
		m, err := LoadFeatureMap(path)
		if err == nil && m.Digest() == e.Map {
			return m, nil
		}
		b.o.Log.Warn("data: cache is built again", "cache", path, "reason", err)
	}
	start := time.Now()
	p := b.plan(features)
	f := newFitter(p, tables)
	sc, err := b.scan(ctx, p, files, b.Split, f)
	if err != nil {
		return nil, err
	}
	m, err := f.finish(tables)
	if err != nil {
		return nil, err
	}
	if err := b.cache.wrap(m.Save(path)); err != nil {
		return nil, err
	}
	b.o.Log.Info("data: fitted vocabularies", "rows", m.Rows, "seconds", seconds(start))
	return m, b.cache.writeIndex(key, &entry{Sources: sc.sums, Map: m.Digest()})
}

// reading is everything that decides which rows are read from a text.
func (b *builder) reading() any {
	return []any{b.name, b.key, b.BadRows, b.MaxBadRows, b.MaxLine, b.group, b.time}
}

func (b *builder) plan(features []MapFeature) *plan {
	p := newPlan(features)
	p.group, p.time, p.maxLine = b.group, b.time, b.MaxLine
	return p
}

// scan runs a pass over files.
func (b *builder) scan(ctx context.Context, p *plan, files []string, split Split, to sink) (*scan, error) {
	if b.count == nil && split.needsCount() {
		c := &rowCounts{}
		s := &scan{format: b.format, plan: p, bad: b.bad(), threads: b.o.Threads}
		if err := s.run(ctx, files, c); err != nil {
			return nil, err
		}
		b.count = c
	}
	var c rowCounts
	if b.count != nil {
		c = *b.count
	}
	sp, err := split.splitter(c.rows, c.times)
	if err != nil {
		return nil, err
	}
	s := &scan{format: b.format, plan: p, split: sp, bad: b.bad(), threads: b.o.Threads}
	return s, s.run(ctx, files, to)
}

func (b *builder) bad() badRows { return badRows{skip: b.BadRows == badSkip, limit: b.MaxBadRows} }

// rows returns the parts of files, encoded by m: from the cache, or else after writing it.
func (b *builder) rows(ctx context.Context, m *FeatureMap, files []string, split Split) (parts [3]Source, err error) {
	files = absolute(files)
	if b.text != nil {
		return b.textRows(ctx, m, files, split)
	}
	key, err := cacheKey("rows", b.reading(), split, m.Digest(), files)
	if err != nil {
		return parts, err
	}
	e := b.cache.open(key, files)
	if e == nil {
		if e, err = b.write(ctx, key, m, files, split); err != nil {
			return parts, err
		}
	}
	report(b.o.Log, e.Skipped, e.Rows, e.First)
	rec := newRecord(m.Schema(b.group != ""))
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		if p.Record != rec.size {
			return parts, fmt.Errorf("data: cache %s has rows of %d bytes, want %d; remove it", b.cache.path(key, ""), p.Record, rec.size)
		}
		c, err := openCached(b.cache.path(key, "-"+partNames[i]+".bin"), rec, p.Rows)
		if err != nil {
			return parts, err
		}
		parts[i] = c
	}
	return parts, nil
}

// write encodes files into the cache.
func (b *builder) write(ctx context.Context, key string, m *FeatureMap, files []string, split Split) (*entry, error) {
	start := time.Now()
	p := b.plan(m.Features)
	w := &recordWriter{encoder: newEncoder(m, p), dir: &b.cache, key: key}
	defer w.abort()
	s, err := b.scan(ctx, p, files, split, w)
	if err != nil {
		return nil, err
	}
	e := &entry{Sources: s.sums, Rows: s.rows, Skipped: s.bad.count, First: s.bad.first}
	if err := w.commit(e); err != nil {
		return nil, err
	}
	b.o.Log.Info("data: cached rows", "train", e.Parts[0].Rows, "valid", e.Parts[1].Rows, "test", e.Parts[2].Rows,
		"bytes_per_row", w.rec.size, "seconds", seconds(start))
	return e, b.cache.writeIndex(key, e)
}

// absolute returns the files' absolute paths, which their caches are keyed by.
func absolute(files []string) []string {
	out := make([]string, len(files))
	for i, f := range files {
		out[i] = f
		if a, err := filepath.Abs(f); err == nil {
			out[i] = a
		}
	}
	return out
}

func seconds(start time.Time) float64 { return time.Since(start).Round(time.Millisecond).Seconds() }
