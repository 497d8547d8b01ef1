// Package data reads labelled rows from files and hands them out as batches of ids and numbers.
//
// A `data:` section of a configuration is a Dataset; Open splits its rows into train, validation and test parts, fits
// vocabularies and statistics on the train part only (a FeatureMap), writes every part once into a compact binary
// cache, and returns a Source for each. Later epochs and later runs read the cache alone.
package data

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
)

// Reserved ids of every vocabulary and hash table.
const (
	PadID = 0 // padding: embeds to the zero vector and takes no gradient
	OOVID = 1 // out of vocabulary: an unseen or rare token

	FirstID = 2 // of the most frequent token, or of the first hash bucket
)

// Kind says how a feature's values enter a model.
type Kind uint8

// Kinds of features.
const (
	Categorical Kind = iota // one id a row
	Numeric                 // one number a row
	Multi                   // up to MaxLen ids a row, padded with PadID
	Sequence                // up to MaxLen ids a row in their order, such as a user's clicks, with PadID behind the last one
)

var kindNames = [...]string{"categorical", "numeric", "multi", "sequence"}

// String returns categorical, numeric, multi or sequence.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Lists reports whether a row has up to MaxLen ids.
func (k Kind) Lists() bool { return k == Multi || k == Sequence }

// Feature is one input of a model.
type Feature struct {
	Name   string // unique within its schema; the key of Batch.IDs
	Kind   Kind
	Vocab  int    // number of ids, the reserved ones included; 0 for Numeric
	MaxLen int    // ids a row of a Multi or a Sequence; 0 otherwise
	Column int    // of a Numeric: its column in Batch.Dense, or its first one
	Count  int    // of a Numeric that is a vector: how many numbers it has; 0 for a single one
	Pool   string // of a Multi, or of a Sequence in a model that does not look at the order: PoolMean, or PoolSum; empty is PoolMean
	Table  string // features of equal Table share one embedding table; the name by default

	Dim     int     // width of its embeddings, or of a vector after Project; 0: the model's
	Project bool    // a linear map takes a table's embeddings of width Dim to the model's width, or the numbers of a vector to Dim
	Frozen  bool    // its embeddings are not trained
	InitStd float64 // of a Numeric: standard deviation of its vector's first values; 0: that of embeddings
}

// Numbers returns how many columns of Batch.Dense the feature has.
func (f *Feature) Numbers() int {
	if f.Kind != Numeric {
		return 0
	}
	return max(1, f.Count)
}

// Schema is the list of features of a source, in the order of its columns.
type Schema struct {
	Features []Feature
	NumDense int   // columns of Batch.Dense
	HasGroup bool  // Batch.Group is filled
	Text     *Text // the token sequences; nil if there are none

	Labels    []Label // that a row has, in their order; nil for one whose name does not matter
	HasWeight bool    // Batch.Weight is filled

	// Counts are how often the train rows of a log of users' actions have each id, by table; nil if that is not known.
	Counts map[string][]int64
}

// Batch is a number of rows, stored column by column. It has Size rows. The first N are real; the others are padding, which is zero
// everywhere.
type Batch struct {
	N     int                // rows that count
	Size  int                // rows of every slice
	IDs   map[string][]int32 // by feature: [Size], of a Multi or a Sequence [Size*MaxLen], row by row
	Dense []float32          // [Size*NumDense], row by row
	Label []float32          // [Size]: 0 or 1, a class's number, or a value
	Group []int64            // [Size], what GAUC groups by (a user); nil without a group column

	// [label][Size]: of rows with several labels, in the order of the schema, NaN where a row has none. Label is the first of them. It is
	// nil for rows of one label.
	Labels [][]float32
	Weight []float32 // [Size], 0 or more: how much each row counts in loss and metrics; nil if all count 1

	// [Size]: the ids of all that each row's user had before, which a ranking of items may leave out: more than the longest history has.
	// It is nil without histories, and a row's is nil if that is not known.
	Seen [][]int32
	// Of the next items of histories, a row has only the last one to learn: those before it belong to train rows.
	LastOnly bool

	Tokens   *Tokens   // text of the rows; nil without text
	Row      []int64   // [Size], of text: the row's place in its part's file
	Features []float32 // [Size*F], the output of a model's frozen part for the rows; nil unless train has computed it
}

// Label is one of several labels of a row.
type Label struct {
	Name    string
	Classes []string // names of the classes, of a label that is one of several; nil for others
}

// Outputs returns how many numbers a model gives to predict the label.
func (l Label) Outputs() int { return max(1, len(l.Classes)) }

// Outputs returns how many numbers a model gives for a row, to predict all its labels.
func (s *Schema) Outputs() int {
	n := 0
	for _, l := range s.Labels {
		n += l.Outputs()
	}
	return max(1, n)
}

// Classes returns the names of the classes that a row's label is one of, nil if there are none or several labels.
func (s *Schema) Classes() []string {
	switch {
	case s.Text != nil:
		return s.Text.Labels
	case len(s.Labels) == 1:
		return s.Labels[0].Classes
	}
	return nil
}

// NewBatch returns a batch of size rows of padding.
func NewBatch(s *Schema, size int) *Batch {
	b := &Batch{Size: size, IDs: make(map[string][]int32, len(s.Features)), Label: make([]float32, size)}
	for _, f := range s.Features {
		switch f.Kind {
		case Categorical:
			b.IDs[f.Name] = make([]int32, size)
		case Multi, Sequence:
			b.IDs[f.Name] = make([]int32, size*f.MaxLen)
		}
	}
	b.Dense = make([]float32, size*s.NumDense)
	if slices.ContainsFunc(s.Features, func(f Feature) bool { return f.Kind == Sequence }) {
		b.Seen = make([][]int32, size)
	}
	if s.HasGroup {
		b.Group = make([]int64, size)
	}
	if s.HasWeight {
		b.Weight = make([]float32, size)
	}
	if len(s.Labels) > 1 {
		b.Labels = [][]float32{b.Label}
		for range s.Labels[1:] {
			b.Labels = append(b.Labels, make([]float32, size))
		}
	}
	return b
}

// BatchBytes returns about how many bytes a batch of size rows has.
func (s *Schema) BatchBytes(size int) float64 {
	row := 4*float64(max(1, len(s.Labels))) + 4*float64(s.NumDense)
	if s.HasWeight {
		row += 4
	}
	for _, f := range s.Features {
		switch f.Kind {
		case Categorical:
			row += 4
		case Multi, Sequence:
			row += 4 * float64(f.MaxLen)
		}
	}
	if s.HasGroup {
		row += 8
	}
	if s.Text != nil {
		row += 12 + 8*float64(s.Text.MaxLen()) + 8*s.Text.MaskRate*float64(s.Text.MaxLen())
	}
	return row * float64(size)
}

// Source is a part of a data set that can be read any number of times.
type Source interface {
	Schema() *Schema
	// Rows returns the number of rows of an epoch, -1 if that is unknown before reading.
	Rows() int64
	// Batches returns the rows of an epoch in batches of size rows; the last one is padded. A batch is valid until
	// the next one is asked for. A train source shuffles: the order of rows depends on the seed and the epoch only.
	// An error ends the sequence.
	Batches(epoch, size int) iter.Seq2[*Batch, error]
}

// Sampled is a Source of candidates. It has a row for each item to predict, and rows of Negatives others that were drawn.
type Sampled interface {
	Source
	Negatives() int
}

// Candidates is a Sampled source that can have all items as candidates.
type Candidates interface {
	Sampled
	Everything() Whole // nil if its rows are others
}

// Whole is a Source of candidates that are all of a catalogue's items, but those that the user of a row had.
type Whole interface {
	Source
	Items() int // of the catalogue
}

// Skipper is a Source that can start in the middle of an epoch without reading the rows before. Resuming a run needs that. Every
// source that Dataset.Open returns is a Skipper.
type Skipper interface {
	Source
	// BatchesFrom returns Batches(epoch, size) without its first skip batches.
	BatchesFrom(epoch, size, skip int) iter.Seq2[*Batch, error]
}

// Dealer is a Skipper that can leave batches out without making them, as one of several processes does that share an epoch.
type Dealer interface {
	Skipper
	// BatchesOf is BatchesFrom, but of batches for which mine is false N alone is set. mine gets the number of a batch in the epoch,
	// from 0, and is called from another goroutine.
	BatchesOf(epoch, size, skip int, mine func(batch int) bool) iter.Seq2[*Batch, error]
}

// Clone returns a copy of the batch.
func (b *Batch) Clone() *Batch {
	c := *b
	c.IDs = make(map[string][]int32, len(b.IDs))
	for name, ids := range b.IDs {
		c.IDs[name] = slices.Clone(ids)
	}
	c.Dense, c.Label, c.Group = slices.Clone(b.Dense), slices.Clone(b.Label), slices.Clone(b.Group)
	c.Weight, c.Seen, c.Row, c.Features = slices.Clone(b.Weight), slices.Clone(b.Seen), slices.Clone(b.Row), slices.Clone(b.Features)
	for k := range b.Labels {
		if k == 0 {
			c.Labels = [][]float32{c.Label}
			continue
		}
		c.Labels = append(c.Labels, slices.Clone(b.Labels[k]))
	}
	if b.Tokens != nil {
		t := *b.Tokens
		t.IDs, t.Segments, t.Len = slices.Clone(t.IDs), slices.Clone(t.Segments), slices.Clone(t.Len)
		t.At, t.Target = slices.Clone(t.At), slices.Clone(t.Target)
		c.Tokens = &t
	}
	return &c
}

// CheckBatch returns an error if src makes no batch of size rows, since it has fewer rows and leaves out a batch that is not full.
func CheckBatch(src Source, size int) error {
	if c, ok := src.(interface{ DropsLast() bool }); ok && c.DropsLast() && src.Rows() < int64(size) {
		return fmt.Errorf("data: drop_last leaves out all %d train rows, which are fewer than a batch (batch_size %d); "+
			"make batch_size at most %[1]d, or remove drop_last", src.Rows(), size)
	}
	return nil
}

// Splits are the parts of an open data set. Valid and Test are nil if the data set has no such part.
type Splits struct {
	Schema             *Schema
	Map                *FeatureMap
	Train, Valid, Test Source
	Sources            []SourceFile // what the rows were read from; none if they were generated or come from memory
	Synthetic          *Reachable   // of generated rows; nil for real ones
}

// Reachable is what the true probabilities of generated rows score on the test part. A model can do better only by chance. It is
// zero if that is not known for the test part.
type Reachable struct{ AUC, LogLoss float64 }

// OpenOptions are those choices about its data that a run makes outside of the data section.
type OpenOptions struct {
	Seed     uint64       // of the order of train rows; the split has its own seed
	CacheDir string       // where binary caches live; ".cache" if empty
	Threads  int          // goroutines that parse; GOMAXPROCS if 0. The result does not depend on it
	Map      *FeatureMap  // ids to use; fitted on the train part if nil
	Log      *slog.Logger // nothing is logged if nil
	Only     string       // open this part alone: "train", "valid" or "test"; all if empty
}

// Dataset is a `data:` section. Its exported fields are the options.
type Dataset interface {
	// Open returns the parts of the data set. The order and the ids of the rows depend only on the
	// files, the options, and the seed and map of o.
	Open(ctx context.Context, o OpenOptions) (*Splits, error)
	// Stream returns the rows of a file in its order, without a cache, turned into ids and numbers by m. Unless the options want
	// them, labels may be missing: Batch.Label is 0 then. A row that cannot be read is an error whatever bad_rows says, since the
	// n-th prediction must be that of the n-th row. Columns that nobody declared are left out. Rows is -1, and the source can be
	// read any number of times.
	Stream(ctx context.Context, path string, m *FeatureMap, o StreamOptions) Source
	// Encoder returns an encoder that turns rows in memory into ids and numbers by m, as Stream does with the rows of a file.
	Encoder(m *FeatureMap) (RowEncoder, error)
}

// StreamOptions are the choices that a command makes about a stream.
type StreamOptions struct {
	Threads int          // goroutines that parse; GOMAXPROCS if 0
	Labels  bool         // every row must have a label, and a group if the data set has them; evaluating needs that, predicting does not
	Log     *slog.Logger // told of columns that are left out, and of those none of whose tokens is known; nothing is logged if nil
}

// Passer is a Dataset that can return columns of a file as they are, to be written beside what is computed of its rows.
type Passer interface {
	Dataset
	// Pass returns columns of a file, in the order of the rows that Stream returns of it. They need not be declared.
	Pass(ctx context.Context, path string, columns []string, o StreamOptions) (*Passed, error)
}

// Passed is columns of a file.
type Passed struct {
	Kinds []CellKind // of each column
	// Rows are the cells of each row, by column; a blank is empty. They are valid until the next row is asked for. An error ends them.
	Rows iter.Seq2[[][]byte, error]
}

// CellKind is what all cells of a column are that are not blank.
type CellKind int

// Kinds of cells.
const (
	TextCells    CellKind = iota
	IntegerCells          // decimal digits, in the range of int64
	NumberCells           // floating point numbers
	BooleanCells          // 1 and 0
)
