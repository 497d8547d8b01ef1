package set

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/text"
)

// Texts is files of texts with labels: cells between delimiters (tsv), quoted cells (csv), an object a line (jsonl) or a text a
// line (lines). Without a label column, rows are those of a masked language model. Lines with nothing on them are skipped;
// bytes that are no UTF-8 are read as U+FFFD.
type Texts struct {
	Path       []string   `yaml:"path"`        // file, list of files or glob; .gz and .zst are decompressed
	ValidPath  []string   `yaml:"valid_path"`  // files of the validation part, if it is not split off path
	TestPath   []string   `yaml:"test_path"`   // files of the test part, if it is not split off path
	Split      data.Split `yaml:"split"`       // how the rows of path become parts; all are train rows without it
	Format     string     `yaml:"format"`      // tsv, csv, jsonl or lines; without it, as the file's name says (.txt: lines)
	Delimiter  string     `yaml:"delimiter"`   // of tsv and csv: one character, or tab
	Names      []string   `yaml:"names"`       // names of the columns, for files without a header
	Trim       bool       `yaml:"trim"`        // blanks and tabs around a value do not count
	MaxColumns int        `yaml:"max_columns"` // of tsv: cells of a row, the last of which takes the rest of the line; 0: all
	Text       string     `yaml:"text"`        // column of the text
	TextPair   string     `yaml:"text_pair"`   // column of the second text of a pair
	Label      string     `yaml:"label"`       // column of the label
	// names of the classes in their order, where labels are names or numbers from 0; without it, what the train rows have
	Labels           []string `yaml:"labels"`
	Regression       bool     `yaml:"regression"` // labels are numbers to regress on
	MaskRate         float64  `yaml:"mask_rate"`  // without a label: share of a row's tokens that are to be predicted, such as .15
	Blocks           bool     `yaml:"blocks"`     // with mask_rate: rows run on over the ends of lines until they are full
	data.TextOptions `yaml:",inline"`
	Fallback         string `yaml:"fallback"` // if no file of path exists: none, which is an error, or synthetic: generated reviews
}

func init() {
	data.Register("text", Texts{
		Split: data.Split{By: data.SplitRandom}, Text: "text", TextOptions: data.DefaultTextOptions(),
		Fallback: fallbackNone,
	})
}

// Validate returns what is wrong with the options.
func (d Texts) Validate() error {
	errs := []error{d.TextOptions.Validate(), checkTextSplit(d.Split), checkFallback(d.Fallback)}
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	if len(d.Path) == 0 {
		bad("path", "is missing; want a file, a list of files or a glob")
	}
	if d.Split.Has(data.ValidPart) && len(d.ValidPath) > 0 {
		bad("valid_path", "the split makes a validation part too; remove one of them")
	}
	if d.Split.Has(data.TestPart) && len(d.TestPath) > 0 {
		bad("test_path", "the split makes a test part too; remove one of them")
	}
	if !slices.Contains([]string{"", text.TSV, text.CSV, text.JSONL, text.Lines}, d.Format) {
		bad("format", "want tsv, csv, jsonl or lines, have %q", d.Format)
	}
	if d.Delimiter != "" && !scan.IsDelimiter(scan.DelimiterOf(d.Delimiter)) {
		bad("delimiter", "want one ASCII character or tab, have %q", d.Delimiter)
	}
	for i, n := range d.Names {
		if n == "" || slices.Contains(d.Names[:i], n) {
			bad(fmt.Sprintf("names.%d", i), "%q is blank or there twice; give every column a name of its own", n)
		}
	}
	if d.MaxColumns != 0 && (d.MaxColumns < 0 || d.Format == text.CSV || d.MaxColumns != len(d.Names)) {
		bad("max_columns", "want the number of names, of a tsv file without a header; have %d", d.MaxColumns)
	}
	if d.Text == "" {
		bad("text", "is missing; want the name of the column of the text")
	}
	return errors.Join(append(errs, d.checkLabels()...)...)
}

// checkLabels returns what is wrong with the options of the label and the masks.
func (d Texts) checkLabels() (errs []error) {
	bad := func(key, format string, args ...any) { errs = append(errs, registry.Field(key, format, args...)) }
	if d.Label != "" && (d.Label == d.Text || d.Label == d.TextPair) {
		bad("label", "%s is a text too", d.Label)
	}
	if d.TextPair != "" && d.TextPair == d.Text {
		bad("text_pair", "%s is the first text too", d.TextPair)
	}
	errs = append(errs, registry.InBelow("mask_rate", d.MaskRate, 0, 1))
	switch {
	case d.MaskRate > 0 && (d.Label != "" || d.TextPair != ""):
		bad("mask_rate", "a masked language model has one text and no label; remove label and text_pair, or mask_rate")
	case d.MaskRate == 0 && d.Label == "":
		bad("label", "is missing; want the column of the label, or mask_rate for a masked language model")
	}
	if d.Blocks && d.MaskRate == 0 {
		bad("blocks", "are of masked language models; set mask_rate")
	}
	if len(d.Labels) > 0 && (d.Regression || d.Label == "") {
		bad("labels", "numbers to regress on and rows without a label have none; remove labels")
	}
	if d.Regression && d.Label == "" {
		bad("regression", "there is no label; set label")
	}
	if len(d.Labels) == 1 {
		bad("labels", "want two classes or more, have %q alone", d.Labels[0])
	}
	for i, n := range d.Labels {
		if n == "" || slices.Contains(d.Labels[:i], n) {
			bad(fmt.Sprintf("labels.%d", i), "%q is blank or there twice", n)
		}
	}
	return errs
}

// Open reads the files of the section.
func (d Texts) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d = d.filled()
	if err := errors.Join(d.Validate(), d.Split.Validate()); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if d.Fallback == fallbackSynthetic && !anyFile(d.Path) {
		return openFallback(ctx, d.spec(), o, fmt.Sprint(d.Path))
	}
	return d.texts().Open(ctx, o)
}

// anyFile reports whether a path or glob names a file.
func anyFile(paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		m, err := filepath.Glob(p)
		return err != nil || len(m) > 0 || bound.Exists(p)
	})
}

// Stream reads one file in order.
func (d Texts) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	return d.filled().texts().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Texts) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	return d.filled().texts().Encoder(m)
}

// filled returns d with defaults in place of zero values, for options that are written in Go.
func (d Texts) filled() Texts {
	d.TextOptions = d.WithDefaults()
	if d.Split.By == "" {
		d.Split.By = data.SplitRandom
	}
	return d
}

func (d Texts) spec() *text.Spec {
	return &text.Spec{
		Options: d.TextOptions, Format: d.Format, Delimiter: d.Delimiter, Text: d.Text, Pair: d.TextPair, Label: d.Label, Names: d.Names,
		MaxColumns: d.MaxColumns, Labels: d.Labels, Regression: d.Regression, MaskRate: d.MaskRate, Trim: d.Trim, Blocks: d.Blocks,
	}
}

func (d Texts) texts() *text.Data {
	c := d.Common()
	c.Path, c.ValidPath, c.TestPath, c.Split = d.Path, d.ValidPath, d.TestPath, d.Split
	return d.spec().Data(c)
}

// checkTextSplit returns what is wrong with a split of rows that have no time.
func checkTextSplit(s data.Split) error {
	if s.By == data.SplitTime {
		return registry.Field("split.by", "texts have no time column; want random or order")
	}
	return nil
}
