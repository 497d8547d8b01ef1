package figures

import (
	"fmt"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/registry"
)

// barrier is the figure of the line between two parents (Frankle et al. 2020), before and after alignment.
type barrier struct {
	Config  string   `yaml:"config,required"` // of cmd/cki, with an alignment
	Set     []string `yaml:"set"`             // overrides
	Points  int      `yaml:"points,required"` // models along the line, both ends included
	Metrics []string `yaml:"metrics,required"`
}

// Validate reports a line of one point.
func (b *barrier) Validate() error {
	if b.Points < 2 {
		return registry.Field("points", "must be at least 2")
	}
	return nil
}

func (b *barrier) name() string { return "barrier" }

func (b *barrier) cells(_ *maker, ask asker) error {
	set := append([]string{"merge.controls=false", "merge.guard=false", "merge.finetune.epochs=0"}, b.Set...)
	return ask(true, b.Config, append(set, "merge.report=true", fmt.Sprintf("merge.line_points=%d", b.Points))...)
}

func (b *barrier) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	f := &figure.Figure{Title: "Loss along the line between two parents", About: []string{
		"Each point is a model (1 - alpha)·A + alpha·B on validation rows, with batch norm's statistics recomputed, but for the ends, which are the parents as they were trained. A barrier is where the line between the ends is left.",
	}}
	var before, after [][]report.Point // by seed
	for _, x := range got[0] {
		r, err := x.readReport()
		if err != nil {
			return nil, err
		}
		if len(r.Barriers) == 0 || len(r.Barriers[0].Before) != b.Points {
			return nil, fmt.Errorf("%s: its report has no line of %d points", x.dir, b.Points)
		}
		before = append(before, r.Barriers[0].Before)
		if len(r.Barriers[0].After) > 0 {
			after = append(after, r.Barriers[0].After)
		}
	}
	for _, name := range b.Metrics {
		p := &figure.Panel{X: figure.Axis{Label: "alpha, the share of parent B"}, Y: figure.Axis{Label: name + " on validation rows"}}
		for _, side := range []struct {
			name  string
			lines [][]report.Point
		}{{"as trained", before}, {"aligned", after}} {
			s := &figure.Series{Name: side.name, Line: true}
			for i := range b.Points {
				var y []float64
				for _, line := range side.lines {
					v, ok := line[i].Valid[name]
					if !ok {
						return nil, fmt.Errorf("the line has no %s", name)
					}
					y = append(y, v)
				}
				if len(y) > 0 {
					s.Points = append(s.Points, figure.Over(side.lines[0][i].Alpha, y))
				}
			}
			if len(s.Points) > 0 {
				p.Series = append(p.Series, s)
			}
		}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}
