// Package text reads rows of texts: it fits labels and a tokenizer on the train rows, encodes rows as records of token ids, keeps
// them in a cache, and reads them in epochs of batches of like length. Package table is its twin, with files of the same names.
package text

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// Data is a data set whose rows are texts.
type Data struct {
	data.Common
	spec *Spec
}

// Data returns the data set of files that s describes.
func (s *Spec) Data(c data.Common) *Data { return &Data{Common: c, spec: s} }

// Open opens the parts of the data set.
func (t *Data) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	return parts.Open(ctx, t, t.Common, o)
}

// CheckMap returns an error if m cannot be the map of the texts.
func (t *Data) CheckMap(m *data.FeatureMap) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	return t.spec.usable(m.Text)
}

// Schema returns what m makes of the texts.
func (t *Data) Schema(m *data.FeatureMap) *data.Schema { return m.Schema(false) }

// reading is everything that decides which rows are read from a text.
func (t *Data) reading() any {
	return []any{"text", t.spec.key(), t.BadRows, t.MaxBadRows, t.MaxLine, "", ""}
}

// Rows returns the parts of files. It reads them from the cache, which it writes first if need be.
func (t *Data) Rows(
	ctx context.Context, o *parts.Opening, m *data.FeatureMap, files []string, split data.Split,
) (parts [3]data.Source, sums []scan.FileSum, err error) {
	key, err := cache.Key("text", t.reading(), split, m.Digest(), files)
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
	if e.Cut > 0 {
		o.Options.Log.Warn("data: texts were cut to max_length tokens", "cut", e.Cut, "rows", e.Rows,
			"max_length", m.Text.Lengths[len(m.Text.Lengths)-1])
	}
	schema := t.Schema(m)
	for i, p := range e.Parts {
		if p.Rows == 0 {
			continue
		}
		id := fmt.Sprintf("%s-%s-%016x", key, data.Part(i), p.Hash)
		if parts[i], err = openSource(o.Cache.PartPath(key, data.Part(i)), id, p, m, schema); err != nil {
			return parts, nil, err
		}
	}
	return parts, e.Sources, nil
}

// write tokenises files into the cache.
func (t *Data) write(
	ctx context.Context, o *parts.Opening, key string, m *data.FeatureMap, files []string, split data.Split,
) (*cache.Entry, error) {
	start := time.Now()
	format, err := t.spec.format(files)
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(t.spec, m.Text)
	if err != nil {
		return nil, err
	}
	w := &writer{encoder: enc, parts: o.Cache.Writers(key)}
	defer w.abort()
	s, err := o.Passes.Run(ctx, format.withLabels(m.Text), newPlan(t.MaxLine), files, split, w)
	if err != nil {
		return nil, err
	}
	if err := w.finish(w.row); err != nil {
		return nil, err
	}
	e := &cache.Entry{Sources: s.Sums, Map: m.Digest(), Rows: s.Rows, Skipped: s.Bad.Count, First: s.Bad.First, Cut: w.cut.Load()}
	if err := w.commit(e); err != nil {
		return nil, err
	}
	if e.Parts[0].Rows+e.Parts[1].Rows+e.Parts[2].Rows == 0 {
		return nil, fmt.Errorf("data: %s: no token in any of its lines", files[0])
	}
	o.Options.Log.Info("data: tokenised texts", "train", e.Parts[0].Rows, "valid", e.Parts[1].Rows, "test", e.Parts[2].Rows,
		"seconds", parts.Seconds(start))
	return e, o.Cache.WriteIndex(key, e)
}

// Train gives the train part its order, and leaves rows out if the options say so.
func (t *Data) Train(o *parts.Opening, src data.Source) data.Source {
	s := src.(*source)
	s.seed, s.shuffle = o.Options.Seed, true
	n, rows := t.spec.Options.MaxTrainRows, s.Rows()
	if n <= 0 || n >= rows {
		return s
	}
	o.Options.Log.Info("data: training on a choice of the rows, as max_train_rows says", "rows", n, "of", rows)
	return s.View(data.ViewOptions{Keep: data.Deal(rows, []int64{n, rows - n}, rng.Key(0, "max_train_rows"))[0], Seed: o.Options.Seed})
}

// usable returns why the map cannot be used for texts that the section describes.
func (s *Spec) usable(t *data.TextMap) error {
	switch {
	case t == nil:
		return fmt.Errorf("data: the feature map has no text; was it made for other data?")
	case t.Tokenizer() == nil:
		return fmt.Errorf("data: the feature map has no tokenizer: load it with LoadFeatureMap")
	case s.MaskRate > 0 != (t.MaskRate > 0):
		return fmt.Errorf("data: the checkpoint's rows have mask rate %g, the data section's %g: "+
			"one is a masked language model, the other is not", t.MaskRate, s.MaskRate)
	case s.Regression != t.Regression:
		return fmt.Errorf("data: the label set differs from the checkpoint's: one has numbers to regress on (regression), the other classes %s",
			namelist.ShowOrNone(t.Labels))
	case s.Labels != nil && !slices.Equal(s.Labels, t.Labels):
		return fmt.Errorf("data: the label set differs from the checkpoint's: the data has %s, the checkpoint %s; "+
			"take a checkpoint of the same task, or train a new head", namelist.ShowOrNone(s.Labels), namelist.ShowOrNone(t.Labels))
	}
	return nil
}
