package data

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/registry"
)

// Common are the options that every data set of delimited files has.
type Common struct {
	Path          []string          `yaml:"path"`           // file, list of files or glob; .gz and .zst are decompressed
	ValidPath     []string          `yaml:"valid_path"`     // files of the validation part, if it is not split off path
	TestPath      []string          `yaml:"test_path"`      // files of the test part, if it is not split off path
	Split         Split             `yaml:"split"`          // how the rows of path become parts; all are train rows without it
	Columns       map[string]Column `yaml:"columns"`        // type and options by column name or pattern (C*)
	Categorical   CategoricalColumn `yaml:"categorical"`    // options of categorical columns that do not say otherwise
	Numeric       NumericColumn     `yaml:"numeric"`        // options of numeric columns that do not say otherwise
	BadRows       string            `yaml:"bad_rows"`       // error: stop at a row that cannot be read; skip: leave it out and report it
	MaxBadRows    int64             `yaml:"max_bad_rows"`   // stop at more skipped rows than this
	MaxLine       int               `yaml:"max_line"`       // bytes of the longest row
	ShuffleBuffer int               `yaml:"shuffle_buffer"` // rows shuffled together; a larger train part is shuffled in blocks and windows
	MaxRows       int64             `yaml:"max_rows,added"` // of path, of valid_path and of test_path, read the first so many rows; 0: all
	DropLast      bool              `yaml:"drop_last"`      // leave out the last batch of a train epoch if it is not full
}

// Split says how the rows of `path` become the parts of a data set.
type Split struct {
	By     string    `yaml:"by"`     // random; order: first rows train, last rows test; time: the same in the order of the time column
	Ratio  []float64 `yaml:"ratio"`  // shares of train, validation and test rows (0 for no such part), sum 1
	Counts []int64   `yaml:"counts"` // or exact numbers of rows, sum the number of rows
	Seed   uint64    `yaml:"seed"`   // of a random split; not the run's, so that runs of several seeds share their test rows
}

// Names are those of one column or of several. Of one, a config has the name or a list of it.
type Names []string

// OneOrMore implements [registry.OneOrMore].
func (Names) OneOrMore() {}

const (
	SplitRandom = "random"
	SplitOrder  = "order"
	SplitTime   = "time"

	StopAtBadRow = "error"
	SkipBadRows  = "skip"

	minLine = 1 << 10
	maxLine = 1 << 28
)

// DefaultCommon returns the defaults of the options that every data set of delimited files has.
func DefaultCommon() Common {
	return Common{
		Split:       Split{By: SplitRandom},
		Categorical: CategoricalColumn{MinCount: 1},
		Numeric:     NumericColumn{Transform: Raw, Fill: new(float64)},
		BadRows:     StopAtBadRow, MaxBadRows: 1000, MaxLine: 1 << 20, ShuffleBuffer: 1 << 20,
	}
}

// WithDefaults returns c with defaults in place of zero values, for options that are written in Go.
func (c Common) WithDefaults() Common {
	d := DefaultCommon()
	if c.Split.By == "" {
		c.Split.By = d.Split.By
	}
	if c.BadRows == "" {
		c.BadRows, c.MaxBadRows = d.BadRows, max(c.MaxBadRows, d.MaxBadRows)
	}
	if c.MaxLine == 0 {
		c.MaxLine = d.MaxLine
	}
	if c.ShuffleBuffer == 0 {
		c.ShuffleBuffer = d.ShuffleBuffer
	}
	c.Categorical = c.Categorical.Over(d.Categorical)
	c.Numeric = c.Numeric.Over(d.Numeric)
	return c
}

// Validate returns what is wrong with the options.
func (c Common) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	if len(c.Path) == 0 {
		bad("path", "is missing; want a file, a list of files or a glob")
	}
	for part, list := range [...][]string{c.Path, c.ValidPath, c.TestPath} {
		for i, p := range list {
			if strings.TrimSpace(p) == "" {
				bad(fmt.Sprintf("%s.%d", Part(part).PathKey(), i), "is blank; want a file or a glob")
			}
		}
	}
	errs = append(errs, registry.OneOf("bad_rows", c.BadRows, StopAtBadRow, SkipBadRows), registry.AtLeast("max_bad_rows", c.MaxBadRows, 0))
	errs = append(errs, registry.AtLeast("max_rows", c.MaxRows, 0))
	if c.MaxLine < minLine || c.MaxLine > maxLine {
		bad("max_line", "must be in [%d, %d] bytes, have %d", minLine, maxLine, c.MaxLine)
	}
	if c.ShuffleBuffer < 1 || c.ShuffleBuffer > math.MaxInt32 {
		bad("shuffle_buffer", "must be in [1, %d] rows, have %d", math.MaxInt32, c.ShuffleBuffer)
	}
	for _, from := range [...]struct{ key, text string }{
		{"categorical.from", c.Categorical.From}, {"categorical.derive", c.Categorical.Derive}, {"numeric.from", c.Numeric.From},
	} {
		if from.text != "" {
			bad(from.key, "is of one column; set it under columns")
		}
	}
	if c.Categorical.Pretrained != nil {
		bad("categorical.pretrained", "is of one column; set it under columns")
	}
	if c.Split.Has(ValidPart) && len(c.ValidPath) > 0 {
		bad("valid_path", "the split makes a validation part too; remove one of them")
	}
	if c.Split.Has(TestPart) && len(c.TestPath) > 0 {
		bad("test_path", "the split makes a test part too; remove one of them")
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the options.
func (s Split) Validate() error {
	var errs []error
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	errs = append(errs, registry.OneOf("by", s.By, SplitRandom, SplitOrder, SplitTime))
	if len(s.Ratio) > 0 && len(s.Counts) > 0 {
		bad("counts", "ratio is given too; remove one of them")
	}
	sum := 0.0
	for i, r := range s.Ratio {
		if !(r >= 0 && r <= 1) || i == 0 && r == 0 {
			bad(fmt.Sprintf("ratio.%d", i), "must be in [0, 1], of train above 0, have %g", r)
		}
		sum += r
	}
	if n := len(s.Ratio); n > 3 || n == 1 {
		bad("ratio", "want two or three numbers (train, validation, test), have %d", n)
	} else if n > 0 && math.Abs(sum-1) > 1e-6 {
		bad("ratio", "must sum to 1, have %g", sum)
	}
	for i, n := range s.Counts {
		if n < 0 || i == 0 && n == 0 {
			bad(fmt.Sprintf("counts.%d", i), "must not be negative, of train above 0, have %d", n)
		}
	}
	if n := len(s.Counts); n > 3 || n == 1 {
		bad("counts", "want two or three numbers (train, validation, test), have %d", n)
	}
	return errors.Join(errs...)
}

// Has reports whether the split makes a part.
func (s Split) Has(part Part) bool {
	switch {
	case len(s.Ratio) > 0:
		return int(part) < len(s.Ratio) && s.Ratio[part] > 0
	case len(s.Counts) > 0:
		return int(part) < len(s.Counts) && s.Counts[part] > 0
	default:
		return part == TrainPart
	}
}

// GivenTable is a table of embeddings that a column gives.
type GivenTable struct {
	Pretrained
	Column     string
	Vocabulary *Vocabulary
}

// Given returns the tables of m for which columns give embeddings, in the order of the features.
func (c Common) Given(m *FeatureMap) ([]GivenTable, error) {
	var list []GivenTable
	seen := map[string]GivenTable{}
	for i := range m.Features {
		f := &m.Features[i]
		p := c.pretrained(f.Name)
		if p == nil || f.Table == "" {
			continue
		}
		g := GivenTable{*p, f.Name, m.Table(f.Table)}
		if o, ok := seen[f.Table]; !ok {
			seen[f.Table] = g
			list = append(list, g)
		} else if o.Pretrained != g.Pretrained {
			return nil, fmt.Errorf("data: columns %s and %s share the table %s and give it other embeddings; set pretrained for one of them", o.Column, f.Name, f.Table)
		}
	}
	return list, nil
}

// pretrained returns the embeddings that are given for a column: those of its name, or of the first pattern that it matches.
func (c Common) pretrained(name string) *Pretrained {
	of := func(c Column) *Pretrained {
		switch c := c.(type) {
		case CategoricalColumn:
			return c.Pretrained
		case MultiColumn:
			return c.Pretrained
		case SequenceColumn:
			return c.Pretrained
		}
		return nil
	}
	if o, ok := c.Columns[name]; ok {
		return of(o)
	}
	for _, pattern := range slices.Sorted(maps.Keys(c.Columns)) {
		if ok, err := path.Match(pattern, name); ok && err == nil {
			return of(c.Columns[pattern])
		}
	}
	return nil
}
