package data

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/rng"
)

// Reviews is generated sentences about films, with the label negative or positive (see Review): data for a first run without any
// files. The rows of one seed are always the same.
type Reviews struct {
	Train       int    `yaml:"train"` // train rows
	Valid       int    `yaml:"valid"` // validation rows; 0: no such part
	Test        int    `yaml:"test"`  // test rows; 0: no such part
	Seed        uint64 `yaml:"seed"`  // of the sentences
	TextOptions `yaml:",inline"`
}

const maxReviews = 1 << 24

func init() {
	Register("reviews", Reviews{Train: 8000, Valid: 1000, Test: 1000, Seed: synthSeed, TextOptions: DefaultTextOptions()})
}

// Validate returns what is wrong with the options.
func (d Reviews) Validate() error {
	errs := []error{d.TextOptions.Validate()}
	for part, n := range d.rows() {
		if n < 0 || n > maxReviews || part == partTrain && n == 0 {
			errs = append(errs, registry.Field(partNames[part], "must be in [0, %d] rows, of train above 0, have %d", maxReviews, n))
		}
	}
	return errors.Join(errs...)
}

func (d Reviews) rows() [3]int { return [...]int{d.Train, d.Valid, d.Test} }

// reviewSpec is how the files of generated reviews are read.
func reviewSpec(o TextOptions) *textSpec {
	return &textSpec{options: o, kind: formatTSV, text: "sentence", label: "label", labels: slices.Clone(reviewLabels)}
}

var reviewLabels = []string{"negative", "positive"}

// Open generates the rows.
func (d Reviews) Open(ctx context.Context, o OpenOptions) (*Splits, error) {
	d.TextOptions = d.defaulted()
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return d.open(ctx, reviewSpec(d.TextOptions), o)
}

// Stream reads one file with the columns sentence and label in order.
func (d Reviews) Stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source {
	d.TextOptions = d.defaulted()
	return reviewSpec(d.TextOptions).builder(d.common(), OpenOptions{}).streamText(ctx, path, m, o)
}

func (d Reviews) open(ctx context.Context, s *textSpec, o OpenOptions) (*Splits, error) {
	files, err := d.files(ctx, cmp.Or(o.CacheDir, ".cache"))
	if err != nil {
		return nil, err
	}
	c := d.common()
	c.Path, c.ValidPath, c.TestPath = files[partTrain], files[partValid], files[partTest]
	splits, err := s.builder(c, o).open(ctx)
	if err != nil {
		return nil, err
	}
	splits.Synthetic = &Reachable{}
	return splits, nil
}

// openFallback opens generated reviews in place of files that do not exist. A tokenizer that does not exist either is trained.
func openFallback(ctx context.Context, s *textSpec, o OpenOptions, path string) (*Splits, error) {
	log := o.Log
	if log == nil {
		log = discard
	}
	log.Warn("data: no such files: using SYNTHETIC generated reviews; results say nothing about the real data", "path", path)
	d := Reviews{Train: 8000, Valid: 1000, Test: 1000, Seed: synthSeed, TextOptions: s.options}
	if d.Tokenizer != "" && !exists(d.Tokenizer) {
		log.Warn("data: no such tokenizer: training a vocabulary on the generated reviews", "tokenizer", d.Tokenizer)
		d.Tokenizer = ""
	}
	spec := reviewSpec(d.TextOptions)
	if s.maskRate > 0 {
		spec.label, spec.labels, spec.maskRate, spec.blocks = "", nil, s.maskRate, s.blocks
	}
	return d.open(ctx, spec, o)
}

// files makes sure that the files of the parts are in a directory and returns them.
func (d Reviews) files(ctx context.Context, dir string) (files [3][]string, err error) {
	dir = filepath.Join(dir, fmt.Sprintf("reviews-v%d-seed%d-%d-%d-%d", reviewVersion, d.Seed, d.Train, d.Valid, d.Test))
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
		path := filepath.Join(dir, partNames[part]+".tsv")
		if have, err := os.ReadFile(path); err != nil || !bytes.Equal(have, text) {
			err := writeFile(path, func(w io.Writer) error {
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
	if label = 0; good {
		label = 1
	}
	if g.r.Float64() < reviewNoise {
		label = 1 - label
	}
	return sentence, label
}
