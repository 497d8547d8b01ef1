package data

import (
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
)

// TextOptions are the options that every data set of texts has.
type TextOptions struct {
	// folder or file of a tokenizer (tokenizer.json, vocab.txt, or vocab.json and merges.txt); without it a WordPiece vocabulary is
	// trained on the training texts
	Tokenizer string `yaml:"tokenizer"`
	VocabSize int    `yaml:"vocab_size"` // tokens of the vocabulary that is trained without a tokenizer, at most
	Cased     bool   `yaml:"cased"`      // that vocabulary keeps upper case and accents
	MaxLength int    `yaml:"max_length"` // tokens of the longest row, special ones included; longer texts are cut
	// lengths that batches are padded to; those beyond max_length are left out, which is the last one itself
	Buckets      []int  `yaml:"buckets"`
	MaxTrainRows int64  `yaml:"max_train_rows"` // train on a random choice of so many rows, the same for every seed of a run; 0: on all
	BadRows      string `yaml:"bad_rows"`       // error: stop at a row that cannot be read; skip: leave it out and report it
	MaxBadRows   int64  `yaml:"max_bad_rows"`   // stop at more skipped rows than this
	MaxLine      int    `yaml:"max_line"`       // bytes of the longest row
}

const (
	minTextLength = 4
	maxTextLength = 1 << 15
	maxTextVocab  = 1 << 20
)

// DefaultTextOptions returns the defaults of the options that every data set of texts has.
func DefaultTextOptions() TextOptions {
	return TextOptions{
		VocabSize: 8000, MaxLength: 128,
		Buckets: []int{8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120, 128}, BadRows: StopAtBadRow, MaxBadRows: 1000,
		MaxLine: 1 << 20,
	}
}

// WithDefaults returns o with defaults in place of zero values, for options that are written in Go.
func (o TextOptions) WithDefaults() TextOptions {
	d := DefaultTextOptions()
	if o.VocabSize == 0 {
		o.VocabSize = d.VocabSize
	}
	if o.MaxLength == 0 {
		o.MaxLength = d.MaxLength
	}
	if len(o.Buckets) == 0 {
		o.Buckets = d.Buckets
	}
	if o.BadRows == "" {
		o.BadRows, o.MaxBadRows = d.BadRows, max(o.MaxBadRows, d.MaxBadRows)
	}
	if o.MaxLine == 0 {
		o.MaxLine = d.MaxLine
	}
	return o
}

// Validate returns what is wrong with the options.
func (o TextOptions) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	if o.VocabSize < 10 || o.VocabSize > maxTextVocab {
		bad("vocab_size", "must be in [10, %d] tokens, have %d", maxTextVocab, o.VocabSize)
	}
	if o.MaxLength < minTextLength || o.MaxLength > maxTextLength {
		bad("max_length", "must be in [%d, %d] tokens, have %d", minTextLength, maxTextLength, o.MaxLength)
	}
	for i, n := range o.Buckets {
		if n < 1 || i > 0 && n <= o.Buckets[i-1] {
			bad(fmt.Sprintf("buckets.%d", i), "want lengths above 0 that rise, have %d", n)
			break
		}
	}
	errs = append(errs, registry.OneOf("bad_rows", o.BadRows, StopAtBadRow, SkipBadRows),
		registry.AtLeast("max_train_rows", o.MaxTrainRows, 0), registry.AtLeast("max_bad_rows", o.MaxBadRows, 0))
	if o.MaxLine < minLine || o.MaxLine > maxLine {
		bad("max_line", "must be in [%d, %d] bytes, have %d", minLine, maxLine, o.MaxLine)
	}
	return errors.Join(errs...)
}

// Lengths returns the buckets, the last of which is MaxLength.
func (o TextOptions) Lengths() []int {
	short := slices.DeleteFunc(slices.Clone(o.Buckets), func(n int) bool { return n >= o.MaxLength })
	return append(short, o.MaxLength)
}

// Common returns the options that tables of features have too.
func (o TextOptions) Common() Common {
	return Common{BadRows: o.BadRows, MaxBadRows: o.MaxBadRows, MaxLine: o.MaxLine}
}
