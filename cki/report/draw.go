package report

import (
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

const (
	figureWidth  = 8 * vg.Inch
	figureMargin = 10 * vg.Inch / 72
	dotsPerInch  = 144
)

// point is x and y; span is a bar from lo to hi at y.
type (
	point [2]float64
	span  struct{ y, lo, hi float64 }
)

// newPlot returns an empty plot with a grid and readable sans-serif text.
func newPlot() *plot.Plot {
	p := plot.New()
	style := func(s *text.Style, size float64) {
		s.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
	}
	style(&p.Title.TextStyle, 14)
	p.Title.Padding = vg.Points(8)
	style(&p.Legend.TextStyle, 11)
	p.Legend.Top, p.Legend.Padding = true, vg.Points(3)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		style(&a.Label.TextStyle, 12)
		style(&a.Tick.Label, 11)
		a.Label.Padding, a.Padding = vg.Points(4), vg.Points(4)
	}
	g := plotter.NewGrid()
	g.Vertical.Color, g.Horizontal.Color = faint, faint
	p.Add(g)
	return p
}

// encode draws the plot with a margin and writes it as PNG.
func encode(p *plot.Plot, height vg.Length, w io.Writer) error {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(figureWidth, height), vgimg.UseDPI(dotsPerInch))}
	p.Draw(draw.Crop(draw.New(c), figureMargin, -figureMargin, figureMargin, -figureMargin))
	_, err := c.WriteTo(w)
	return err
}

func xys(points []point) plotter.XYs {
	out := make(plotter.XYs, len(points))
	for i, q := range points {
		out[i] = plotter.XY{X: q[0], Y: q[1]}
	}
	return out
}

// addLine draws a line with a dot at each point. Without a name it has no entry in the legend.
func addLine(p *plot.Plot, points []point, c color.Color, name string) error {
	l, s, err := plotter.NewLinePoints(xys(points))
	if err != nil {
		return err
	}
	l.Color, l.Width = c, vg.Points(2)
	s.Color, s.Radius, s.Shape = c, vg.Points(3.5), draw.CircleGlyph{}
	p.Add(l, s)
	if name != "" {
		p.Legend.Add(name, l, s)
	}
	return nil
}

// addDots draws points.
func addDots(p *plot.Plot, points []point, c color.Color, name string) error {
	if len(points) == 0 {
		return nil
	}
	s, err := plotter.NewScatter(xys(points))
	if err != nil {
		return err
	}
	s.Color, s.Radius, s.Shape = c, vg.Points(4), draw.CircleGlyph{}
	p.Add(s)
	if name != "" {
		p.Legend.Add(name, s)
	}
	return nil
}

// addBars draws horizontal bars.
func addBars(p *plot.Plot, spans []span, c color.Color, width vg.Length) error {
	for _, s := range spans {
		l, err := plotter.NewLine(plotter.XYs{{X: s.lo, Y: s.y}, {X: s.hi, Y: s.y}})
		if err != nil {
			return err
		}
		l.Color, l.Width = c, width
		p.Add(l)
	}
	return nil
}

// addRule draws a dashed vertical line over n rows.
func addRule(p *plot.Plot, x float64, n int, name string) error {
	l, err := plotter.NewLine(plotter.XYs{{X: x, Y: -.7}, {X: x, Y: float64(n) - .3}})
	if err != nil {
		return err
	}
	l.Color, l.Width, l.Dashes = grey, vg.Points(1), []vg.Length{vg.Points(4), vg.Points(3)}
	p.Add(l)
	if name != "" {
		p.Legend.Add(name, l)
	}
	return nil
}

// nameRows labels the rows 0, 1, ... from the top down and returns the figure's height.
func nameRows(p *plot.Plot, names []string) vg.Length {
	ticks := make(plot.ConstantTicks, len(names))
	for i, n := range names {
		ticks[i] = plot.Tick{Value: float64(i), Label: n}
	}
	p.Y.Tick.Marker = ticks
	p.Y.Tick.Width, p.Y.Tick.Length, p.Y.Width = 0, 0, 0
	p.Y.Min, p.Y.Max = -.7, float64(len(names))-.3
	p.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
	p.Title.Padding, p.Legend.YOffs = vg.Points(28), vg.Points(22) // the legend is in one line between title and rows
	return vg.Length(len(names))*.26*vg.Inch + 1.6*vg.Inch
}

// roomForLegend makes place above the data.
func roomForLegend(p *plot.Plot) { p.Y.Max += .12 * (p.Y.Max - p.Y.Min) }
