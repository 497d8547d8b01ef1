package train

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// Fingerprinter is a Source whose rows are known by Batch.Row: each has a number of its own.
type Fingerprinter interface {
	data.Source
	// Fingerprint returns a text that identifies the rows and their numbers, whatever their order. Equal texts mean the same rows.
	Fingerprint() string
}

// FeatureOptions says how Features runs.
type FeatureOptions struct {
	Dir     string                // directory of the files; ".cache" if empty
	Compile models.CompileOptions // Batch, and what of the model is frozen
	Log     *slog.Logger          // may be nil
	load    func() error          // sets the parameters that are there
}

// Features splits a model of which only the head trains, and runs its frozen stem once over all rows of src. The features that the
// stem makes are kept in a file, which later runs use. Features returns the head, and src with Batch.Features. Its batches have the
// same rows in the same order, and the head makes the same logits of them as m does.
//
// m and src are returned as they are if m is not [models.Staged]; if a weight of its stem is not frozen by o.Compile.Freeze, or is
// computed by o.Compile.Reparam or o.Compile.Derive; or if src is no Fingerprinter.
//
// The name of the file depends on the stem's weights, the model's options and the rows. An interrupted pass leaves no file.
func Features(ctx context.Context, m models.Model, p *nn.Params, src data.Source, o FeatureOptions) (models.Model, data.Source, error) {
	head, parts, err := staged(ctx, m, p, []data.Source{src}, o)
	if err != nil || head == nil {
		return m, src, err
	}
	return head, parts[0], nil
}

// staged does what Features does for several parts of a data set, which may be nil. It returns a nil head if that cannot be done.
func staged(ctx context.Context, m models.Model, p *nn.Params, parts []data.Source, o FeatureOptions) (models.Model, []data.Source, error) {
	st, ok := m.(models.Staged)
	if !ok || o.Compile.Freeze == nil || o.Compile.Capture != nil {
		return nil, nil, nil
	}
	var schema *data.Schema
	for _, src := range parts {
		if src == nil {
			continue
		}
		if _, ok := src.(Fingerprinter); !ok || src.Schema().Text == nil || src.Schema().Text.MaskRate > 0 {
			return nil, nil, nil
		}
		schema = src.Schema()
	}
	s := &stem{model: m, params: p, names: map[string]bool{}, log: o.Log}
	c := o.Compile
	c.Train, c.Loss, c.Freeze = false, nil, func(name string) bool {
		s.names[name] = true
		frozen := o.Compile.Freeze(name)
		s.trains = s.trains || !frozen
		return frozen
	}
	if re := o.Compile.Reparam; re != nil {
		c.Reparam = func(sc *nn.Scope, name string, leaf *G.Node) *G.Node {
			n := re(sc, name, leaf)
			s.trains = s.trains || n != leaf
			return n
		}
	}
	if d := o.Compile.Derive; d != nil {
		c.Derive = func(sc *nn.Scope, q *nn.Param) *nn.Derived {
			n := d(sc, q)
			s.trains = s.trains || n != nil
			return n
		}
	}
	var err error
	if s.prog, err = models.Compile(st.Stem(), p, schema, c); err != nil {
		return nil, nil, err
	}
	defer s.prog.Close()
	if s.trains {
		return nil, nil, nil
	}
	if o.load != nil {
		if err := o.load(); err != nil {
			return nil, nil, err
		}
	}
	if s.dir = o.Dir; s.dir == "" {
		s.dir = ".cache"
	}
	out := make([]data.Source, len(parts))
	for i, src := range parts {
		if src == nil {
			continue
		}
		f, err := s.features(ctx, src.(Fingerprinter))
		if err != nil {
			return nil, nil, fmt.Errorf("train: features of the frozen part: %w", err)
		}
		out[i] = &featured{src, f}
	}
	return st.Head(), out, nil
}

// stem is the frozen part of a model.
type stem struct {
	model  models.Model
	params *nn.Params
	prog   *models.Program
	names  map[string]bool // of its weights
	trains bool            // one of them is not frozen, or is replaced
	digest string          // of them and the model
	dir    string
	log    *slog.Logger
}

// features returns the features of src, from their file if there is one.
func (s *stem) features(ctx context.Context, src Fingerprinter) (*featureFile, error) {
	if s.digest == "" {
		var err error
		if s.digest, err = s.identity(); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(s.dir, 0o777); err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, featureName(s.digest, src.Fingerprint()))
	f, err := openFeatures(path)
	if err == nil {
		s.info("features of the frozen part: found", "rows", f.rows, "width", f.width, "file", path)
		return f, nil
	}
	if !os.IsNotExist(err) && s.log != nil {
		s.log.Warn("features of the frozen part: made again", "file", path, "reason", err)
	}
	start := time.Now()
	s.info("features of the frozen part: one pass over the rows", "rows", src.Rows())
	if err := s.run(ctx, src, path); err != nil {
		return nil, err
	}
	if f, err = openFeatures(path); err != nil {
		return nil, err
	}
	seconds := int(time.Since(start).Seconds() + 0.5)
	s.info("features of the frozen part: kept", "rows", f.rows, "width", f.width, "seconds", seconds, "file", path)
	return f, nil
}

func (s *stem) info(msg string, args ...any) {
	if s.log != nil {
		s.log.Info(msg, args...)
	}
}

// logFeatures is how often a pass says how far it is.
const logFeatures = 20 * time.Second

// run writes the features of all rows to a file.
func (s *stem) run(ctx context.Context, src data.Source, path string) error {
	return writeFeatures(path, func(put func(row int64, x []float32) error) error {
		said, done := time.Now(), int64(0)
		for b, err := range src.Batches(0, s.prog.Batch()) {
			if err == nil {
				err = ctx.Err()
			}
			if err == nil && len(b.Row) < b.N {
				err = fmt.Errorf("a batch does not name its rows")
			}
			if err == nil {
				_, err = s.prog.Run(b, 0)
			}
			if err != nil {
				return err
			}
			x := s.prog.Logits()
			width := len(x) / s.prog.Batch()
			for i := range b.N {
				if err := put(b.Row[i], x[i*width:(i+1)*width]); err != nil {
					return err
				}
			}
			done += int64(b.N)
			if time.Since(said) > logFeatures {
				said = time.Now()
				s.info("features of the frozen part", "rows", done, "of", src.Rows())
			}
		}
		if n := src.Rows(); n >= 0 && n != done {
			return fmt.Errorf("the data has %d rows, not the %d that it promised", done, n)
		}
		return nil
	})
}

// featured is a Source with the features of its rows.
type featured struct {
	data.Source
	file *featureFile
}

// Fingerprint implements [Fingerprinter].
func (s *featured) Fingerprint() string { return s.Source.(Fingerprinter).Fingerprint() }

// Batches returns the batches of an epoch.
func (s *featured) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return s.BatchesFrom(epoch, size, 0)
}

// BatchesFrom returns the batches of an epoch without the first skip ones.
func (s *featured) BatchesFrom(epoch, size, skip int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		x := make([]float32, size*s.file.width)
		r := s.file.reader()
		for b, err := range batchesFrom(s.Source, epoch, size, skip) {
			if err != nil {
				yield(nil, err)
				return
			}
			own := *b
			own.Features = x
			for i := range b.N {
				if err := r.read(b.Row[i], x[i*s.file.width:(i+1)*s.file.width]); err != nil {
					yield(nil, fmt.Errorf("train: features of the frozen part: %w", err))
					return
				}
			}
			clear(x[b.N*s.file.width:])
			if !yield(&own, nil) {
				return
			}
		}
	}
}

// stage makes the run one of the model's head, if the head is all that trains.
func (f *fit) stage(ctx context.Context) error {
	if !f.CacheFeatures {
		return nil
	}
	o := FeatureOptions{Dir: f.CacheDir, Compile: f.Compile, Log: f.Log}
	if f.Resume {
		o.load = f.loadStem
	}
	var err error
	if o.Compile.Freeze, err = f.frozen(); err != nil {
		return err
	}
	o.Compile.Batch, o.Compile.Seed, o.Compile.Precision = f.BatchSize, f.Seed, f.Precision
	head, parts, err := staged(ctx, f.Model, f.Params, []data.Source{f.Data.Train, f.Data.Valid, f.Data.Test}, o)
	if err != nil || head == nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%w before the first step: start again", ErrInterrupted)
		}
		return err
	}
	d := *f.Data
	d.Train, d.Valid, d.Test = parts[0], parts[1], parts[2]
	f.Model, f.Data = head, &d
	return nil
}
