package figures

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/run"
)

// layers is the figure of the entropy of each layer's weights, and of the weights that a merge gives parent A there.
type layers struct {
	Config string   `yaml:"config,required"` // of cmd/cki
	Set    []string `yaml:"set"`             // overrides
}

func (l *layers) name() string { return "layers" }

// spliced turns a merge into one whose model is the splice itself, with a report.
var spliced = []string{"merge.controls=false", "merge.guard=false", "merge.finetune.epochs=0", "merge.align={match: none}", "merge.report=true"}

func (l *layers) cells(_ *maker, ask asker) error {
	return ask(true, l.Config, append(append([]string{}, spliced...), l.Set...)...)
}

func (l *layers) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	selected, err := nn.Match(got[0][0].e.Merge.Select)
	if err != nil {
		return nil, err
	}
	var names []string
	stats := map[string][]report.TensorStats{}
	for _, x := range got[0] {
		r, err := x.readReport()
		if err != nil {
			return nil, err
		}
		for _, t := range r.Tensors {
			if len(t.Shape) != 2 || !selected(t.Name) || len(t.Entropies) != 2 {
				continue
			}
			if len(stats[t.Name]) == 0 {
				names = append(names, t.Name)
			}
			stats[t.Name] = append(stats[t.Name], t)
		}
	}
	if len(names) == 0 {
		return nil, errors.New("the merge has no matrix of two parents: see merge.select")
	}
	entropy := &figure.Panel{
		Title: "Entropy of the weights", X: figure.Axis{Label: fmt.Sprintf("entropy of the histogram of %d bins (nats)", report.GateBins)}, Rows: names,
		Series: []*figure.Series{{Name: "parent A"}, {Name: "parent B"}},
	}
	half := figure.Number(.5)
	gate := &figure.Panel{
		Title: "Weight of parent A", X: figure.Axis{Label: "share of parent A in the weights (1: A alone)"}, Rows: names, Rule: &half,
		Series: []*figure.Series{{Name: "entropy gate, a = 0.4, c = 500"}, {Name: "mean weight after splicing"}},
	}
	for row, name := range names {
		var a, b, g, w []float64
		for _, t := range stats[name] {
			a, b, g = append(a, t.Entropies[0]), append(b, t.Entropies[1]), append(g, t.Gates[0])
			if t.Weight != nil {
				w = append(w, t.Weight.Mean)
			}
		}
		across := func(y float64, values []float64) figure.Point {
			p := figure.Over(0, values)
			p.X, p.Y = p.Y, figure.Number(y)
			return p
		}
		shares := func(y float64, values []float64) figure.Point {
			p := across(y, values)
			p.Low, p.High = max(p.Low, 0), min(p.High, 1) // NaN stays
			return p
		}
		entropy.Series[0].Points = append(entropy.Series[0].Points, across(float64(row), a))
		entropy.Series[1].Points = append(entropy.Series[1].Points, across(float64(row), b))
		gate.Series[0].Points = append(gate.Series[0].Points, shares(float64(row), g))
		if len(w) > 0 {
			gate.Series[1].Points = append(gate.Series[1].Points, shares(float64(row), w))
		}
	}
	return &figure.Figure{Title: "Entropy and gate by layer", Panels: []*figure.Panel{entropy, gate}, About: []string{"The parents are independent runs, not aligned, as published. Intervals of shares are cut at 0 and 1."}}, nil
}

// compatibility is the figure of the weights that a merge gives parent A in one matrix, value by value.
type compatibility struct {
	Config string   `yaml:"config,required"` // of cmd/cki
	Set    []string `yaml:"set"`             // overrides
	Tensor string   `yaml:"tensor,required"` // its name
	Most   int      `yaml:"most,required"`   // rows and columns that are shown, the first ones
}

// Validate reports a map of nothing.
func (c *compatibility) Validate() error {
	if c.Most < 1 {
		return registry.Field("most", "must be at least 1")
	}
	return nil
}

func (c *compatibility) name() string { return "compatibility" }

func (c *compatibility) cells(_ *maker, ask asker) error {
	return ask(true, c.Config, append(append([]string{}, spliced...), c.Set...)...)
}

func (c *compatibility) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	dir := got[0][0].dir
	a, rows, columns, err := tensor(filepath.Join(dir, run.ParentsDir, "parent-a", run.ModelFile), c.Tensor)
	if err != nil {
		return nil, err
	}
	b, _, _, err := tensor(filepath.Join(dir, run.ParentsDir, "parent-b", run.ModelFile), c.Tensor)
	if err != nil {
		return nil, err
	}
	m, _, _, err := tensor(filepath.Join(dir, run.ModelFile), c.Tensor)
	if err != nil {
		return nil, err
	}
	if len(a) != len(b) || len(a) != len(m) {
		return nil, fmt.Errorf("%s: %s has not one shape in the parents and the merge", dir, c.Tensor)
	}
	half := figure.Number(.5)
	h := &figure.Heat{Label: "weight of parent A (0.5: the average)"}
	for r := range min(rows, c.Most) {
		var line []figure.Number
		for k := range min(columns, c.Most) {
			line = append(line, share(a[r*columns+k], b[r*columns+k], m[r*columns+k]))
		}
		h.Values = append(h.Values, line)
	}
	about := fmt.Sprintf("Of the matrix %s of %d units and %d inputs", c.Tensor, rows, columns)
	if rows > c.Most || columns > c.Most {
		about += fmt.Sprintf(", the first %d of each", c.Most)
	}
	return &figure.Figure{
		Title: "Compatibility in one layer: " + c.Tensor,
		Panels: []*figure.Panel{{
			X: figure.Axis{Label: "input"}, Y: figure.Axis{Label: "unit"}, Rule: &half, Heat: h,
		}},
		About: []string{about + ", in the first seed. The weight w is found from the values: merged = w·A + (1 - w)·B. It is gray where the parents are too nearly equal to tell."},
	}, nil
}

// share returns w of m = w·a + (1-w)·b; NaN where float32 does not tell it to three digits.
func share(a, b, m float32) figure.Number {
	d := float64(a) - float64(b)
	if math.Abs(float64(m))*0x1p-24 >= 1e-3*math.Abs(d) {
		return figure.Number(math.NaN())
	}
	return figure.Number((float64(m) - float64(b)) / d)
}
