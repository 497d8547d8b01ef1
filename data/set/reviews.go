package set

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/text"
	"github.com/splice-ml/splice/data/rng"
)

// Reviews is generated sentences about films, with the label negative or positive (see Review): data for a first run without any
// files. The rows of one seed are always the same.
type Reviews struct {
	Train            int    `yaml:"train"` // train rows
	Valid            int    `yaml:"valid"` // validation rows; 0: no such part
	Test             int    `yaml:"test"`  // test rows; 0: no such part
	Seed             uint64 `yaml:"seed"`  // of the sentences
	data.TextOptions `yaml:",inline"`
}

const maxReviews = 1 << 24

func init() {
	data.Register("reviews", Reviews{Train: 8000, Valid: 1000, Test: 1000, Seed: synthSeed, TextOptions: data.DefaultTextOptions()})
}

// Validate returns what is wrong with the options.
func (d Reviews) Validate() error {
	errs := []error{d.TextOptions.Validate()}
	for part, n := range d.rows() {
		if n < 0 || n > maxReviews || data.Part(part) == data.TrainPart && n == 0 {
			errs = append(errs, registry.Field(data.Part(part).String(), "must be in [0, %d] rows, of train above 0, have %d", maxReviews, n))
		}
	}
	return errors.Join(errs...)
}

func (d Reviews) rows() [3]int { return [...]int{d.Train, d.Valid, d.Test} }

// reviewSpec is how the files of generated reviews are read.
func reviewSpec(o data.TextOptions) *text.Spec {
	return &text.Spec{Options: o, Format: text.TSV, Text: "sentence", Label: "label", Labels: slices.Clone(reviewLabels)}
}

var reviewLabels = []string{"negative", "positive"}

// Open generates the rows.
func (d Reviews) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d.TextOptions = d.WithDefaults()
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return d.open(ctx, reviewSpec(d.TextOptions), o)
}

// Stream reads one file with the columns sentence and label in order.
func (d Reviews) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	d.TextOptions = d.WithDefaults()
	return reviewSpec(d.TextOptions).Data(d.Common()).Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Reviews) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	d.TextOptions = d.WithDefaults()
	return reviewSpec(d.TextOptions).Data(d.Common()).Encoder(m)
}

func (d Reviews) open(ctx context.Context, s *text.Spec, o data.OpenOptions) (*data.Splits, error) {
	files, err := d.files(ctx, cache.At(o.CacheDir, parts.Logger(o.Log)))
	if err != nil {
		return nil, err
	}
	c := d.Common()
	c.Path, c.ValidPath, c.TestPath = files[data.TrainPart], files[data.ValidPart], files[data.TestPart]
	splits, err := s.Data(c).Open(ctx, o)
	if err != nil {
		return nil, err
	}
	splits.Synthetic, splits.Sources = &data.Reachable{}, nil
	return splits, nil
}

// openFallback opens generated reviews in place of files that do not exist. A tokenizer that does not exist either is trained.
func openFallback(ctx context.Context, s *text.Spec, o data.OpenOptions, path string) (*data.Splits, error) {
	log := parts.Logger(o.Log)
	log.Warn("data: no such files: using SYNTHETIC generated reviews; results say nothing about the real data", "path", path)
	d := Reviews{Train: 8000, Valid: 1000, Test: 1000, Seed: synthSeed, TextOptions: s.Options}
	if d.Tokenizer != "" && !bound.Exists(d.Tokenizer) {
		log.Warn("data: no such tokenizer: training a vocabulary on the generated reviews", "tokenizer", d.Tokenizer)
		d.Tokenizer = ""
	}
	spec := reviewSpec(d.TextOptions)
	if s.MaskRate > 0 {
		spec.Label, spec.Labels, spec.MaskRate, spec.Blocks = "", nil, s.MaskRate, s.Blocks
	}
	return d.open(ctx, spec, o)
}

// files makes sure that the files of the parts are in the cache and returns them.
func (d Reviews) files(ctx context.Context, cache cache.Dir) (files [3][]string, err error) {
	dir := cache.Path(fmt.Sprintf("reviews-v%d-seed%d-%d-%d-%d", reviewVersion, d.Seed, d.Train, d.Valid, d.Test), "")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return files, fmt.Errorf("data: reviews: %w; choose another cache directory", err)
	}
	first := 0
	for part, n := range d.rows() {
		if n == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return files, err
		}
		text := d.text(first, n)
		first += n
		path := filepath.Join(dir, data.Part(part).String()+".tsv")
		if have, err := bound.ReadFile(path, int64(len(text))); err != nil || !bytes.Equal(have, text) {
			err := atomicfile.Write(path, func(w io.Writer) error {
				_, err := w.Write(text)
				return err
			})
			if err != nil {
				return files, fmt.Errorf("data: reviews: %w; free space or choose another cache directory", err)
			}
		}
		files[part] = []string{path}
	}
	return files, nil
}

// text returns rows as a file.
func (d Reviews) text(first, n int) []byte {
	out := []byte("sentence\tlabel\n")
	for i := first; i < first+n; i++ {
		sentence, label := Review(d.Seed, i)
		out = fmt.Appendf(out, "%s\t%d\n", sentence, label)
	}
	return out
}

// Review returns a generated sentence and its label, 0 for negative and 1 for positive. It has one or two opinions, among words
// that say nothing; an opinion may be negated ("not dull", "lacks charm"), and of two that contradict each other the main one
// counts ("slow but touching", "although slow, touching"). So the words alone, without their order, do not tell the label. One label in
// twenty is wrong.
func Review(seed uint64, i int) (sentence string, label int) {
	g := reviewer{r: rng.New(rng.Key(seed, "review", i))}
	good := g.r.IntN(2) == 1
	sentence = g.sentence(good)
	if good {
		label = 1
	}
	if g.r.Float64() < reviewNoise {
		label = 1 - label
	}
	return sentence, label
}
