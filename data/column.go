package data

import (
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/internal/clock"
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
	vector
)

// CategoricalColumn is a column of opaque tokens. A blank is a token too. Options left out are those of the data
// section's `categorical`.
type CategoricalColumn struct {
	MinCount int64  `yaml:"min_count" json:",omitempty"` // tokens seen less often in the train part share the out-of-vocabulary id
	MaxSize  int    `yaml:"max_size" json:",omitempty"`  // keep this many of the most frequent tokens; 0 keeps all
	Hash     int    `yaml:"hash" json:",omitempty"`      // hash tokens into this many buckets instead of a vocabulary
	Share    string `yaml:"share" json:",omitempty"`     // name of an embedding table that other columns use too

	From string `yaml:"from,added" json:",omitempty"` // the column of the file that is read; empty: the one of this name
	// what the token is, of the cell: hour (0 to 23), weekday (0, Sunday, to 6) or weekend (0 or 1) of a time, in UTC, or prefix, its first
	// characters; empty: the cell as it is
	Derive string `yaml:"derive,added" json:",omitempty"`
	Length int    `yaml:"length,added" json:",omitempty"` // of prefix: characters
	// how the times of derive are written: seconds, milliseconds or microseconds since 1970, or digits such as YYYYMMDDhh; empty: as dates, or
	// in seconds. A date without a zone is in UTC
	TimeFormat string `yaml:"time_format,added" json:",omitempty"`

	EmbeddingDim int         `yaml:"embedding_dim,added" json:",omitempty"` // width of the embeddings; 0: the model's
	Pretrained   *Pretrained `yaml:"pretrained,added" json:",omitempty"`    // embeddings that the tokens start with; null: fresh ones
}

// Pretrained are embeddings by token that a file has.
type Pretrained struct {
	// .safetensors with a tensor [tokens, dim], or .npy with such an array, with the tokens in a text file beside it, one a line; .npz with the
	// arrays key and value; or text as word2vec and GloVe have it, a token and its numbers a line (.txt, .vec; .gz and .zst are decompressed)
	File   string `yaml:"file"`
	Tokens string `yaml:"tokens"` // the text file of tokens; empty: the file's name with .tokens in the place of its extension
	Tensor string `yaml:"tensor"` // of .safetensors: the tensor's name; empty: the only one
	Dim    int    `yaml:"dim"`    // numbers of a token; 0: the width of the column's embeddings
	Freeze bool   `yaml:"freeze"` // the embeddings are not trained; those of other tokens stay as they were drawn
	// a linear map without a bias takes embeddings of dim numbers to the model's width, as a model needs whose embeddings are of one width;
	// otherwise the column has the width dim
	Project bool `yaml:"project"`
}

// NumericColumn is a column of numbers. Options left out are those of the data section's `numeric`.
type NumericColumn struct {
	// raw, log1p, standardize, min_max, or log_square_bucket, bucket or quantile_bucket, which make it categorical
	Transform string    `yaml:"transform" json:",omitempty"`
	Fill      *float64  `yaml:"fill" json:",omitempty"`          // what a blank stands for, after the transform; 0 by default
	From      string    `yaml:"from,added" json:",omitempty"`    // the column of the file that is read; empty: the one of this name
	Edges     []float64 `yaml:"edges,added" json:",omitempty"`   // of bucket: where a bucket begins, ascending; there is one more bucket
	Buckets   int       `yaml:"buckets,added" json:",omitempty"` // of quantile_bucket: how many, of about equally many train rows

	EmbeddingDim int `yaml:"embedding_dim,added" json:",omitempty"` // width of the vector that the number scales, or of a bucket's embedding; 0: the model's
	// standard deviation of that vector's first values; 0: that of embeddings
	InitStd float64 `yaml:"init_std,added" json:",omitempty"`
}

// VectorColumn is a column of as many numbers in each row, such as an image's embedding. A blank is zeros.
type VectorColumn struct {
	From      string `yaml:"from" json:",omitempty"` // the column of the file that is read; empty: the one of this name
	Dim       int    `yaml:"dim"`                    // numbers of a row
	Separator string `yaml:"separator"`              // between numbers, around which there may be blanks, and brackets around all
	// a linear map without a bias takes the numbers to embedding_dim, or the model's width; otherwise they enter the model as they are
	Project      bool `yaml:"project"`
	EmbeddingDim int  `yaml:"embedding_dim" json:",omitempty"` // width after the map; 0: the model's
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
func (VectorColumn) kind() columnKind      { return vector }
func (IgnoreColumn) kind() columnKind      { return ignored }

// IsVector reports whether the cells of a column are vectors.
func IsVector(c Column) bool { return c != nil && c.kind() == vector }

// From returns the name of the column of a file that c, declared under a name, is made of.
func From(c Column, name string) string {
	from := ""
	switch c := c.(type) {
	case CategoricalColumn:
		from = c.From
	case MultiColumn:
		from = c.From
	case SequenceColumn:
		from = c.From
	case NumericColumn:
		from = c.From
	case VectorColumn:
		from = c.From
	}
	if from == "" {
		return name
	}
	return from
}

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
	MinMax          = "min_max"           // (v − least) / (greatest − least), both of the train part; other rows may be outside of [0, 1]
	LogSquareBucket = "log_square_bucket" // the token ⌊ln(v)²⌋ if v > 2, else v without its fraction
	Bucket          = "bucket"            // the token n, the number of edges that are at most v
	QuantileBucket  = "quantile_bucket"   // the same, by edges between which are about equally many train rows
)

// What is derived of a time, t seconds since 1970 in UTC.
const (
	Hour    = "hour"    // the token ⌊t/3600⌋ mod 24
	Weekday = "weekday" // the token (⌊t/86400⌋ + 4) mod 7: 0 is Sunday
	Weekend = "weekend" // the token 1 on Saturday and Sunday, else 0
)

// Prefix derives the first characters of a token.
const Prefix = "prefix"

var (
	transforms = []string{Raw, Log1p, Standardize, MinMax, LogSquareBucket, Bucket, QuantileBucket}
	ofTimes    = []string{Hour, Weekday, Weekend}
)

const (
	maxEdges  = 1 << 16
	maxPrefix = 1 << 16
	maxWidth  = 1 << 16 // of an embedding or vector
)

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
	return errors.Join(append(errs, c.checkDerived(), registry.In("embedding_dim", c.EmbeddingDim, 0, maxWidth), c.checkGiven())...)
}

// checkGiven returns what is wrong with the embeddings that are given.
func (c CategoricalColumn) checkGiven() error {
	switch p := c.Pretrained; {
	case p == nil:
		return nil
	case c.Hash > 0:
		return registry.Field("pretrained", "is by token, and hash buckets have none; remove hash")
	case c.EmbeddingDim > 0 && p.Dim > 0 && c.EmbeddingDim != p.Dim && !p.Project:
		return registry.Field("pretrained.dim", "is another width than embedding_dim; remove one of them, or set project")
	}
	return nil
}

// Validate returns what is wrong with the options.
func (p Pretrained) Validate() error {
	errs := []error{registry.In("dim", p.Dim, 0, maxWidth)}
	if strings.TrimSpace(p.File) == "" {
		errs = append(errs, registry.Field("file", "is missing; want a file of embeddings by token"))
	}
	if p.Project && p.Dim == 0 {
		errs = append(errs, registry.Field("dim", "is missing; want how many numbers a token has, which project maps to the model's width"))
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the options.
func (c VectorColumn) Validate() error {
	errs := []error{registry.In("dim", c.Dim, 1, maxWidth), registry.In("embedding_dim", c.EmbeddingDim, 0, maxWidth)}
	if c.Separator == "" || strings.ContainsAny(c.Separator, "0123456789+-.eE[]") {
		errs = append(errs, registry.Field("separator", "%q is blank or part of a number; want one such as | or ,", c.Separator))
	}
	if c.EmbeddingDim > 0 && !c.Project {
		errs = append(errs, registry.Field("embedding_dim", "is the width after project; remove it, or set that"))
	}
	return errors.Join(errs...)
}

// checkDerived returns what is wrong with what is derived of the column.
func (c CategoricalColumn) checkDerived() error {
	var errs []error
	ofTime := slices.Contains(ofTimes, c.Derive)
	if c.Derive != "" && c.Derive != Prefix && !ofTime {
		errs = append(errs, registry.Field("derive", "unknown %q; valid: %s, %s", c.Derive, strings.Join(ofTimes, ", "), Prefix))
	}
	switch {
	case c.Derive == Prefix:
		errs = append(errs, registry.In("length", c.Length, 1, maxPrefix))
	case c.Length != 0:
		errs = append(errs, registry.Field("length", "is of derive: prefix; remove it, or set that"))
	}
	if c.TimeFormat != "" && !ofTime {
		errs = append(errs, registry.Field("time_format", "is of derive: %s; remove it, or set one of them", strings.Join(ofTimes, ", ")))
	} else if err := clock.Check(c.TimeFormat); err != nil {
		errs = append(errs, registry.Field("time_format", "%v", err))
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
	switch {
	case c.Transform == Bucket && len(c.Edges) == 0:
		errs = append(errs, registry.Field("edges", "are missing; want where a bucket begins, such as [18, 25, 35]"))
	case c.Transform != Bucket && len(c.Edges) > 0:
		errs = append(errs, registry.Field("edges", "are of transform: bucket; remove them, or set that"))
	case len(c.Edges) > maxEdges:
		errs = append(errs, registry.Field("edges", "at most %d, have %d", maxEdges, len(c.Edges)))
	case !ascending(c.Edges):
		errs = append(errs, registry.Field("edges", "must be ascending, finite numbers, each once"))
	}
	switch {
	case c.Transform == QuantileBucket:
		errs = append(errs, registry.In("buckets", c.Buckets, 2, maxEdges))
	case c.Buckets != 0:
		errs = append(errs, registry.Field("buckets", "is of transform: quantile_bucket; remove it, or set that"))
	}
	errs = append(errs, registry.In("embedding_dim", c.EmbeddingDim, 0, maxWidth), registry.AtLeast("init_std", c.InitStd, 0))
	return errors.Join(errs...)
}

// ascending reports whether numbers are finite, and each is above the one before.
func ascending(edges []float64) bool {
	for i, v := range edges {
		if !(math.Abs(v) <= math.MaxFloat32) || i > 0 && !(v > edges[i-1]) {
			return false
		}
	}
	return true
}

// Validate returns what is wrong with the options.
func (c MultiColumn) Validate() error {
	return errors.Join(c.CategoricalColumn.Validate(), c.refuseDerive(), checkList(c.Separator, c.MaxLen, c.Pooling))
}

// Validate returns what is wrong with the options.
func (c SequenceColumn) Validate() error {
	errs := []error{c.CategoricalColumn.Validate(), c.refuseDerive(), checkList(c.Separator, c.MaxLen, c.Pooling), registry.OneOf("keep", c.Keep, KeepLast, KeepFirst)}
	if c.From != "" && c.Aligned != "" {
		errs = append(errs, registry.Field("aligned", "does not go with from; declare the column itself as aligned"))
	}
	return errors.Join(errs...)
}

// refuseDerive returns an error if something is derived of the cells of a column of several tokens.
func (c CategoricalColumn) refuseDerive() error {
	if c.Derive == "" {
		return nil
	}
	return registry.Field("derive", "makes one token of a cell; want type: categorical")
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
	if c.EmbeddingDim == 0 && (c.Pretrained == nil || c.Pretrained.Dim == 0) {
		c.EmbeddingDim = def.EmbeddingDim
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
	if c.EmbeddingDim == 0 {
		c.EmbeddingDim = def.EmbeddingDim
	}
	if c.InitStd == 0 {
		c.InitStd = def.InitStd
	}
	return c
}
