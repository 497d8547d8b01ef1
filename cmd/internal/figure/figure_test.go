package figure_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cmd/internal/figure"
	"github.com/splice-ml/splice/cmd/internal/origin"
	"github.com/splice-ml/splice/cmd/internal/webpage"
)

var nan = figure.Number(math.NaN())

func made() *figure.Figure {
	half := figure.Number(.5)
	return &figure.Figure{
		Name: "f", Title: "Quality & cost <of> merges", Size: "quick", StandIn: true, Data: "Log", Made: []origin.Origin{{Date: "2026-01-02"}},
		Panels: []*figure.Panel{
			{
				Title: "lines", X: figure.Axis{Label: "merges", Log: true}, Y: figure.Axis{Label: "test AUC"}, Rule: &half,
				Series: []*figure.Series{
					{Name: "one run", Line: true, Points: []figure.Point{figure.Over(1, []float64{.5, .6, .7}), figure.Over(10, []float64{.6, .61, .62})}},
					{Name: "dots", Points: []figure.Point{figure.At(2, .55), {X: 5, Y: nan, Low: nan, High: nan}, {X: 5, Y: .58, Low: .5, High: .66, Label: "users in 4"}}},
				},
			},
			{X: figure.Axis{Label: "gate"}, Rows: []string{"first layer", "second"}, Series: []*figure.Series{{Points: []figure.Point{{X: .4, Y: 0, Low: .3, High: .5}, figure.At(.6, 1)}}}},
			{X: figure.Axis{Label: "input"}, Y: figure.Axis{Label: "unit"}, Heat: &figure.Heat{Label: "weight", Values: [][]figure.Number{{.1, .2, nan}, {.3, .4, .5}}}},
		},
	}
}

// A figure is written as numbers and as pictures, and read again from its numbers, bit for bit.
func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	if err := made().Write(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	svg := read("f.svg")
	f, again, err := figure.Read(filepath.Join(dir, "f.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(svg, again) {
		t.Error("drawn again from the JSON file it is another picture")
	}
	if p := f.Panels[0].Series[0].Points[0]; p.Y != .6 && math.Abs(float64(p.Y)-.6) > 1e-12 || math.Abs(float64(p.High)-.6-.248413771) > 1e-6 { // t(2) = 4.302653, sd .1: .1·4.302653/√3
		t.Errorf("%+v", p)
	}
	if img, err := png.Decode(bytes.NewReader(read("f.png"))); err != nil || img.Bounds().Dx() != 960 {
		t.Errorf("PNG: %v", err)
	}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	text := string(svg)
	for _, want := range []string{"<title>one run: 0.6 at 1 [0.35159, 0.84841]</title>", "<title>dots, users in 4: 0.58 at 5 [0.5, 0.66]</title>", "<title>first layer: 0.4 [0.3, 0.5]</title>", "<title>row 1, column 2: 0.5</title>", "synthetic stand-in; quick size", "Quality &amp; cost &lt;of&gt; merges"} {
		if !strings.Contains(text, want) {
			t.Errorf("the SVG file has no %s", want)
		}
	}
	if _, err := webpage.Inline(svg); err != nil {
		t.Error(err)
	}
	if got := string(read("f.csv")); !strings.HasPrefix(got, "panel,series,label,x,y,low,high\nlines,one run,,1,0.6,0.35158") || strings.Count(got, "\n") != 1+5+2+6 {
		t.Errorf("CSV:\n%s", got)
	}
	if n := len(f.Values()); n != 13 {
		t.Errorf("%d values", n)
	}
}

func TestCannotBeDrawn(t *testing.T) {
	for name, change := range map[string]func(f *figure.Figure){
		"no panel":         func(f *figure.Figure) { f.Panels = nil },
		"without any":      func(f *figure.Figure) { f.Panels[1].Series[0].Points = []figure.Point{{X: nan, Y: nan}} },
		"logarithmic axis": func(f *figure.Figure) { f.Panels[0].Series[1].Points[0].X = 0 },
		"not one length":   func(f *figure.Figure) { f.Panels[2].Heat.Values[0] = nil },
	} {
		f := made()
		change(f)
		dir := t.TempDir()
		err := f.Write(dir)
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if list, _ := os.ReadDir(dir); len(list) > 0 {
			t.Errorf("%s: %d files were written", name, len(list))
		}
	}
}
