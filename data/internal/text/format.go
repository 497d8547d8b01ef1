package text

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// What a file of texts is.
const (
	TSV   = "tsv"   // cells between delimiters, quotes are characters like others
	CSV   = "csv"   // quoted as in RFC 4180
	JSONL = "jsonl" // an object a line
	Lines = "lines" // a text a line
)

// Spec says how the files of a data set become texts and labels.
type Spec struct {
	Options    data.TextOptions
	Format     string // format; by the file's name if empty
	Delimiter  string // of tsv and csv; by the format if empty
	Text       string // columns; pair and label may be empty
	Pair       string
	Label      string
	Names      []string // of columns, for files without a header
	MaxColumns int      // cells of a row, the last of which takes the rest; 0 for any number
	Labels     []string // names of the classes; nil to find them in the train rows
	Regression bool
	MaskRate   float64
	Trim       bool // blanks around a value do not count
	Blocks     bool // rows of a masked language model are full, over the ends of lines
}

// key is everything of s that decides what is read from a file.
func (s *Spec) key() any {
	key := []any{s.Format, s.Delimiter, s.Text, s.Pair, s.Label, s.Names, s.MaxColumns, s.Regression, s.MaskRate > 0, s.Blocks}
	if s.Trim { // keys without it are older
		key = append(key, "trim")
	}
	return key
}

// kindOf returns the format of a file.
func (s *Spec) kindOf(path string) (string, error) {
	if s.Format != "" {
		return s.Format, nil
	}
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch filepath.Ext(name) {
	case ".tsv":
		return TSV, nil
	case ".csv":
		return CSV, nil
	case ".jsonl", ".ndjson":
		return JSONL, nil
	case ".txt":
		return Lines, nil
	}
	return "", fmt.Errorf("data: %s: the name does not say what it is; set format to tsv, csv, jsonl or lines", path)
}

// format reads the records of files of texts. All files of a scan have one format.
type format struct {
	scan.Delimited // records and cells of tsv and csv
	spec           *Spec
	kind           string
	index          map[string]float32 // label of each of its texts; nil while labels are being found
	known          []string           // labels, for messages
}

// format returns the format of files.
func (s *Spec) format(files []string) (*format, error) {
	f := &format{spec: s}
	for i, path := range files {
		kind, err := s.kindOf(path)
		if err != nil {
			return nil, err
		}
		if i > 0 && kind != f.kind {
			return nil, fmt.Errorf("data: %s is %s, %s is %s; give files of one format, or set format", files[0], f.kind, path, kind)
		}
		f.kind = kind
	}
	delim := s.Delimiter
	if delim == "" {
		delim = map[string]string{CSV: ","}[f.kind]
		if delim == "" {
			delim = "\t"
		}
	}
	f.Delimited = scan.Delimited{Delim: scan.DelimiterOf(delim)[0], Quote: f.kind == CSV, Trim: s.Trim, MaxLine: s.Options.MaxLine, Names: s.Names}
	return f, nil
}

// withLabels returns the format as it reads rows for a map.
func (f *format) withLabels(t *data.TextMap) *format {
	out := *f
	out.index, out.known = labelIndex(t.Labels), t.Labels
	return &out
}

// columns returns the names of a file's columns and whether they stand in its first record.
func (f *format) columns(path string, head []byte) ([]string, bool, error) {
	switch f.kind {
	case Lines:
		return []string{f.spec.Text}, false, nil
	case JSONL:
		var object map[string]json.RawMessage
		if err := json.Unmarshal(head, &object); err != nil {
			return nil, false, fmt.Errorf("data: %s:1: the line is no JSON object (%v); want {\"key\": \"text\"} on each line", path, err)
		}
		return namelist.Sorted(object), false, nil
	}
	if names := f.spec.Names; len(names) > 0 {
		cells := strings.Split(string(head), string(f.Delim))
		if isHeader(cells, f.spec.Text, names) {
			return cells, true, nil
		}
		return names, false, nil
	}
	return f.Header(path, head)
}

// isHeader reports whether the cells are a header although names are given for files without one, as CoLA's test file has
// one and its others have none.
func isHeader(cells []string, text string, names []string) bool {
	unknown := func(c string) bool { return c != "index" && !slices.Contains(names, c) }
	return slices.Contains(cells, text) && !slices.ContainsFunc(cells, unknown)
}

// Fault reports a NUL only: bytes that are no UTF-8 are read as U+FFFD.
func (f *format) Fault(record []byte) (int, scan.Fault) { return scan.NULFault(record) }

// Parser returns the parser of a file.
func (f *format) Parser(path string, head []byte, p *scan.Plan) (scan.Parser, bool, error) {
	names, header, err := f.columns(path, head)
	if err != nil {
		return nil, false, err
	}
	cells := f.kind == TSV || f.kind == CSV
	if label := slices.Index(names, f.spec.Label); p.Unlabelled && cells && !header && label >= 0 && f.cells(head) == len(names)-1 {
		names = slices.Delete(slices.Clone(names), label, label+1)
	}
	pr := &parser{format: f, names: names, at: [3]int{-1, -1, -1}, blankRows: p.Unlabelled && cells && len(names) == 1}
	var missing []string
	for i, name := range [...]string{f.spec.Text, f.spec.Pair, f.spec.Label} {
		if name == "" && (i > 0 || f.kind != Lines) || i == labelCell && p.Unlabelled {
			continue
		}
		if pr.at[i] = slices.Index(names, name); pr.at[i] < 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		advice := ""
		if header {
			if advice = f.HeaderAdvice(names); advice == "" && pr.at == [3]int{-1, -1, -1} {
				advice = scan.NoneKnownAdvice
			}
		}
		return nil, false, fmt.Errorf("data: %s: no column %s; the file has %s%s", path, strings.Join(missing, ", "), namelist.Show(names), advice)
	}
	return pr, header, nil
}

// cells returns how many cells a record has.
func (f *format) cells(record []byte) int {
	_, n, _ := f.Cells(record, true, nil)
	return n
}

// Places of a row's tokens in a chunk.
const (
	firstText = iota
	secondText
	labelCell
	cells
)

// newPlan is what a parser of texts delivers.
func newPlan(maxLine int) *scan.Plan { return &scan.Plan{Tokens: cells, MaxLine: maxLine} }
