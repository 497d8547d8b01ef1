package figure

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/palette/moreland"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

const (
	width       = 6 * vg.Inch
	margin      = 8 * vg.Inch / 72
	dotsPerInch = 160
	legendLine  = 15 * vg.Inch / 72
	titleHeight = 22 * vg.Inch / 72
)

// colors can be told apart by people who do not see all colors, and on gray paper together with the shapes (Okabe and Ito 2008).
var (
	colors = []color.NRGBA{
		{0, 114, 178, 255}, {213, 94, 0, 255}, {0, 158, 115, 255}, {204, 121, 167, 255}, {230, 159, 0, 255}, {86, 180, 233, 255}, {0, 0, 0, 255},
	}
	shapes = []draw.GlyphDrawer{
		draw.CircleGlyph{}, draw.PyramidGlyph{}, draw.BoxGlyph{}, draw.RingGlyph{}, draw.TriangleGlyph{}, draw.SquareGlyph{}, draw.PlusGlyph{},
	}
	dashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}, {4, 4}, {1, 3}, {10, 4}}
	faint  = color.NRGBA{225, 225, 225, 255}
	grey   = color.NRGBA{110, 110, 110, 255}
)

func style(s *text.Style, size float64, bold bool) {
	s.Font = font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(size)}
	if bold {
		s.Font.Weight = 3 // WeightBold of golang.org/x/image/font
	}
}

// spot is where a value is drawn, in points from the left and from the top, with what it is.
type spot struct {
	x, y, w, h float64 // of a circle w is 0
	title      string
}

// SVG draws the figure. What a point is shows where the pointer rests on it.
func (f *Figure) SVG() ([]byte, error) {
	c := vgsvg.New(width, f.height())
	spots, err := f.draw(draw.New(c))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("figure: %s: %w", f.Name, err)
	}
	svg := b.String()
	if at := strings.Index(svg, "<!--"); at >= 0 { // the name of the program
		end := strings.Index(svg[at:], "-->")
		svg = svg[:at] + svg[at+end+len("-->\n"):]
	}
	svg = strings.ReplaceAll(svg, "font-family:Liberation Sans", "font-family:Liberation Sans,Arial,Helvetica,sans-serif")
	end := strings.LastIndex(svg, "</svg>")
	var more strings.Builder
	more.WriteString(`<g fill="#000" fill-opacity="0">` + "\n")
	for _, s := range spots {
		if s.w > 0 {
			fmt.Fprintf(&more, `<rect x="%.2f" y="%.2f" width="%.2f" height="%.2f">`, s.x, s.y, s.w, s.h)
		} else {
			fmt.Fprintf(&more, `<circle cx="%.2f" cy="%.2f" r="7">`, s.x, s.y)
		}
		fmt.Fprintf(&more, "<title>%s</title></%s>\n", html.EscapeString(s.title), map[bool]string{true: "rect", false: "circle"}[s.w > 0])
	}
	more.WriteString("</g>\n")
	return []byte(svg[:end] + more.String() + svg[end:]), nil
}

// PNG draws the figure.
func (f *Figure) PNG() ([]byte, error) {
	c := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, f.height()), vgimg.UseDPI(dotsPerInch))}
	if _, err := f.draw(draw.New(c)); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("figure: %s: %w", f.Name, err)
	}
	return b.Bytes(), nil
}

func (f *Figure) height() vg.Length {
	h := titleHeight + 2*margin
	if f.label() != "" {
		h += legendLine
	}
	for i, p := range f.Panels {
		h += p.height(f.legend(i))
	}
	return h
}

// legend returns the number of lines of a panel's legend: none if it is that of the panel above.
func (f *Figure) legend(i int) int {
	names := f.Panels[i].names()
	if i > 0 && slices.Equal(names, f.Panels[i-1].names()) {
		return 0
	}
	return len(names)
}

// label is the line below the title that says what a figure must not be taken for.
func (f *Figure) label() string {
	var parts []string
	if f.StandIn {
		parts = append(parts, "synthetic stand-in")
	}
	if f.Size != "full" {
		parts = append(parts, "quick size: says nothing about the methods")
	}
	return strings.Join(parts, "; ")
}

func (p *Panel) height(legend int) vg.Length {
	h := vg.Length(legend)*legendLine + 18
	if p.Title != "" {
		h += 20
	}
	switch {
	case p.Heat != nil:
		return h + 4.6*vg.Inch
	case len(p.Rows) > 0:
		return h + vg.Length(len(p.Rows))*.24*vg.Inch + .75*vg.Inch
	}
	return h + 3.1*vg.Inch
}

// names returns the lines of the legend.
func (p *Panel) names() (out []string) {
	for _, s := range p.Series {
		if s.Name != "" {
			out = append(out, s.Name)
		}
	}
	return out
}

// draw draws the panels below one another, each with its legend above it, where it covers nothing.
func (f *Figure) draw(c draw.Canvas) (spots []spot, err error) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	height := c.Max.Y
	c = draw.Crop(c, margin, -margin, margin, -margin)
	var s text.Style
	style(&s, 13, true)
	s.Handler, s.XAlign, s.YAlign, s.Color = plot.DefaultTextHandler, draw.XLeft, draw.YTop, color.Black
	c.FillText(s, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.Title)
	top := c.Max.Y - titleHeight
	if label := f.label(); label != "" {
		style(&s, 10, false)
		s.Color = grey
		c.FillText(s, vg.Point{X: c.Min.X, Y: top + 4}, label)
		top -= legendLine
	}
	for i, p := range f.Panels {
		part := c
		part.Max.Y, part.Min.Y = top, top-p.height(f.legend(i))
		top = part.Min.Y
		part.Min.Y += 8
		more, err := p.draw(part, f.legend(i))
		if err != nil {
			return nil, fmt.Errorf("figure: %s: %w", f.Name, err)
		}
		for i := range more {
			more[i].y = float64(height) - more[i].y
		}
		spots = append(spots, more...)
	}
	return spots, nil
}

// draw draws one panel. The spots are in points from the bottom.
func (p *Panel) draw(c draw.Canvas, lines int) ([]spot, error) {
	g := plot.New()
	g.BackgroundColor = nil
	style(&g.Title.TextStyle, 11.5, true)
	for _, a := range []*plot.Axis{&g.X, &g.Y} {
		style(&a.Label.TextStyle, 11, false)
		style(&a.Tick.Label, 10, false)
		a.Label.Padding, a.Padding = vg.Points(3), vg.Points(4)
	}
	g.X.Label.Text, g.Y.Label.Text = p.X.Label, p.Y.Label
	for axis, a := range map[*plot.Axis]Axis{&g.X: p.X, &g.Y: p.Y} {
		if a.Log {
			axis.Scale, axis.Tick.Marker = plot.LogScale{}, steps{}
		}
	}
	if p.Title != "" {
		var s text.Style
		style(&s, 11.5, true)
		s.Handler, s.XAlign, s.YAlign, s.Color = plot.DefaultTextHandler, draw.XLeft, draw.YTop, color.Black
		c.FillText(s, vg.Point{X: c.Min.X, Y: c.Max.Y - 2}, p.Title)
		c.Max.Y -= 20
	}
	if p.Heat != nil {
		return p.drawHeat(g, c)
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = faint, faint
	g.Add(grid)
	legend := plot.NewLegend()
	legend.Top, legend.Left, legend.ThumbnailWidth = true, true, vg.Points(28)
	style(&legend.TextStyle, 10.5, false)
	legend.Padding = vg.Points(2)
	for i, s := range p.Series { // below all lines
		if err := p.addIntervals(g, s, i); err != nil {
			return nil, err
		}
	}
	for i, s := range p.Series {
		if err := p.addSeries(g, &legend, s, i); err != nil {
			return nil, err
		}
	}
	if len(p.Rows) > 0 {
		p.nameRows(g)
	}
	if p.Rule != nil {
		p.addRule(g)
	}
	if !p.X.Log {
		pad(&g.X, .03)
	}
	if !p.Y.Log && len(p.Rows) == 0 {
		pad(&g.Y, .06)
	}
	strip := c
	c.Max.Y -= vg.Length(lines)*legendLine + 2
	c.Max.X -= 6 // the last label of the axis
	strip.Min.Y = c.Max.Y
	if lines > 0 {
		legend.Draw(strip)
	}
	g.Draw(c)
	return p.spots(g, c), nil
}

// pad makes place round the values.
func pad(a *plot.Axis, share float64) {
	d := a.Max - a.Min
	if d == 0 {
		d = math.Max(math.Abs(a.Max), 1e-3)
	}
	a.Min, a.Max = a.Min-share*d, a.Max+share*d
}

// drawn returns a series' points that have values, as they are drawn: where rows are named, those of several series stand beside each
// other in a row.
func (p *Panel) drawn(i int) (out []Point) {
	for _, q := range p.Series[i].Points {
		if v := q.X + q.Y; v-v != 0 {
			continue
		}
		if n := len(p.Series); len(p.Rows) > 0 && n > 1 {
			q.Y += Number((float64(i) - float64(n-1)/2) * .5 / float64(n))
		}
		out = append(out, q)
	}
	return out
}

// addSeries adds a line with dots, or dots.
func (p *Panel) addSeries(g *plot.Plot, legend *plot.Legend, s *Series, i int) error {
	c := colors[i%len(colors)]
	var xys plotter.XYs
	for _, q := range p.drawn(i) {
		xys = append(xys, plotter.XY{X: float64(q.X), Y: float64(q.Y)})
	}
	if len(xys) == 0 {
		return nil
	}
	var thumbs []plot.Thumbnailer
	if s.Line {
		l, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		l.Color, l.Width, l.Dashes = c, vg.Points(1.8), dashes[i%len(dashes)]
		g.Add(l)
		thumbs = append(thumbs, l)
	}
	dots, err := plotter.NewScatter(xys)
	if err != nil {
		return err
	}
	dots.Color, dots.Radius, dots.Shape = c, vg.Points(3.2), shapes[i%len(shapes)]
	if len(xys) > 12 && s.Line {
		dots.Radius = vg.Points(2.2)
	}
	g.Add(dots)
	if s.Name != "" {
		legend.Add(s.Name, append(thumbs, dots)...)
	}
	return nil
}

// addIntervals adds the intervals: a band round a line, bars elsewhere.
func (p *Panel) addIntervals(g *plot.Plot, s *Series, i int) error {
	c := colors[i%len(colors)]
	var bars barsOf
	points := p.drawn(i)
	for _, q := range points {
		if q.Low-q.Low == 0 && q.High-q.High == 0 {
			bars.at = append(bars.at, q)
		}
	}
	if len(bars.at) == 0 {
		return nil
	}
	if s.Line && len(bars.at) == len(points) && len(bars.at) > 1 {
		var band plotter.XYs
		for _, q := range bars.at {
			band = append(band, plotter.XY{X: float64(q.X), Y: float64(q.High)})
		}
		for _, q := range slices.Backward(bars.at) {
			band = append(band, plotter.XY{X: float64(q.X), Y: float64(q.Low)})
		}
		poly, err := plotter.NewPolygon(band)
		if err != nil {
			return err
		}
		light := c
		light.A = 45
		poly.Color, poly.LineStyle.Width = light, 0
		g.Add(poly)
		return nil
	}
	if len(p.Rows) > 0 {
		e, err := plotter.NewXErrorBars(bars)
		if err != nil {
			return err
		}
		e.LineStyle.Color, e.LineStyle.Width = c, vg.Points(1.2)
		g.Add(e)
		return nil
	}
	e, err := plotter.NewYErrorBars(bars)
	if err != nil {
		return err
	}
	e.LineStyle.Color, e.LineStyle.Width = c, vg.Points(1.2)
	g.Add(e)
	return nil
}

// barsOf are points with intervals.
type barsOf struct{ at []Point }

// Len returns how many there are.
func (b barsOf) Len() int { return len(b.at) }

// XY returns a point.
func (b barsOf) XY(i int) (x, y float64) { return float64(b.at[i].X), float64(b.at[i].Y) }

// YError returns how far the interval goes down and up.
func (b barsOf) YError(i int) (low, high float64) {
	return float64(b.at[i].Y - b.at[i].Low), float64(b.at[i].High - b.at[i].Y)
}

// XError returns how far the interval goes to the left and to the right.
func (b barsOf) XError(i int) (low, high float64) {
	return float64(b.at[i].X - b.at[i].Low), float64(b.at[i].High - b.at[i].X)
}

// nameRows puts the names of the rows at the y axis, from the top.
func (p *Panel) nameRows(g *plot.Plot) {
	ticks := make(plot.ConstantTicks, len(p.Rows))
	for i, n := range p.Rows {
		ticks[i] = plot.Tick{Value: float64(i), Label: n}
	}
	g.Y.Tick.Marker, g.Y.Tick.Width, g.Y.Tick.Length, g.Y.Width = ticks, 0, 0, 0
	g.Y.Min, g.Y.Max = -.6, float64(len(p.Rows))-.4
	g.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
}

// addRule adds the dashed line: a vertical one where rows are named.
func (p *Panel) addRule(g *plot.Plot) {
	v := float64(*p.Rule)
	line := plotter.XYs{{X: g.X.Min, Y: v}, {X: g.X.Max, Y: v}}
	if len(p.Rows) > 0 {
		line = plotter.XYs{{X: v, Y: g.Y.Min}, {X: v, Y: g.Y.Max}}
	}
	l, err := plotter.NewLine(line)
	if err != nil {
		return // the value is not finite
	}
	l.Color, l.Width, l.Dashes = grey, vg.Points(1), []vg.Length{4, 3}
	g.Add(l)
}

// spots returns where the points are.
func (p *Panel) spots(g *plot.Plot, c draw.Canvas) (out []spot) {
	d := g.DataCanvas(c)
	toX, toY := g.Transforms(&d)
	for i, s := range p.Series {
		for _, q := range p.drawn(i) {
			name, value := s.Name, Text(q.Y)+" at "+Text(q.X)
			if row := int(math.Round(float64(q.Y))); len(p.Rows) > 0 && row >= 0 && row < len(p.Rows) {
				name, value = strings.TrimPrefix(s.Name+", "+p.Rows[row], ", "), Text(q.X)
			}
			if q.Label != "" {
				name = strings.TrimPrefix(name+", "+q.Label, ", ")
			}
			if q.Low-q.Low == 0 && q.High-q.High == 0 {
				value += " [" + Text(q.Low) + ", " + Text(q.High) + "]"
			}
			out = append(out, spot{x: float64(toX(float64(q.X))), y: float64(toY(float64(q.Y))), title: name + ": " + value})
		}
	}
	return out
}

// matrix is a heat map's values with the first row on top.
type matrix [][]Number

// Dims returns the numbers of columns and rows.
func (m matrix) Dims() (c, r int) { return len(m[0]), len(m) }

// Z returns a value.
func (m matrix) Z(c, r int) float64 { return float64(m[r][c]) }

// X returns a column's place.
func (m matrix) X(c int) float64 { return float64(c) }

// Y returns a row's place.
func (m matrix) Y(r int) float64 { return float64(r) }

// drawHeat draws a heat map and the bar of its colors.
func (p *Panel) drawHeat(g *plot.Plot, c draw.Canvas) ([]spot, error) {
	lo, hi := math.Inf(1), math.Inf(-1)
	for _, line := range p.Heat.Values {
		for _, v := range line {
			if v-v == 0 {
				lo, hi = math.Min(lo, float64(v)), math.Max(hi, float64(v))
			}
		}
	}
	if p.Rule != nil { // what the two colors part at
		d := math.Max(math.Abs(hi-float64(*p.Rule)), math.Abs(float64(*p.Rule)-lo))
		lo, hi = float64(*p.Rule)-d, float64(*p.Rule)+d
	}
	if hi <= lo {
		lo, hi = lo-.5, hi+.5
	}
	m := moreland.SmoothBlueRed()
	m.SetMin(lo)
	m.SetMax(hi)
	const shades = 64
	h := plotter.NewHeatMap(matrix(p.Heat.Values), m.Palette(shades))
	h.Min, h.Max, h.NaN = lo, hi, color.NRGBA{120, 120, 120, 255}
	g.Add(h)
	g.Y.Scale = plot.InvertedScale{Normalizer: plot.LinearScale{}}
	g.X.Padding, g.Y.Padding = 0, 0
	g.X.Tick.Marker, g.Y.Tick.Marker = whole{}, whole{}
	main := c
	main.Min.Y += .85 * vg.Inch
	main.Max.X -= 6
	g.Draw(main)
	bar := plot.New()
	bar.BackgroundColor = nil
	style(&bar.X.Label.TextStyle, 11, false)
	style(&bar.X.Tick.Label, 10, false)
	bar.X.Label.Text = p.Heat.Label
	bar.HideY()
	bar.Add(plotter.NewHeatMap(scale{lo, hi}, m.Palette(shades))) // gonum's ColorBar puts a picture into SVG files
	bar.X.Min, bar.X.Max = lo, hi
	low := c
	low.Max.Y = c.Min.Y + .75*vg.Inch
	low.Min.X += .5 * vg.Inch
	low.Max.X -= .5 * vg.Inch
	bar.Draw(low)
	d := g.DataCanvas(main)
	toX, toY := g.Transforms(&d)
	var out []spot
	for r, line := range p.Heat.Values {
		for k, v := range line {
			x, y := toX(float64(k)-.5), toY(float64(r)-.5) // the cell's left and top
			out = append(out, spot{
				x: float64(x), y: float64(y), w: float64(toX(float64(k)+.5) - x), h: float64(y - toY(float64(r)+.5)),
				title: fmt.Sprintf("row %d, column %d: %s", r, k, Text(v)),
			})
		}
	}
	return out, nil
}

// scale is the bar of a heat map's colors.
type scale struct{ lo, hi float64 }

const barSteps = 64

// Dims returns the numbers of columns and rows.
func (s scale) Dims() (c, r int) { return barSteps, 1 }

// Z returns the value at a column.
func (s scale) Z(c, _ int) float64 { return s.X(c) }

// X returns the middle of a column.
func (s scale) X(c int) float64 { return s.lo + (s.hi-s.lo)*(float64(c)+.5)/barSteps }

// Y returns the place of the row.
func (s scale) Y(int) float64 { return 0 }

// whole are labels of whole numbers.
type whole struct{}

// Ticks returns the labels between two values.
func (whole) Ticks(lo, hi float64) (out []plot.Tick) {
	step := math.Max(1, math.Ceil((hi-lo)/8))
	for v := math.Ceil(lo) + 0; v <= hi; v++ { // + 0: no -0
		if math.Mod(v, step) == 0 {
			out = append(out, plot.Tick{Value: v, Label: fmt.Sprintf("%.0f", v)})
		}
	}
	return out
}

// steps are the labels of a logarithmic axis: 1, 2 and 5 times powers of 10.
type steps struct{}

// Ticks returns the labels between two values.
func (steps) Ticks(lo, hi float64) (out []plot.Tick) {
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		for _, k := range []float64{1, 2, 5} {
			if v := k * math.Pow(10, e); v >= lo*.999 && v <= hi*1.001 {
				out = append(out, plot.Tick{Value: v, Label: fmt.Sprintf("%.4g", v)})
			}
		}
	}
	if len(out) == 0 {
		out = append(out, plot.Tick{Value: lo, Label: fmt.Sprintf("%.3g", lo)}, plot.Tick{Value: hi, Label: fmt.Sprintf("%.3g", hi)})
	}
	return out
}
