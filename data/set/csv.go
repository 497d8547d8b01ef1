package set

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/internal/table"
)

// CSV is delimited rows with a header, quoted as in RFC 4180: a cell may stand in double quotes, and hold delimiters,
// line ends and doubled quotes then. Every column must be the label, the group, the time, or declared under columns.
// Lines with nothing on them are skipped. A row that cannot be read ends with its first line.
type CSV struct {
	data.Common `yaml:",inline"`
	// column of the label, 0 or 1 (or words: see positive); or a list of columns, each of which is the label of a task. Of several, a
	// row may leave some blank: it has no part in their tasks then
	Label data.Names `yaml:"label"`
	Group string     `yaml:"group"` // column that GAUC groups by, such as the user; a feature too if declared by name
	// column of the time (number, date or RFC 3339), for split.by time; a feature too if declared by name
	Time      string   `yaml:"time"`
	Delimiter string   `yaml:"delimiter"` // one character, or tab
	Quote     bool     `yaml:"quote"`     // cells can be quoted; otherwise a quote is a character like others
	Names     []string `yaml:"names"`     // names of the columns, for files without a header
	Missing   []string `yaml:"missing"`   // cells that mean a blank, such as NA
	Trim      bool     `yaml:"trim"`      // blanks and tabs around a value do not count
	// the label that is 1, where labels are words such as yes and no: the other one, of which there is one only, is 0
	Positive string `yaml:"positive"`
	// column of the weight of each row in the loss and in metrics, a number of 0 or more; every row must have it. Metrics within groups of
	// rows, rankings and correlations count each row alike
	Weight       string     `yaml:"weight,added"`
	NumberLabels data.Names `yaml:"number_labels,added"` // those labels that are numbers, of tasks of type regression
	// those labels that are one of several classes, with the names of the classes as they stand in the column, of tasks of type classification
	ClassLabels map[string][]string `yaml:"class_labels,added"`
}

func init() { data.Register("csv", CSV{Common: data.DefaultCommon(), Delimiter: ",", Quote: true}) }

// Validate returns what is wrong with the options.
func (d CSV) Validate() error {
	errs := []error{d.Common.Validate()}
	errs = append(errs, d.checkLabels()...)
	if d.Split.By == data.SplitTime && d.Time == "" {
		errs = append(errs, registry.Field("split.by", "there is no time column; set time, or split by order"))
	}
	if !scan.IsDelimiter(scan.DelimiterOf(d.Delimiter)) {
		errs = append(errs, registry.Field("delimiter", "want one ASCII character or tab, have %q", d.Delimiter))
	}
	seen := make(map[string]bool, len(d.Names))
	for i, n := range d.Names {
		if n == "" || seen[n] {
			errs = append(errs, registry.Field(fmt.Sprintf("names.%d", i), "%q is blank or there twice; give every column a name of its own", n))
		}
		seen[n] = true
	}
	if len(d.Names) > 0 {
		errs = append(errs, d.check(d.Names)...)
	}
	return errors.Join(errs...)
}

// What to do with columns whose name in the header is blank, by whether it is the last one.
const (
	undeclaredNameless = `column %d of the header has no name, such as an index column that was written along; ` +
		`to ignore it, put "": ignore under columns`
	undeclaredLast = `column %d of the header has no name, since the header ends in the delimiter; ` +
		`if the rows do too, put "": ignore under columns, else take it off`
)

// check returns what is wrong between the options and the names of a file's columns.
func (d CSV) check(names []string) []error {
	errs := []error{table.CheckColumns(d.Columns, names)}
	roles := []struct{ key, name string }{{"group", d.Group}, {"time", d.Time}, {"weight", d.Weight}}
	for _, n := range slices.Backward(d.Label) {
		roles = slices.Insert(roles, 0, struct{ key, name string }{"label", n})
	}
	for _, r := range roles {
		if r.name != "" && !slices.Contains(names, r.name) {
			errs = append(errs, registry.Field(r.key, "no column %s; there are %s", r.name, namelist.Show(names)))
		}
	}
	column := table.Finder(d.Columns)
	for _, n := range names {
		if s, ok := sequenceOf(column, n); ok && s.Aligned != "" {
			if o, ok := sequenceOf(column, s.Aligned); !ok || !slices.Contains(names, s.Aligned) || o.MaxLen != s.MaxLen || o.Keep != s.Keep {
				errs = append(errs, registry.Field("columns."+n, "aligned: %s is no column of sequences with the same max_len and keep", s.Aligned))
			}
		}
	}
	return append(errs, d.refuse(names, d.undeclared(names)))
}

// sequenceOf returns the column of that name, if it is one of sequences.
func sequenceOf(column func(string) (data.Column, bool), name string) (data.SequenceColumn, bool) {
	c, _ := column(name)
	s, ok := c.(data.SequenceColumn)
	return s, ok
}

// undeclared returns the columns nobody said anything about. One without a name can only be ignored.
func (d CSV) undeclared(names []string) (list []string) {
	read := table.ReadFrom(d.Columns)
	column := table.Finder(d.Columns)
	for _, n := range names {
		c, ok := column(n)
		ok = ok || read[n]
		if n == "" {
			ok = c == data.Column(data.IgnoreColumn{})
		}
		if !ok && (n == "" || !d.beside(n)) {
			list = append(list, n)
		}
	}
	return list
}

// refuse returns an error that lists columns nobody said anything about.
func (d CSV) refuse(names, list []string) error {
	switch {
	case len(list) == 0:
		return nil
	case slices.Contains(list, ""):
		at := slices.Index(names, "") + 1
		if at > 1 && at == len(names) {
			return registry.Field("columns", undeclaredLast, at)
		}
		return registry.Field("columns", undeclaredNameless, at)
	}
	return registry.Field("columns", "nothing says what to do with %s; give each a type (categorical, numeric, multi) or ignore",
		namelist.Show(list))
}

// Open reads the files of the section.
func (d CSV) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d = d.filled()
	if err := table.Validate(d, d.Common); err != nil {
		return nil, err
	}
	return d.table().Open(ctx, o)
}

// Stream reads one file in order. A label column may be absent, and its cells blank.
func (d CSV) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	return d.filled().table().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d CSV) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	return d.filled().table().Encoder(m)
}

func (d CSV) filled() CSV {
	d.Common = d.WithDefaults()
	if d.Delimiter == "" {
		d.Delimiter = ","
	}
	return d
}

func (d CSV) table() *table.Data {
	var label any = d.Label
	if len(d.Label) == 1 { // keys of one label are older
		label = d.Label[0]
	}
	key := []any{scan.DelimiterOf(d.Delimiter), d.Quote, d.Names, label, d.Missing}
	if d.Trim || d.Positive != "" { // keys without them are older
		key = append(key, d.Trim, d.Positive)
	}
	if len(d.NumberLabels) > 0 {
		key = append(key, d.NumberLabels)
	}
	return &table.Data{
		Common: d.Common, Format: d.format(), Label: d.first(), Name: "csv", Key: key, Group: d.Group, Time: d.Time, Weight: d.Weight,
		Labels: d.labels(),
	}
}

// csvFormat is the format of the files of d.
type csvFormat struct {
	scan.Delimited
	d CSV
}

func (d CSV) format() csvFormat {
	delim := scan.DelimiterOf(d.Delimiter)[0]
	return csvFormat{scan.Delimited{Delim: delim, Quote: d.Quote, Trim: d.Trim, MaxLine: d.MaxLine, Names: d.Names}, d}
}

// columns returns the names of a file's columns and whether they stand in it. A file without a header may lack the label's column
// if labels are not needed.
func (f csvFormat) columns(path string, head []byte, unlabelled bool) (names []string, inFile bool, err error) {
	names, inFile, err = f.Header(path, head)
	if err != nil || inFile {
		return names, inFile, err
	}
	have, _, err := scan.Delimited{Delim: f.Delim, Quote: f.Quote, Trim: f.Trim, MaxLine: f.MaxLine}.Header(path, head)
	if err != nil { // no header: its values are looked at when the row is read
		have = nil
	}
	label := slices.Index(names, f.d.first())
	if label >= 0 && label < len(have) && len(have) >= len(names)-1 && have[label] == f.d.first() {
		return nil, false, fmt.Errorf("data: %s:1: the first line is a header, but names are set, which are for files without one; remove names",
			path)
	}
	if unlabelled && label >= 0 && f.cells(head) == len(names)-len(f.d.Label) {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(f.d.Label, n) })
	}
	if slices.Equal(have, names) {
		return nil, false, fmt.Errorf("data: %s:1: the first line is a header, but names are set, which are for files without one; remove names",
			path)
	}
	return names, false, nil
}

// cells returns how many cells a record has.
func (f csvFormat) cells(record []byte) int {
	_, n, _ := f.Cells(record, true, nil)
	return n
}

// Features declares the columns of a header as the options say.
func (f csvFormat) Features(path string, head []byte) ([]table.Declared, error) {
	names, inFile, err := f.columns(path, head, false)
	if err != nil {
		return nil, err
	}
	return f.declared(path, names, f.headerAdvice(names, inFile))
}

// declared declares columns of those names. advice is what to do if they are others than the options say.
func (f csvFormat) declared(path string, names []string, advice string) ([]table.Declared, error) {
	if err := errors.Join(f.d.check(names)...); err != nil {
		return nil, fmt.Errorf("data: %s: %w%s", path, err, advice)
	}
	var list []table.Declared
	column := table.Finder(f.d.Columns)
	for _, n := range names {
		if slices.Contains(f.d.Label, n) || n == f.d.Weight {
			continue
		}
		c, ok := f.d.Columns[n]
		if !ok && (n == f.d.Group || n == f.d.Time) {
			continue
		}
		if !ok {
			if c, ok = column(n); !ok { // others are made of it
				continue
			}
		}
		list = append(list, table.Declared{Name: n, Column: c})
	}
	return append(list, table.Derived(f.d.Columns, names)...), nil
}

// headerAdvice returns what to do if names that stand in a file do not look like a header.
func (f csvFormat) headerAdvice(names []string, inFile bool) string {
	if !inFile {
		return ""
	}
	known := func(n string) bool {
		_, ok := f.d.Columns[n]
		return ok || f.d.beside(n)
	}
	if advice := f.HeaderAdvice(names); advice != "" || slices.ContainsFunc(names, known) {
		return advice
	}
	return scan.NoneKnownAdvice
}

// csvAct is what to do with a cell.
type csvAct struct {
	act
	more                []scan.PlanColumn // that are read in a way of their own
	label               int               // its number among the labels; -1 if it is none
	group, time, weight bool
}

// isMissing reports whether a cell means a blank.
func (f csvFormat) isMissing(text []byte) bool {
	return slices.ContainsFunc(f.d.Missing, func(m string) bool { return string(text) == m }) // without a copy of a long text
}

// Cell reads a token or a number, or a blank that has a name.
func (f csvFormat) Cell(c *scan.PlanColumn, text []byte) (lo, hi int, v float64, bad string) {
	hi = len(text)
	if f.Trim {
		lo, hi = scan.TrimBlanks(text, lo, hi)
	}
	if f.isMissing(text[lo:hi]) {
		hi = lo
	}
	_, _, v, bad = table.PlainCell(c, text[lo:hi])
	return lo, hi, v, bad
}

// labelNeeded says what to do with a file that is to be evaluated, and may lack the column of the label.
func labelNeeded(column string) string {
	return fmt.Sprintf("rows without their label (%s) can be predicted, but not evaluated: give a file that has it", column)
}

// Parser returns the parser of a file.
func (f csvFormat) Parser(file string, head []byte, p *scan.Plan) (scan.Parser, bool, error) {
	names, inFile, err := f.columns(file, head, p.Unlabelled)
	if err != nil {
		return nil, false, err
	}
	pr := &csvParser{f: f, names: names, header: inFile, acts: make([]csvAct, len(names)), labels: f.d.kinds()}
	for i := range pr.acts {
		pr.acts[i] = csvAct{act: act{tok: -1, num: -1}, label: -1}
	}
	var missing []string
	places := make(map[string]int, len(names))
	for i, n := range slices.Backward(names) {
		places[n] = i
	}
	at := func(name string) *csvAct {
		if i, ok := places[name]; ok {
			return &pr.acts[i]
		}
		missing = append(missing, name)
		return &csvAct{label: -1}
	}
	if measured := p.Left != nil && !p.Unlabelled; measured && !inFile && f.cells(head) == len(names)-1 {
		return nil, false, fmt.Errorf("data: %s:1: %d columns, one fewer than names: %s", file, len(names)-1, labelNeeded(f.d.first()))
	} else if lacks := f.d.lacks(names); measured && inFile && lacks != "" {
		if advice := f.headerAdvice(names, inFile); advice != "" {
			return nil, false, fmt.Errorf("data: %s: no column %s; the file has %s%s", file, lacks, namelist.Show(names), advice)
		}
		return nil, false, fmt.Errorf("data: %s: no column %s; the file has %s: %s", file, lacks, namelist.Show(names), labelNeeded(lacks))
	}
	for i, n := range f.d.Label {
		if !p.Unlabelled || slices.Contains(names, n) {
			at(n).label = i
		}
	}
	if p.Weight != "" {
		at(p.Weight).weight = true
	}
	if p.Group != "" {
		at(p.Group).group = true
	}
	if p.Time != "" {
		at(p.Time).time = true
	}
	for i := range p.Columns {
		a := at(p.Columns[i].Name)
		switch {
		case p.Columns[i].Special():
			a.more = append(a.more, p.Columns[i])
		case p.Columns[i].Number:
			a.num = p.Columns[i].At
		default:
			a.tok = p.Columns[i].At
		}
	}
	column := table.Finder(f.d.Columns)
	for _, c := range p.Columns {
		if s, ok := sequenceOf(column, c.Name); ok && s.Aligned != "" {
			o, _ := sequenceOf(column, s.Aligned)
			pr.aligned = append(pr.aligned, [2]alignedCell{{places[c.Name], c.At, s.Separator}, {places[s.Aligned], at(s.Aligned).tok, o.Separator}})
		}
	}
	if len(missing) > 0 {
		return nil, false, fmt.Errorf("data: %s: no column %s; the file has %s%s", file, namelist.Show(missing), namelist.Show(names),
			f.headerAdvice(names, inFile))
	}
	if more := f.d.undeclared(names); len(more) > 0 && p.Left != nil {
		p.Left(file, more)
	} else if err := f.d.refuse(names, more); err != nil {
		return nil, false, fmt.Errorf("data: %s: %w", file, err)
	}
	return pr, inFile, nil
}

// Pass returns columns of a file as texts.
func (d CSV) Pass(ctx context.Context, path string, columns []string, o data.StreamOptions) (*data.Passed, error) {
	return &data.Passed{Kinds: make([]data.CellKind, len(columns)), Rows: d.filled().table().Pass(ctx, path, columns, o)}, nil
}
