package data

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// What a file of texts is.
const (
	formatTSV   = "tsv"   // cells between delimiters, quotes are characters like others
	formatCSV   = "csv"   // quoted as in RFC 4180
	formatJSONL = "jsonl" // an object a line
	formatLines = "lines" // a text a line
)

// textSpec is how the files of a data set become texts and labels.
type textSpec struct {
	options    TextOptions
	kind       string // format; by the file's name if empty
	delimiter  string // of tsv and csv; by the format if empty
	text       string // columns; pair and label may be empty
	pair       string
	label      string
	names      []string // of columns, for files without a header
	maxColumns int      // cells of a row, the last of which takes the rest; 0: any number
	labels     []string // names of the classes; nil: found in the train rows
	regression bool
	maskRate   float64
	blocks     bool // rows of a masked language model are full, over the ends of lines
}

// key is everything of s that decides what is read from a file.
func (s *textSpec) key() any {
	return []any{s.kind, s.delimiter, s.text, s.pair, s.label, s.names, s.maxColumns, s.regression, s.maskRate > 0, s.blocks}
}

// kindOf returns the format of a file.
func (s *textSpec) kindOf(path string) (string, error) {
	if s.kind != "" {
		return s.kind, nil
	}
	name := strings.ToLower(filepath.Base(path))
	name = strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
	switch filepath.Ext(name) {
	case ".tsv":
		return formatTSV, nil
	case ".csv":
		return formatCSV, nil
	case ".jsonl", ".ndjson":
		return formatJSONL, nil
	case ".txt":
		return formatLines, nil
	}
	return "", fmt.Errorf("data: %s: the name does not say what it is; set format to tsv, csv, jsonl or lines", path)
}

// textFormat reads the records of files of texts. All files of a scan have one format.
type textFormat struct {
	csvFormat // records and cells of tsv and csv
	spec      *textSpec
	kind      string
	index     map[string]float32 // label of each of its texts; nil while labels are being found
	known     []string           // labels, for messages
}

// format returns the format of files.
func (s *textSpec) format(files []string) (*textFormat, error) {
	f := &textFormat{spec: s}
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
	delim := s.delimiter
	if delim == "" {
		delim = map[string]string{formatCSV: ","}[f.kind]
		if delim == "" {
			delim = "\t"
		}
	}
	f.csvFormat = csvFormat{CSV{Common: Common{MaxLine: s.options.MaxLine}, Delimiter: delim, Quote: f.kind == formatCSV, Names: s.names}}
	return f, nil
}

// withLabels returns the format as it reads rows for a map.
func (f *textFormat) withLabels(t *TextMap) *textFormat {
	out := *f
	out.index, out.known = labelIndex(t.Labels), t.Labels
	return &out
}

// columns returns the names of a file's columns and whether they stand in its first record.
func (f *textFormat) columns(path string, head []byte) ([]string, bool, error) {
	switch f.kind {
	case formatLines:
		return []string{f.spec.text}, false, nil
	case formatJSONL:
		var object map[string]json.RawMessage
		if err := json.Unmarshal(head, &object); err != nil {
			return nil, false, fmt.Errorf("data: %s:1: the line is no JSON object (%v); want {\"key\": \"text\"} on each line", path, err)
		}
		return sortedKeys(object), false, nil
	}
	if names := f.spec.names; len(names) > 0 {
		cells := strings.Split(string(head), f.d.delimiter())
		if isHeader(cells, f.spec.text, names) {
			return cells, true, nil
		}
		return names, false, nil
	}
	return f.header(path, head)
}

// isHeader reports whether the cells are a header although names are given for files without one, as CoLA's test file has
// one and its others have none.
func isHeader(cells []string, text string, names []string) bool {
	unknown := func(c string) bool { return c != "index" && !slices.Contains(names, c) }
	return slices.Contains(cells, text) && !slices.ContainsFunc(cells, unknown)
}

func (f *textFormat) features(string, []byte) ([]declared, error) { return nil, nil }

// parser returns the parser of a file.
func (f *textFormat) parser(path string, head []byte, p *plan) (parser, bool, error) {
	names, header, err := f.columns(path, head)
	if err != nil {
		return nil, false, err
	}
	pr := &textParser{textFormat: f, names: names, at: [3]int{-1, -1, -1}}
	var missing []string
	for i, name := range [...]string{f.spec.text, f.spec.pair, f.spec.label} {
		if name == "" && (i > 0 || f.kind != formatLines) || i == textLabel && p.unlabelled {
			continue
		}
		if pr.at[i] = slices.Index(names, name); pr.at[i] < 0 {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return nil, false, fmt.Errorf("data: %s: no column %s; the file has %s", path, strings.Join(missing, ", "), someNames(names))
	}
	return pr, header, nil
}

// Places of a row's tokens in a chunk.
const (
	textFirst = iota
	textSecond
	textLabel
	textTokens
)

// textPlan is what a parser of texts delivers.
func textPlan(maxLine int) *plan { return &plan{tokens: textTokens, maxLine: maxLine} }
