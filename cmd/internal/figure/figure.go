// Package figure keeps the numbers of figures, draws them as SVG and PNG, and reads them again.
package figure

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// Figure is the content of a figure's JSON file. All that is drawn is in it.
type Figure struct {
	Name     string          `json:"name"`
	Title    string          `json:"title"`
	About    []string        `json:"about,omitempty"` // what a reader must know, a sentence each
	Size     string          `json:"size"`            // quick or full
	StandIn  bool            `json:"stand_in,omitempty"`
	Data     string          `json:"data"`    // name of the data set
	Command  string          `json:"command"` // that makes it
	Made     []origin.Origin `json:"made"`
	Cells    []string        `json:"cells,omitempty"` // digests of the configs and files of the runs that it is from
	Settings string          `json:"settings,omitempty"`
	Panels   []*Panel        `json:"panels"`
}

// Panel is one system of axes. It has series or a heat map.
type Panel struct {
	Title  string    `json:"title,omitempty"`
	X      Axis      `json:"x"`
	Y      Axis      `json:"y"`
	Rows   []string  `json:"rows,omitempty"` // names of the places 0, 1, ... along y, from the top; values are along x then
	Rule   *Number   `json:"rule,omitempty"` // a dashed line at this value
	Series []*Series `json:"series,omitempty"`
	Heat   *Heat     `json:"heat,omitempty"`
}

// Axis is what stands at an axis: the quantity with its unit.
type Axis struct {
	Label string `json:"label"`
	Log   bool   `json:"log,omitempty"`
}

// Series are points of one kind.
type Series struct {
	Name   string  `json:"name"` // in the legend; empty: none
	Line   bool    `json:"line,omitempty"`
	Points []Point `json:"points"`
}

// Point is a value with the ends of its 95 % interval, which are null without one. The interval is of y, or of x where rows are named.
type Point struct {
	X     Number `json:"x"`
	Y     Number `json:"y"`
	Low   Number `json:"low"`
	High  Number `json:"high"`
	Label string `json:"label,omitempty"` // what the point is
}

// Heat is a matrix whose values are shown by colors.
type Heat struct {
	Label  string     `json:"label"`  // what the values are
	Values [][]Number `json:"values"` // by row and column; null: none
}

// Number is a number that is null in JSON if it is not finite.
type Number = report.Float

// At returns a point without an interval.
func At(x, y float64) Point {
	nan := Number(math.NaN())
	return Point{X: Number(x), Y: Number(y), Low: nan, High: nan}
}

// Over returns the mean of values at x with Student's interval.
func Over(x float64, values []float64) Point {
	p := At(x, math.NaN())
	e := report.Mean(values)
	p.Y = e.Mean
	if len(values) > 1 {
		p.Low, p.High = Number(e.Low()), Number(e.High())
	}
	return p
}

// Text is a number as tables show it, or nothing.
func Text(v Number) string {
	if v-v != 0 {
		return ""
	}
	return strconv.FormatFloat(float64(v), 'g', 5, 64)
}

// Words returns the sentences below the title.
func (f *Figure) Words() []string {
	var out []string
	if f.Size != "full" {
		out = append(out, "Quick size: few runs, short trainings and little data. It shows that everything runs, and says nothing about the methods.")
	}
	if f.StandIn {
		out = append(out, "Synthetic stand-in, since the files of "+f.Data+" are not there, or are too large for the quick size: the numbers are of generated rows.")
	} else if f.Data != "" {
		out = append(out, "Data: "+f.Data+".")
	}
	return append(out, f.About...)
}

// Value is one number of a figure, with where its JSON file has it (RFC 6901).
type Value struct {
	Panel, Series, Label string
	Pointer              string
	X, Y, Low, High      Number
}

// Values returns all numbers that are drawn.
func (f *Figure) Values() (out []Value) {
	for i, p := range f.Panels {
		title := p.Title
		if title == "" {
			title = p.Y.Label
		}
		for k, s := range p.Series {
			for j, q := range s.Points {
				v := Value{title, s.Name, q.Label, fmt.Sprintf("/panels/%d/series/%d/points/%d", i, k, j), q.X, q.Y, q.Low, q.High}
				if row := int(q.Y); len(p.Rows) > 0 && row >= 0 && row < len(p.Rows) {
					v.Series = strings.TrimPrefix(s.Name+", "+p.Rows[row], ", ")
				}
				out = append(out, v)
			}
		}
		if p.Heat == nil {
			continue
		}
		for r, line := range p.Heat.Values {
			for c, v := range line {
				nan := Number(math.NaN())
				out = append(out, Value{title, fmt.Sprintf("row %d, column %d", r, c), "", fmt.Sprintf("/panels/%d/heat/values/%d/%d", i, r, c), nan, v, nan, nan})
			}
		}
	}
	return out
}

// csv returns the numbers, a line each.
func (f *Figure) csv() []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	number := func(v Number) string {
		if v-v != 0 {
			return ""
		}
		return strconv.FormatFloat(float64(v), 'g', -1, 64)
	}
	lines := [][]string{{"panel", "series", "label", "x", "y", "low", "high"}}
	for _, v := range f.Values() {
		lines = append(lines, []string{v.Panel, v.Series, v.Label, number(v.X), number(v.Y), number(v.Low), number(v.High)})
	}
	_ = w.WriteAll(lines) // a buffer has no errors
	return b.Bytes()
}

// check reports a figure that cannot be drawn.
func (f *Figure) check() error {
	if len(f.Panels) == 0 {
		return fmt.Errorf("figure: %s has no panel", f.Name)
	}
	for _, p := range f.Panels {
		n := 0
		for _, s := range p.Series {
			for _, q := range s.Points {
				if v := q.X + q.Y; v-v == 0 {
					n++
				}
				if p.X.Log && !(q.X > 0) || p.Y.Log && !(q.Y > 0) {
					return fmt.Errorf("figure: %s: %s: %v, %v cannot stand on a logarithmic axis", f.Name, s.Name, q.X, q.Y)
				}
			}
		}
		if p.Heat != nil {
			for _, line := range p.Heat.Values {
				if len(line) == 0 || len(line) != len(p.Heat.Values[0]) {
					return fmt.Errorf("figure: %s: the rows of the heat map have not one length", f.Name)
				}
				n += len(line) - len(slices.DeleteFunc(slices.Clone(line), func(v Number) bool { return v-v == 0 }))
			}
		}
		if n == 0 {
			return fmt.Errorf("figure: %s has a panel without any value", f.Name)
		}
	}
	return nil
}

// Write writes the figure into a directory: NAME.json, .csv, .svg and .png. Equal figures give equal bytes.
func (f *Figure) Write(dir string) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("figure: %w", err)
	}
	b, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return fmt.Errorf("figure: %w", err)
	}
	svg, err := f.SVG()
	if err != nil {
		return err
	}
	png, err := f.PNG()
	if err != nil {
		return err
	}
	path := func(ext string) string { return filepath.Join(dir, f.Name+ext) }
	err = errors.Join(atomicfile.WriteBytes(path(".csv"), f.csv()), atomicfile.WriteBytes(path(".svg"), svg), atomicfile.WriteBytes(path(".png"), png),
		atomicfile.WriteBytes(path(".json"), append(b, '\n')))
	if err != nil {
		return fmt.Errorf("figure: %w", err)
	}
	return nil
}

// Read reads a figure from its JSON file, and draws it.
func Read(path string) (*Figure, []byte, error) {
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return nil, nil, fmt.Errorf("figure: %w", err)
	}
	f := &Figure{}
	if err := json.Unmarshal(b, f); err != nil {
		return nil, nil, fmt.Errorf("figure: %s: %w", path, err)
	}
	if err := f.check(); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	svg, err := f.SVG()
	return f, svg, err
}
