package report

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"

	"github.com/splice-ml/splice/train/metric"
	"github.com/splice-ml/splice/train/run"
)

// mostTensors is how many tensors a figure shows, the largest ones.
const mostTensors = 60

// figure is a picture that is still to be drawn.
type figure struct {
	name, title string
	draw        func() (*plot.Plot, vg.Length, error) // with its height
}

// Figures draws the report's figures into a directory as PNG files, atomically. They show the models of the comparison, the base's
// weight and the parents' cosine by tensor, and the line between the parents. A figure that the report has no values for is left out,
// and removed if it is there from an earlier report. Equal reports give equal bytes.
func (r *Report) Figures(dir string) error {
	var errs []error
	keep := map[string]bool{}
	for _, f := range r.figures() {
		keep[f.name] = true
		errs = append(errs, f.save(filepath.Join(dir, f.name)))
	}
	for _, name := range run.Figures(dir) {
		if keep[name] {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, fmt.Errorf("report: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (f figure) save(path string) error {
	p, height, err := f.draw()
	if err != nil {
		return fmt.Errorf("report: %s: %w", f.name, err)
	}
	p.Title.Text = f.title
	var b bytes.Buffer
	if err := encode(p, height, &b); err != nil {
		return fmt.Errorf("report: %s: %w", f.name, err)
	}
	return writeFile(path, b.Bytes())
}

// figures lists what the report has values for.
func (r *Report) figures() []figure {
	var out []figure
	if f, ok := r.rowsFigure(); ok {
		out = append(out, f)
	}
	for i, l := range r.Barriers {
		m := r.lineMetric(l)
		if m == "" {
			continue
		}
		draw := func() (*plot.Plot, vg.Length, error) { return drawLine(l, m) }
		out = append(out, figure{run.BarrierFigure(i + 1), "Models between the base and " + l.Other, draw})
	}
	if f, ok := r.gatesFigure(); ok {
		out = append(out, f)
	}
	if f, ok := r.cosineFigure(); ok {
		out = append(out, f)
	}
	return out
}

// lineMetric returns the metric that a line is shown by. It is the loss, or else the first that all its points have, or "" if there is
// none.
func (r *Report) lineMetric(l Barrier) string {
	for _, m := range append([]string{"logloss"}, r.order()...) {
		all := len(l.Before) > 1
		for _, p := range slices.Concat(l.Before, l.After) {
			v, ok := p.Valid[m]
			all = all && ok && v-v == 0
		}
		if all {
			return m
		}
	}
	return ""
}

func drawLine(l Barrier, m string) (*plot.Plot, vg.Length, error) {
	p := newPlot()
	p.X.Label.Text = "alpha, the share of the other parent"
	p.Y.Label.Text = m + " on validation rows"
	if !metric.HigherIsBetter(m) {
		p.Y.Label.Text += " (less is better)"
	}
	for i, part := range []struct {
		name   string
		points []Point
	}{{"as trained", l.Before}, {"aligned", l.After}} {
		if len(part.points) == 0 {
			continue
		}
		var xy []point
		for _, q := range part.points {
			xy = append(xy, point{q.Alpha, q.Valid[m]})
		}
		name := part.name
		if len(l.After) == 0 {
			name = ""
		}
		if err := addLine(p, xy, palette[i], name); err != nil {
			return nil, 0, err
		}
	}
	p.X.Min, p.X.Max = -.02, 1.02
	roomForLegend(p)
	return p, 4 * vg.Inch, nil
}

func (r *Report) rowsFigure() (figure, bool) {
	order := r.order()
	if len(order) == 0 {
		return figure{}, false
	}
	m := order[0]
	var names []string
	var values []float64
	parent := -1
	for _, row := range r.Rows {
		v, ok := row.Valid[m]
		if !ok || v-v != 0 {
			continue
		}
		if row.Name == r.BestParent {
			parent = len(values)
		}
		names, values = append(names, row.Name), append(values, v)
	}
	return figure{run.RowsFigure, "Comparison on validation rows", func() (*plot.Plot, vg.Length, error) {
		p := newPlot()
		p.X.Label.Text = m
		if !metric.HigherIsBetter(m) {
			p.X.Label.Text += " (less is better)"
		}
		lo, hi := scale(values)
		labels := slices.Clone(names)
		var inside, outside []point
		for i, v := range values {
			if v < lo || v > hi {
				labels[i] += " (off the scale: " + number(v, 4) + ")"
				outside = append(outside, point{min(max(v, lo), hi), float64(i)})
				continue
			}
			inside = append(inside, point{v, float64(i)})
		}
		if parent >= 0 && values[parent] >= lo && values[parent] <= hi {
			if err := addRule(p, values[parent], len(values), r.BestParent); err != nil {
				return nil, 0, err
			}
		}
		if err := errors.Join(addDots(p, inside, palette[0], ""), addDots(p, outside, grey, "")); err != nil {
			return nil, 0, err
		}
		pad := .04 * (hi - lo)
		p.X.Min, p.X.Max = lo-pad, hi+pad
		return p, nameRows(p, labels), nil
	}}, len(values) > 0
}

// scale returns the range of an axis for values: that of all, but no more than twice the distance of the quartiles beyond
// them, so that a few models that are far off do not squeeze the others into a point.
func scale(values []float64) (lo, hi float64) {
	s := slices.Sorted(slices.Values(values))
	q1, q3 := s[len(s)/4], s[len(s)-1-len(s)/4]
	lo, hi = s[0], s[len(s)-1]
	if d := 2 * (q3 - q1); d > 0 {
		lo, hi = max(lo, q1-d), min(hi, q3+d)
	}
	return lo, hi
}

// shown returns the tensors of a figure: those with values, the largest if they are many, in the report's order.
func (r *Report) shown(has func(*TensorStats) bool) (list []*TensorStats, title string) {
	for i := range r.Tensors {
		if has(&r.Tensors[i]) {
			list = append(list, &r.Tensors[i])
		}
	}
	if len(list) <= mostTensors {
		return list, ""
	}
	size := func(t *TensorStats) int {
		n := 1
		for _, d := range t.Shape {
			n *= d
		}
		return n
	}
	bySize := slices.Clone(list)
	slices.SortStableFunc(bySize, func(a, b *TensorStats) int { return size(b) - size(a) })
	big := map[*TensorStats]bool{}
	for _, t := range bySize[:mostTensors] {
		big[t] = true
	}
	title = fmt.Sprintf(" (the %d largest of %d tensors)", mostTensors, len(list))
	return slices.DeleteFunc(list, func(t *TensorStats) bool { return !big[t] }), title
}

func (r *Report) gatesFigure() (figure, bool) {
	list, more := r.shown(func(t *TensorStats) bool { return t.Weight != nil })
	return figure{run.GatesFigure, "Weight of the base, mean and spread" + more, func() (*plot.Plot, vg.Length, error) {
		p := newPlot()
		p.X.Label.Text = "weight of the base; dark bar: standard deviation, light bar: range"
		var names []string
		var dots []point
		var sds, ranges []span
		lo, hi := 0.0, 1.0
		for i, t := range list {
			w, y := t.Weight, float64(i)
			names, dots = append(names, t.Name), append(dots, point{w.Mean, y})
			sds, ranges = append(sds, span{y, w.Mean - w.SD, w.Mean + w.SD}), append(ranges, span{y, w.Min, w.Max})
			lo, hi = min(lo, w.Mean-w.SD), max(hi, w.Mean+w.SD)
		}
		lo, hi = lo-.05*(hi-lo), hi+.05*(hi-lo)
		for i, s := range ranges { // a single stray value must not squeeze the rest
			ranges[i].lo, ranges[i].hi = max(lo, s.lo), min(hi, s.hi)
		}
		err := errors.Join(addRule(p, .5, len(list), "average"), addBars(p, ranges, light, vg.Points(5)),
			addBars(p, sds, palette[0], vg.Points(2.5)), addDots(p, dots, palette[0], ""))
		if err != nil {
			return nil, 0, err
		}
		p.X.Min, p.X.Max = lo, hi
		return p, nameRows(p, names), nil
	}}, len(list) > 0
}

func (r *Report) cosineFigure() (figure, bool) {
	list, more := r.shown(func(t *TensorStats) bool { return len(t.Parents) > 0 })
	return figure{run.CosineFigure, "Cosine of the parents" + more, func() (*plot.Plot, vg.Length, error) {
		p := newPlot()
		p.X.Label.Text = "cosine of base and other parents, mean"
		var names []string
		var before, after []point
		lo, hi := 0.0, 1.0
		for i, t := range list {
			names = append(names, t.Name)
			for _, side := range []struct {
				pairs []Pair
				to    *[]point
			}{{t.Before, &before}, {t.Parents, &after}} {
				if c := meanCosine(side.pairs); !math.IsNaN(c) {
					*side.to = append(*side.to, point{c, float64(i)})
					lo, hi = min(lo, c), max(hi, c)
				}
			}
		}
		a, b := "", ""
		if len(before) > 0 {
			a, b = "as trained", "aligned"
		}
		err := errors.Join(addRule(p, 0, len(list), ""), addDots(p, before, palette[0], a), addDots(p, after, palette[1], b))
		if err != nil {
			return nil, 0, err
		}
		p.X.Min, p.X.Max = lo-.03, hi+.03
		return p, nameRows(p, names), nil
	}}, len(list) > 0
}

// meanCosine is NaN for no pairs.
func meanCosine(pairs []Pair) float64 {
	var sum float64
	for _, q := range pairs {
		sum += float64(q.Cosine)
	}
	return sum / float64(len(pairs))
}

var (
	palette = []color.Color{color.RGBA{0, 90, 160, 255}, color.RGBA{205, 85, 0, 255}}
	light   = color.RGBA{190, 212, 232, 255}
	grey    = color.RGBA{140, 140, 140, 255}
	faint   = color.RGBA{225, 225, 225, 255}
)
