package table

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
)

// page is a file that lays stored results out as the tables of a page: rows and variants that are chosen from the JSON files of
// tables that have variants.
type page struct {
	Tables []*pageTable `yaml:"tables,required"`
}

// pageTable is one table of a page. It stands between the lines <!-- NAME --> and <!-- /NAME -->.
type pageTable struct {
	Name     string       `yaml:"name,required"`
	Head     string       `yaml:"head"`             // text above the names of the rows
	Show     []string     `yaml:"show,required"`    // what of each row: see shows
	Separate bool         `yaml:"separate"`         // each of them has a column of its own; else "; " is between them
	Columns  []pageColumn `yaml:"columns,required"` // from left to right
	Rows     []pageRow    `yaml:"rows,required"`    // from the top
	stored   map[string]*storedResult
}

// pageColumn is a variant of a result. With more than one, their values stand in one place with " / " between them.
type pageColumn struct {
	Label string   `yaml:"label"`
	Of    []source `yaml:"of,required"`
}

// source is a variant of a stored result.
type source struct {
	File    string `yaml:"file,required"`    // JSON
	Variant string `yaml:"variant,required"` // its name
}

// pageRow is a row of the comparisons.
type pageRow struct {
	Row   compare.RowName `yaml:"row,required"`
	Label string          `yaml:"label"` // empty: the row's name
	Bold  bool            `yaml:"bold"`
}

// storedResult is the JSON file of a table with variants.
type storedResult struct {
	result
	path, sum string // with slashes; the digest of its content
}

// shows are what a page can show of a row, by name. s is the variant.
var shows = map[string]struct {
	head func(s *summary) string
	text func(s *summary, x *tabled) string
}{
	"mean": {
		func(s *summary) string { return "test " + s.Metric },
		func(_ *summary, x *tabled) string { return noZero(number4(x.Mean)) },
	},
	"gain": {
		func(*summary) string { return "minus better parent" },
		func(_ *summary, x *tabled) string { return noZero(x.Parent.text("%+.4f", 1, "")) },
	},
	"gain_mean": {
		func(*summary) string { return "minus better parent" },
		func(_ *summary, x *tabled) string {
			if x.Parent == nil {
				return ""
			}
			return noZero((&interval{x.Parent.Mean, undefined, undefined}).text("%+.4f", 1, ""))
		},
	},
	"behind": {
		func(s *summary) string { return string(s.Recipe) + " minus this" },
		func(_ *summary, x *tabled) string { return noZero(x.Recipe.text("%+.4f", 1, "")) },
	},
	"gap": {
		func(*summary) string { return "share of the gap" },
		func(s *summary, x *tabled) string {
			if x.Gap == nil || x.Name == compare.RowAllData || len(s.Passed) > 1 && !finite(x.Gap.Low) {
				return ""
			}
			return x.Gap.text("%.0f", 100, " %")
		},
	},
}

// noZero takes away the 0 before the points of a text's numbers, as 0.5 and +0.5 have.
func noZero(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if text[i] == '0' && i+1 < len(text) && text[i+1] == '.' && (i == 0 || !strings.ContainsRune("0123456789", rune(text[i-1]))) {
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// Validate reports mistakes of one table.
func (t *pageTable) Validate() error {
	var errs []error
	for _, name := range t.Show {
		if _, ok := shows[name]; !ok {
			errs = append(errs, registry.Field("show", "%q: want mean, gain, gain_mean, behind or gap", name))
		}
	}
	for _, x := range []struct {
		key string
		n   int
	}{{"show", len(t.Show)}, {"columns", len(t.Columns)}, {"rows", len(t.Rows)}} {
		if x.n == 0 {
			errs = append(errs, registry.Field(x.key, "is empty"))
		}
	}
	return errors.Join(errs...)
}

// Validate reports a column of nothing.
func (c *pageColumn) Validate() error {
	if len(c.Of) == 0 {
		return registry.Field("of", "is empty")
	}
	return nil
}

// Validate reports two tables of one name.
func (p *page) Validate() error {
	seen := map[string]bool{}
	for _, t := range p.Tables {
		if seen[t.Name] {
			return registry.Field("tables", "two are called %q", t.Name)
		}
		seen[t.Name] = true
	}
	return nil
}

// readPage reads a file that lays tables out, strictly, and the results that it names. It returns nil for another file.
func readPage(name string) (*page, error) {
	src, err := bound.ReadFile(name, bound.Config)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	if !hasSection(src, "tables:") {
		return nil, nil
	}
	problems := &registry.Problems{File: name}
	p := &page{}
	root := registry.Parse(src, problems)
	if problems.Len() == 0 {
		registry.DecodeStruct(root, p, problems, "")
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	stored := map[string]*storedResult{}
	for _, t := range p.Tables {
		t.stored = stored
		for _, c := range t.Columns {
			for _, from := range c.Of {
				if stored[from.File] == nil {
					if stored[from.File], err = readStored(from.File); err != nil {
						return nil, err
					}
				}
				if stored[from.File].variant(from.Variant) == nil {
					return nil, fmt.Errorf("table: %s: table %s: %s has no variant %q", name, t.Name, from.File, from.Variant)
				}
			}
		}
	}
	return p, nil
}

// readStored reads the JSON file of a table with variants.
func readStored(name string) (*storedResult, error) {
	b, err := bound.ReadFile(name, bound.JSON)
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	sum := sha256.Sum256(b)
	r := &storedResult{path: filepath.ToSlash(name), sum: hex.EncodeToString(sum[:6])}
	if err := json.Unmarshal(b, &r.result); err != nil {
		return nil, fmt.Errorf("table: %s: %w", name, err)
	}
	if len(r.Variants) == 0 {
		return nil, fmt.Errorf("table: %s is no result of a table with variants", name)
	}
	return r, nil
}

// variant returns the variant of a name, or nil.
func (r *result) variant(name string) *summary {
	for _, s := range r.Variants {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// row returns the row of a name, or nil.
func (s *summary) row(name compare.RowName) *tabled {
	for _, x := range s.Rows {
		if x.Name == name {
			return x
		}
	}
	return nil
}

// markdown returns the table, with a line on what it is from.
func (t *pageTable) markdown() (string, error) {
	head := []string{t.Head}
	for _, c := range t.Columns {
		s := t.stored[c.Of[0].File].variant(c.Of[0].Variant)
		if !t.Separate {
			head = append(head, c.Label)
			continue
		}
		for _, name := range t.Show {
			text := shows[name].head(s)
			if c.Label != "" {
				text = c.Label + ": " + text
			}
			head = append(head, text)
		}
	}
	var body [][]string
	for _, r := range t.Rows {
		label := r.Label
		if label == "" {
			label = string(r.Row)
		}
		if r.Bold {
			label = boldOpen + label + boldClose
		}
		line := []string{label}
		for _, c := range t.Columns {
			parts := make([][]string, len(t.Show))
			for _, from := range c.Of {
				s := t.stored[from.File].variant(from.Variant)
				x := s.row(r.Row)
				if x == nil {
					return "", fmt.Errorf("table: %s: variant %q of %s has no row %q", t.Name, from.Variant, from.File, r.Row)
				}
				for i, name := range t.Show {
					parts[i] = append(parts[i], shows[name].text(s, x))
				}
			}
			var texts []string
			for _, p := range parts {
				if text := strings.Join(p, " / "); strings.Trim(text, " /") != "" {
					texts = append(texts, text)
				} else if t.Separate {
					texts = append(texts, "")
				}
			}
			if !t.Separate {
				texts = []string{strings.Join(texts, "; ")}
			}
			line = append(line, texts...)
		}
		body = append(body, line)
	}
	return bolder.Replace(report.Markdown(head, body)) + "\n" + t.from() + "\n", nil
}

// from says what the table is from.
func (t *pageTable) from() string {
	var seen, out []string
	for _, c := range t.Columns {
		for _, from := range c.Of {
			if slices.Contains(seen, from.File) {
				continue
			}
			seen = append(seen, from.File)
			r := t.stored[from.File]
			out = append(out, fmt.Sprintf("[%s](results/%[1]s) (digest %s), %d pairs, %s", path.Base(r.path), r.sum, r.Seeds, origin.Line(r.Made)))
		}
	}
	return "From " + strings.Join(out, "; ") + "."
}

// text returns all tables as they stand on the page.
func (p *page) text() (string, error) {
	var b strings.Builder
	for _, t := range p.Tables {
		text, err := t.markdown()
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "**%s**\n\n%s\n", t.Name, text)
	}
	return b.String(), nil
}

// into writes the tables into a page.
func (p *page) into(name string) error {
	for _, t := range p.Tables {
		text, err := t.markdown()
		if err != nil {
			return err
		}
		if err := intoPage(name, t.Name, text); err != nil {
			return err
		}
	}
	return nil
}

var undefined = report.Float(math.NaN())
