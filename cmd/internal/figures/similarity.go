package figures

import (
	"errors"
	"fmt"
	"math"

	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/configs/registry"
)

// similarity is the figure of what merges gain by how similar the parents are.
type similarity struct {
	Config string   `yaml:"config,required"` // of cmd/cki
	Ways   []merged `yaml:"ways,required"`   // ways to make two parents
	Merges []merged `yaml:"merges,required"` // merges, each a panel
}

// Validate reports empty lists.
func (s *similarity) Validate() error {
	var errs []error
	if len(s.Ways) == 0 {
		errs = append(errs, registry.Field("ways", "is empty"))
	}
	if len(s.Merges) == 0 {
		errs = append(errs, registry.Field("merges", "is empty"))
	}
	return errors.Join(errs...)
}

func (s *similarity) name() string { return "similarity" }

func (s *similarity) cells(_ *maker, ask asker) error {
	for _, w := range s.Ways {
		for _, x := range s.Merges {
			if err := ask(true, s.Config, append(append(append([]string{}, spliced...), w.Set...), x.Set...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *similarity) draw(_ *maker, got [][]*cell) (*figure.Figure, error) {
	zero := figure.Number(0)
	f := &figure.Figure{Title: "Gain of a merge by the parents' similarity", About: []string{
		"Each point is one pair. The cosine is that of all weights of the two parents, as trained, layer by layer, averaged by the number of weights. Merges without training after them.",
	}}
	for k, x := range s.Merges {
		metric := got[k][0].stored.Metric
		p := &figure.Panel{Title: x.Name, X: figure.Axis{Label: "cosine of the parents' weights"}, Y: figure.Axis{Label: "test " + metric + " minus best parent"}, Rule: &zero}
		for i, w := range s.Ways {
			series := &figure.Series{Name: w.Name}
			seeds := got[i*len(s.Merges)+k]
			merge, err := values(seeds, compare.RowMerge, metric)
			if err != nil {
				return nil, err
			}
			parent, err := values(seeds, compare.RowBestParent, metric)
			if err != nil {
				return nil, err
			}
			for n, c := range seeds {
				r, err := c.readReport()
				if err != nil {
					return nil, err
				}
				series.Points = append(series.Points, withLabel(figure.At(cosine(r.Tensors), merge[n]-parent[n]), fmt.Sprintf("seed %d", c.seed)))
			}
			p.Series = append(p.Series, series)
		}
		f.Panels = append(f.Panels, p)
	}
	return f, nil
}

// cosine returns the mean cosine of two parents over their tensors, by numbers of values.
func cosine(tensors []report.TensorStats) float64 {
	var sum, of float64
	for _, t := range tensors {
		pairs := t.Before
		if len(pairs) == 0 {
			pairs = t.Parents
		}
		n := 1.
		for _, d := range t.Shape {
			n *= float64(d)
		}
		if len(pairs) == 0 || pairs[0].Cosine != pairs[0].Cosine {
			continue
		}
		sum, of = sum+n*float64(pairs[0].Cosine), of+n
	}
	if of == 0 {
		return math.NaN()
	}
	return sum / of
}
