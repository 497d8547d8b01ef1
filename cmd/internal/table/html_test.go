package table

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/origin"
)

// shownRow is a row of a table of a page.
type shownRow struct {
	from  string
	cells []string // texts and what the pointer shows, without the name
	exact []string // values by which columns are sorted
}

// readRows reads the tables of a page, strictly.
func readRows(t *testing.T, page string) (rows []shownRow, ids map[string]bool) {
	t.Helper()
	ids = map[string]bool{}
	d := xml.NewDecoder(strings.NewReader(page))
	var row *shownRow
	in := ""
	for {
		x, err := d.Token()
		if errors.Is(err, io.EOF) {
			return rows, ids
		}
		if err != nil {
			t.Fatal(err)
		}
		switch x := x.(type) {
		case xml.StartElement:
			in = x.Name.Local
			for _, a := range x.Attr {
				switch {
				case a.Name.Local == "id" && ids[a.Value]:
					t.Errorf("two elements have the id %q", a.Value)
				case a.Name.Local == "id":
					ids[a.Value] = true
				case a.Name.Local == "data-from":
					rows = append(rows, shownRow{from: a.Value})
					row = &rows[len(rows)-1]
				case a.Name.Local == "data-value":
					row.exact = append(row.exact, a.Value)
				case a.Name.Local == "title" && in == "td":
					row.cells = append(row.cells, a.Value)
				case a.Name.Local == "src" || a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#"):
					t.Errorf("a link leads out of the page: %s=%q", a.Name.Local, a.Value)
				}
			}
		case xml.CharData:
			if row != nil && (in == "td" || in == "strong") {
				row.cells = append(row.cells, string(x))
			}
		case xml.EndElement:
			if in = ""; x.Name.Local == "tr" {
				row = nil
			}
		}
	}
}

// files are JSON files by name, as they were read.
type files map[string]any

// pointed returns the numbers that the stored results have at places "file#pointer", and their texts.
func (f files) pointed(t *testing.T, from string) (numbers []float64, texts []string) {
	t.Helper()
	for place := range strings.FieldsSeq(from) {
		file, pointer, _ := strings.Cut(place, "#")
		at, ok := f[file]
		if !ok {
			b, err := os.ReadFile(filepath.FromSlash(file))
			if err == nil {
				err = json.Unmarshal(b, &at)
			}
			if err != nil {
				t.Fatal(err)
			}
			f[file] = at
		}
		for step := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
			switch x := at.(type) {
			case map[string]any:
				at = x[step]
			case []any:
				i, err := strconv.Atoi(step)
				if err != nil || i >= len(x) {
					t.Fatalf("%s: there is no %s", place, step)
				}
				at = x[i]
			}
		}
		var walk func(v any)
		walk = func(v any) {
			switch v := v.(type) {
			case float64:
				numbers = append(numbers, v)
			case string:
				texts = append(texts, v)
			case []any:
				for _, y := range v {
					walk(y)
				}
			case map[string]any:
				for _, y := range v {
					walk(y)
				}
			}
		}
		walk(at)
	}
	return numbers, texts
}

var numberText = regexp.MustCompile(`[+-]?[0-9]+(\.[0-9]+)?(e[+-][0-9]+)?`)

// strange returns what a row shows that the stored results do not have at the place that it names: numbers that are no rounding of one there.
func (r shownRow) strange(t *testing.T, f files) (out []string) {
	t.Helper()
	numbers, texts := f.pointed(t, r.from)
	for _, s := range r.exact {
		if v, err := strconv.ParseFloat(s, 64); err != nil || !slices.Contains(numbers, v) {
			out = append(out, "value "+s)
		}
	}
	for _, cell := range r.cells {
		if slices.Contains(texts, cell) || cell == "<.001" {
			continue
		}
		for _, at := range numberText.FindAllStringIndex(cell, -1) {
			s := cell[at[0]:at[1]]
			if at[0] > 0 && unicode.IsLetter(rune(cell[at[0]-1])) { // of a name, such as C7
				continue
			}
			v, err := strconv.ParseFloat(s, 64)
			if err != nil {
				t.Fatal(err)
			}
			_, fraction, _ := strings.Cut(s, ".")
			fraction, exponent, _ := strings.Cut(fraction, "e")
			e, _ := strconv.Atoi(exponent)
			half := .5000001 * math.Pow(10, float64(e-len(fraction)))
			if !slices.ContainsFunc(numbers, func(x float64) bool {
				return math.Abs(x-v) <= half || strings.Contains(cell, "%") && math.Abs(100*x-v) <= half
			}) {
				out = append(out, s+" of "+cell)
			}
		}
	}
	return out
}

// madeFigure is a figure that can be drawn.
func madeFigure() *figure.Figure {
	return &figure.Figure{
		Name: "f", Title: "F", Size: "full", Data: "Log", Command: "make it", Made: []origin.Origin{{Date: "2026-01-02"}},
		Panels: []*figure.Panel{{
			X: figure.Axis{Label: "x"}, Y: figure.Axis{Label: "y"},
			Series: []*figure.Series{{Name: "s", Line: true, Points: []figure.Point{figure.At(1, 2.25), {X: 2, Y: 3, Low: 1, High: 4, Label: "two"}}}},
		}},
	}
}

// Every number of a page is where the page says that it is stored: in tables with rows and with variants, in figures and in other files.
func TestReport(t *testing.T) {
	do := gridDesk(t, gridFile)
	if _, log, code := do(&madeCells{}, "t.yaml", "--full", "--dir", "tables"); code != 0 {
		t.Fatal(log)
	}
	put(t, "results/r.json", storedVariants)
	put(t, "results/other.json", `{"title": "Others", "commands": ["do it"], "runs": [{"task": "a", "seed": 1, "accuracy": 0.7205883}, {"task": "b", "seed": 2}]}`)
	if err := madeFigure().Write("figures"); err != nil {
		t.Fatal(err)
	}
	out, log, code := do(&madeCells{}, "--html", "page/report.html", "--from", "tables/*.json", "--from", "results/*.json", "--from", "figures/*.json", "--from", "none/*.json")
	if code != 0 || out != "" {
		t.Fatalf("exit %d\n%s%s", code, out, log)
	}
	b, err := os.ReadFile("page/report.html")
	if err != nil {
		t.Fatal(err)
	}
	page := string(b)
	rows, ids := readRows(t, page)
	f := files{}
	if len(rows) != 7*4+3+6+2+2 { // an overview and 3 columns of 7 rows, and their data; two variants; runs; points
		t.Errorf("%d rows", len(rows))
	}
	for _, r := range rows {
		if bad := r.strange(t, f); len(bad) > 0 {
			t.Errorf("%s: %q", r.from, bad)
		}
	}
	for _, id := range []string{"figures", "tables-t", "tables-t-sheet-3", "tables-t-data", "results-r-1", "results-other-runs", "figures-f-values"} {
		if !ids[id] {
			t.Errorf("there is no %s", id)
		}
	}
	for _, want := range []string{
		"<code>go run ./cmd/table t.yaml --full</code>", "<code>do it</code>", "<code>make it</code>", "<title>s, two: 3 at 2 [1, 4]</title>", "Synthetic stand-in, since the files are not there: Log.",
		"<dd>2026-01-02 (machine not recorded)</dd>", `<td data-value="0.7205883">0.720588</td>`, "<dt>Go</dt>",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s in\n%s", want, page)
		}
	}
	// A number that is another one is noticed, in a cell, in what the pointer shows, and in the value behind it.
	for i, old := range []string{">0.9323 (0.0160)<", `title="0.91210, `, `data-value="0.7205883"`} {
		at := strings.IndexAny(old, "123456789")
		at += 2 // a digit behind the point
		changed := strings.Replace(page, old, old[:at]+string('0'+(old[at]-'0'+1)%10)+old[at+1:], 1)
		again, _ := readRows(t, changed)
		bad := 0
		for _, r := range again {
			bad += len(r.strange(t, f))
		}
		if changed == page || bad == 0 {
			t.Errorf("change %d of %s is not noticed (%v)", i, old, changed == page)
		}
	}
}

// The page of the results that the repository has.
func TestReportOfResults(t *testing.T) {
	t.Chdir(filepath.Join("..", "..", ".."))
	list, err := filepath.Glob(filepath.Join("docs", "results", "*.json"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no results: %v", err)
	}
	d, err := webDocument(list)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := d.Write(&b); err != nil {
		t.Fatal(err)
	}
	rows, _ := readRows(t, b.String())
	f := files{}
	numbers := 0
	for _, r := range rows {
		numbers += len(r.exact)
		if bad := r.strange(t, f); len(bad) > 0 {
			t.Errorf("%s: %q", r.from, bad)
		}
	}
	if numbers < 1000 {
		t.Errorf("%d numbers", numbers)
	}
}

func TestBadReports(t *testing.T) {
	do := gridDesk(t, gridFile)
	put(t, "a/x.json", "{")
	put(t, "b/x.json", `{"panels": []}`)
	put(t, "c/x.json", `{"columns": [{}]}`)
	put(t, "d/x.json", `{"variants": []}`)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"--html", "p.html"}, "give --html with a file and --from"},
		{[]string{"--from", "a/*.json"}, "give --html with a file and --from"},
		{[]string{"--html", "p.html", "--from", "none/*.json"}, "there are no files none/*.json: make tables with"},
		{[]string{"--html", "p.html", "--from", "a/*.json"}, "x.json"},
		{[]string{"--html", "p.html", "--from", "b/*.json"}, "has no panel"},
		{[]string{"--html", "p.html", "--from", "c/*.json"}, "no result of a table with rows"},
		{[]string{"--html", "p.html", "--from", "d/*.json"}, "no result of a table with variants"},
		{[]string{"--html", "p.html", "--from", "[", "t.yaml"}, "give one table file"},
		{[]string{"--html", "p.html", "--from", "["}, "--from [: "},
	} {
		if _, log, code := do(&madeCells{}, tc.args...); code != 2 || !strings.Contains(log, tc.want) {
			t.Errorf("%v: exit %d, want %q in\n%s", tc.args, code, tc.want, log)
		}
		if _, err := os.Stat("p.html"); err == nil {
			t.Errorf("%v: a page was written", tc.args)
		}
	}
}
