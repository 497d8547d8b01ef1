package set

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parquet"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// Parquet is the rows of Parquet files. Each column must be the label, the group, the time, or declared under columns, as in CSV: a
// value means what it would in a CSV file. Lists are the tokens of multi and sequence columns. Only the columns that are named
// are decoded.
type Parquet struct {
	data.Common `yaml:",inline"`
	// column of the label, 0 or 1, or false or true (or words: see positive); or a list of columns, each of which is the label of a task. Of
	// several, a row may have none of some: it has no part in their tasks then
	Label data.Names `yaml:"label"`
	Group string     `yaml:"group"` // column that GAUC groups by, such as the user; a feature too if declared by name
	// column of the time (timestamp, date, number or text), for split.by time; a feature too if declared by name
	Time    string   `yaml:"time"`
	Missing []string `yaml:"missing"` // values that mean a blank beside null, such as NA or -1
	Trim    bool     `yaml:"trim"`    // blanks and tabs around a text do not count
	// the label that is 1, where labels are words such as yes and no: the other one, of which there is one only, is 0
	Positive string `yaml:"positive"`
	// column of the weight of each row in the loss and in metrics, a number of 0 or more; every row must have it. Metrics within groups of
	// rows, rankings and correlations count each row alike
	Weight       string     `yaml:"weight,added"`
	NumberLabels data.Names `yaml:"number_labels,added"` // those labels that are numbers, of tasks of type regression
	// those labels that are one of several classes, with the names of the classes as CSV would have them, of tasks of type classification
	ClassLabels map[string][]string `yaml:"class_labels,added"`
}

func init() { data.Register("parquet", Parquet{Common: data.DefaultCommon()}) }

// csv returns the options of CSV files with the same columns.
func (d Parquet) csv() CSV {
	return CSV{
		Common: d.Common, Label: d.Label, Group: d.Group, Time: d.Time, Delimiter: ",", Quote: true,
		Missing: d.Missing, Trim: d.Trim, Positive: d.Positive, Weight: d.Weight, NumberLabels: d.NumberLabels, ClassLabels: d.ClassLabels,
	}
}

// Validate returns what is wrong with the options.
func (d Parquet) Validate() error { return d.csv().Validate() }

// Open reads the files of the section.
func (d Parquet) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d.Common = d.WithDefaults()
	if err := table.Validate(d, d.Common); err != nil {
		return nil, err
	}
	return d.table().Open(ctx, o)
}

// Stream reads one file in order. A label column may be absent, and its values null.
func (d Parquet) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	d.Common = d.WithDefaults()
	return d.table().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Parquet) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	d.Common = d.WithDefaults()
	return d.table().Encoder(m)
}

func (d Parquet) table() *table.Data {
	c := d.csv()
	return &table.Data{
		Common: d.Common, Format: parquetFormat{csvFormat: c.format(), d: d}, Label: c.first(), Name: "parquet",
		Key:   []any{d.Label, d.Missing, d.Trim, d.Positive, d.NumberLabels},
		Group: d.Group, Time: d.Time, Weight: d.Weight, Labels: c.labels(),
	}
}

// parquetFormat is the format of the files of d. Its cells mean what those of CSV files do.
type parquetFormat struct {
	csvFormat
	d      Parquet
	passes bool // columns are passed along: any may have lists
}

// Rows returns the number of rows of a file.
func (f parquetFormat) Rows(path string) (int64, error) {
	p, err := parquet.Open(path)
	if err != nil {
		return 0, err
	}
	return p.Rows(), p.Close()
}

// Features declares the columns of a file as the options say.
func (f parquetFormat) Features(path string, _ []byte) ([]table.Declared, error) {
	p, err := parquet.Open(path)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	return f.declared(path, p.Names(), "")
}

// Parser opens a file.
func (f parquetFormat) Parser(path string, _ []byte, p *scan.Plan) (scan.Parser, bool, error) {
	file, err := parquet.Open(path)
	if err != nil {
		return nil, false, err
	}
	r := parquet.Reading{
		Labels: slices.Clone(f.d.Label), Separator: f.separator(), Labelled: f.labelled(), Weighed: weighed, Aligned: f.aligned(p), Blanks: len(f.d.Missing) > 0,
	}
	if f.d.Trim || r.Blanks {
		r.Clean = f.clean
	}
	names := file.Names()
	rows, err := func() (*parquet.Rows, error) {
		if lacks := f.csvFormat.d.lacks(names); lacks != "" && !p.Unlabelled && p.Left != nil {
			return nil, fmt.Errorf("data: %s: no column %s; the file has %s: %s", path, lacks, namelist.Show(names), labelNeeded(lacks))
		}
		for i, n := range r.Labels {
			if p.Unlabelled && !slices.Contains(names, n) {
				r.Labels[i] = ""
			}
		}
		rows, err := r.Open(file, p)
		if err != nil {
			return nil, err
		}
		if more := f.csvFormat.d.undeclared(names); len(more) > 0 && p.Left != nil {
			p.Left(path, more)
		} else if err := f.csvFormat.d.refuse(names, more); err != nil {
			return nil, fmt.Errorf("data: %s: %w", path, err)
		}
		return rows, nil
	}()
	if err != nil {
		return nil, false, errors.Join(err, file.Close())
	}
	return rows, false, nil
}

// clean returns what counts of a text.
func (f *parquetFormat) clean(text []byte) (lo, hi int) {
	hi = len(text)
	if f.d.Trim {
		lo, hi = scan.TrimBlanks(text, lo, hi)
	}
	if f.isMissing(text[lo:hi]) {
		hi = lo
	}
	return lo, hi
}

// separator returns what stands between the tokens of a column of lists, empty if it is none.
func (f parquetFormat) separator() func(string) string {
	column := table.Finder(f.d.Columns)
	of := func(c data.Column) string {
		switch c := c.(type) {
		case data.MultiColumn:
			return c.Separator
		case data.SequenceColumn:
			return c.Separator
		case data.VectorColumn:
			return c.Separator
		}
		if f.passes {
			return "|"
		}
		return ""
	}
	made := map[string]string{} // by the column that others are made of
	for _, name := range namelist.Sorted(f.d.Columns) {
		if from := data.From(f.d.Columns[name], ""); from != "" && made[from] == "" {
			made[from] = of(f.d.Columns[name])
		}
	}
	return func(name string) string {
		c, _ := column(name)
		return cmp.Or(of(c), made[name])
	}
}

// labelled returns what reads label i of a row.
func (f *parquetFormat) labelled() func(i int, cell []byte, unlabelled bool) (label float32, word bool, fault string) {
	p := csvParser{f: f.csvFormat, labels: f.csvFormat.d.kinds()}
	return func(i int, cell []byte, unlabelled bool) (float32, bool, string) {
		if len(cell) == 0 && unlabelled {
			return 0, false, ""
		}
		if k := &p.labels[i]; !k.number && k.classes == nil && f.d.Positive == "" {
			if label, ok := scan.ParseLabel(cell); ok {
				return label, false, ""
			}
		}
		r := csvRow{p: &p, labels: make([]float32, len(p.labels))}
		r.setLabel(0, i, cell)
		if r.fault != "" {
			return 0, false, fmt.Sprintf(r.fault, scan.Show(cell))
		}
		return r.labels[i], r.word != nil, ""
	}
}

// weighed reads the weight of a row.
func weighed(cell []byte) (weight float32, fault string) {
	v, ok := parseWeight(cell)
	if !ok {
		fault = fmt.Sprintf(weightFault, scan.Show(cell))
	}
	return v, fault
}

// aligned returns what finds a fault of sequences that must have equally many tokens, nil if there are none.
func (f parquetFormat) aligned(p *scan.Plan) func(cell func(string) []byte) (column, fault string) {
	column := table.Finder(f.d.Columns)
	var pairs [][2]alignedColumn
	for _, c := range p.Columns {
		if s, ok := sequenceOf(column, c.Name); ok && s.Aligned != "" {
			o, _ := sequenceOf(column, s.Aligned)
			pairs = append(pairs, [2]alignedColumn{{c.Name, alignedCell{separator: s.Separator}}, {s.Aligned, alignedCell{separator: o.Separator}}})
		}
	}
	if len(pairs) == 0 {
		return nil
	}
	return func(cell func(string) []byte) (string, string) {
		for _, pair := range pairs {
			var n [2]int
			for i, a := range pair {
				if n[i] = a.tokens(cell(a.name)); n[i] < 0 {
					return a.name, blankAligned
				}
			}
			if n[0] != n[1] {
				return pair[0].name, fmt.Sprintf(unalignedFault, n[0], pair[1].name, n[1])
			}
		}
		return "", ""
	}
}

// alignedColumn is a column of sequences.
type alignedColumn struct {
	name string
	alignedCell
}

// Pass returns columns of a file. Lists are texts, with the column's separator, or else |, between their values.
func (d Parquet) Pass(ctx context.Context, path string, columns []string, o data.StreamOptions) (*data.Passed, error) {
	d.Common = d.WithDefaults()
	file, err := parquet.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	p := &data.Passed{}
	for _, name := range columns {
		p.Kinds = append(p.Kinds, file.Kind(name))
	}
	t := d.table()
	f := t.Format.(parquetFormat)
	f.passes = true
	t.Format = f
	p.Rows = t.Pass(ctx, path, columns, o)
	return p, nil
}
