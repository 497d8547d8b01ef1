package evaluate

import (
	"cmp"
	"fmt"
	"math"

	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/inspect"
	"github.com/splice-ml/splice/train/run"
)

// reliability draws, for each task, what the predictions are and how often they come true, on the last part that is measured.
func reliability(c *job.Calibrated) (map[string][]byte, error) {
	files := map[string][]byte{}
	for i, t := range c.Tasks {
		last := t.Parts[0]
		for _, p := range t.Parts {
			if p.Rows > 0 {
				last = p
			}
		}
		f := &figure.Figure{
			Name: "reliability", Size: "full", Title: fmt.Sprintf("Reliability of %s by %s, %d %s rows", cmp.Or(t.Label, "predictions"), c.Method, last.Rows, last.Part),
			About: []string{"Bins of as many rows each, with 95 % intervals of the labels."},
			Panels: []*figure.Panel{{
				X: figure.Axis{Label: "mean prediction"}, Y: figure.Axis{Label: "how often it came true"},
				Series: []*figure.Series{diagonal(last), points("before", last.Before), points("after", last.After)},
			}},
		}
		svg, err := f.SVG()
		if err != nil {
			return nil, err
		}
		png, err := f.PNG()
		if err != nil {
			return nil, err
		}
		files[run.ReliabilityFigure(i+1, ".svg")], files[run.ReliabilityFigure(i+1, ".png")] = svg, png
	}
	return files, nil
}

func points(name string, bins []inspect.Bin) *figure.Series {
	s := &figure.Series{Name: name}
	for k, b := range bins {
		p := figure.At(b.Predicted, b.Label)
		p.Low, p.High, p.Label = figure.Number(b.Low), figure.Number(b.High), fmt.Sprintf("bin %d, %d rows", k+1, b.Rows)
		s.Points = append(s.Points, p)
	}
	return s
}

// diagonal is where predictions are as often true as they say.
func diagonal(p job.CalibratedPart) *figure.Series {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, bins := range [][]inspect.Bin{p.Before, p.After} {
		for _, b := range bins {
			lo, hi = min(lo, b.Predicted, b.Label), max(hi, b.Predicted, b.Label)
		}
	}
	return &figure.Series{Name: "calibrated", Line: true, Points: []figure.Point{figure.At(lo, lo), figure.At(hi, hi)}}
}
