package data

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
)

// Column says how one column of a file becomes a feature: categorical, numeric, multi,
// sequence or ignore.
type Column interface{ kind() columnKind }

type columnKind uint8

const (
	ignored columnKind = iota
	categorical
	numeric
	multi
	sequence
)

// CategoricalColumn is a column of opaque tokens. A blank is a token too. Options left out are those of the data
// section's `categorical`.
type CategoricalColumn struct {
	MinCount int64  `yaml:"min_count" json:",omitempty"` // tokens seen less often in the train part share the out-of-vocabulary id
	MaxSize  int    `yaml:"max_size" json:",omitempty"`  // keep this many of the most frequent tokens; 0 keeps all
	Hash     int    `yaml:"hash" json:",omitempty"`      // hash tokens into this many buckets instead of a vocabulary
	Share    string `yaml:"share" json:",omitempty"`     // name of an embedding table that other columns use too
}

// NumericColumn is a column of numbers. Options left out are those of the data section's `numeric`.
type NumericColumn struct {
	Transform string   `yaml:"transform" json:",omitempty"` // raw, log1p, standardize, or log_square_bucket (which makes it categorical)
	Fill      *float64 `yaml:"fill" json:",omitempty"`      // what a blank stands for, after the transform; 0 by default
}

// MultiColumn is a column of several tokens, like a list of tags. Options left out are those of `categorical`.
type MultiColumn struct {
	CategoricalColumn `yaml:",inline"`
	Separator         string `yaml:"separator"` // between tokens
	MaxLen            int    `yaml:"max_len"`   // tokens beyond this many are left out
	Pooling           string `yaml:"pooling"`   // how a row's embeddings become one: mean or sum
}

// SequenceColumn is a column of tokens in their order, the oldest first, such as the items that a user clicked. Models of histories
// look up the embedding of each; to other models it is what a column of several tokens is. `share` gives it the table of the column
// of single items. Options left out are those of `categorical`.
type SequenceColumn struct {
	CategoricalColumn `yaml:",inline"`
	Separator         string `yaml:"separator"` // between tokens
	MaxLen            int    `yaml:"max_len"`   // of a longer sequence, this many tokens are kept
	Keep              string `yaml:"keep"`      // which tokens of a longer sequence: the last or the first
	// how a row's embeddings become one, in models that do not look at the order: mean or sum
	Pooling string `yaml:"pooling"`
	// of CSV: another column of sequences that describes the same events, such as the items whose categories these are. A row must have as
	// many tokens in both, none of them blank
	Aligned string `yaml:"aligned" json:",omitempty"`
}

// IgnoreColumn is a column that nobody reads.
type IgnoreColumn struct{}

func (CategoricalColumn) kind() columnKind { return categorical }
func (NumericColumn) kind() columnKind     { return numeric }
func (MultiColumn) kind() columnKind       { return multi }
func (SequenceColumn) kind() columnKind    { return sequence }
func (IgnoreColumn) kind() columnKind      { return ignored }

// HasLists reports whether the cells of a column have several tokens.
func HasLists(c Column) bool { return c != nil && (c.kind() == multi || c.kind() == sequence) }

// How the embeddings of a Multi or a Sequence become one.
const (
	PoolMean = "mean" // over the tokens that are there
	PoolSum  = "sum"
)

// Which tokens of a sequence are kept that is longer than MaxLen.
const (
	KeepLast  = "last"
	KeepFirst = "first"
)

// Transforms of numeric columns.
const (
	Raw             = "raw"               // v
	Log1p           = "log1p"             // sign(v)·ln(1 + |v|)
	Standardize     = "standardize"       // (v − mean) / standard deviation, both of the train part
	LogSquareBucket = "log_square_bucket" // the token ⌊ln(v)²⌋ if v > 2, else v without its fraction
)

var transforms = []string{Raw, Log1p, Standardize, LogSquareBucket}

const maxVocab = 1 << 30

// Validate returns what is wrong with the options.
func (c CategoricalColumn) Validate() error {
	var errs []error
	if c.MinCount < 0 {
		errs = append(errs, registry.Field("min_count", "must be 1 or more, have %d", c.MinCount))
	}
	errs = append(errs, registry.In("max_size", c.MaxSize, 0, maxVocab), registry.In("hash", c.Hash, 0, maxVocab))
	if c.Hash > 0 && (c.MinCount > 1 || c.MaxSize > 0) {
		errs = append(errs, registry.Field("hash", "has no vocabulary; remove min_count and max_size, or hash"))
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the options.
func (c NumericColumn) Validate() error {
	var errs []error
	if c.Transform != "" && !slices.Contains(transforms, c.Transform) {
		errs = append(errs, registry.Field("transform", "unknown transform %q; valid: %s", c.Transform, strings.Join(transforms, ", ")))
	}
	if c.Fill != nil && !(math.Abs(*c.Fill) <= math.MaxFloat32) {
		errs = append(errs, registry.Field("fill", "must be a finite number, have %g", *c.Fill))
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the options.
func (c MultiColumn) Validate() error {
	return errors.Join(c.CategoricalColumn.Validate(), checkList(c.Separator, c.MaxLen, c.Pooling))
}

// Validate returns what is wrong with the options.
func (c SequenceColumn) Validate() error {
	return errors.Join(c.CategoricalColumn.Validate(), checkList(c.Separator, c.MaxLen, c.Pooling), registry.OneOf("keep", c.Keep, KeepLast, KeepFirst))
}

// checkList returns what is wrong with the options of a column of several tokens.
func checkList(separator string, maxLen int, pooling string) error {
	var errs []error
	if separator == "" {
		errs = append(errs, registry.Field("separator", "must not be empty"))
	}
	errs = append(errs, registry.In("max_len", maxLen, 1, 1<<16))
	if pooling != "" {
		errs = append(errs, registry.OneOf("pooling", pooling, PoolMean, PoolSum))
	}
	return errors.Join(errs...)
}

// Over returns c with the options that it leaves out taken from def. A column has either a hash or a vocabulary, so the options of the
// one that c chooses replace the default's of the other.
func (c CategoricalColumn) Over(def CategoricalColumn) CategoricalColumn {
	if c.Hash == 0 && c.MinCount == 0 && c.MaxSize == 0 {
		c.Hash = def.Hash
	}
	if c.Hash == 0 {
		if c.MinCount == 0 {
			c.MinCount = max(def.MinCount, 1)
		}
		if c.MaxSize == 0 {
			c.MaxSize = def.MaxSize
		}
	} else {
		c.MinCount, c.MaxSize = 0, 0
	}
	if c.Share == "" {
		c.Share = def.Share
	}
	return c
}

// Over returns c with the options that it leaves out taken from def.
func (c NumericColumn) Over(def NumericColumn) NumericColumn {
	if c.Transform == "" {
		c.Transform = def.Transform
	}
	if c.Transform == "" {
		c.Transform = Raw
	}
	if c.Fill == nil {
		c.Fill = def.Fill
	}
	if c.Fill == nil {
		c.Fill = new(float64)
	}
	return c
}
