package report_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data/rng"
)

// sample is a report of everything.
func sample(t *testing.T) *report.Report {
	t.Helper()
	r := &report.Report{
		Title: "Frappe, two branches", Method: "average", Settings: "method:\n  type: average\n", Model: "mlp",
		Data: "frappe", Seed: 3, Metrics: []string{"auc", "logloss"},
		Parents: []report.Parent{{Name: "runs/a", Digest: "00ff", Valid: report.Metrics{"auc": .97, "logloss": .2}}, {Name: "runs/b", Valid: report.Metrics{"auc": math.NaN()}}},
		Guard:   report.Guard{On: true, Passed: "merge", Result: .9725, Parent: .971},
		Groups:  []report.Group{{Other: "runs/b", Name: "mlp.0", Size: 128, Moved: 127, Before: .02, After: .31}},
		Notes:   []string{"The weights are those that were given."},
	}
	for i, name := range []string{"base", "other", "best parent", "ensemble", "average", "merge", "merge + training"} {
		v := .97 + .0007*float64(i)
		r.Rows = append(r.Rows, report.Row{Name: name, Note: "note | " + name, Valid: report.Metrics{"auc": v, "logloss": .2 - v/10}, Test: report.Metrics{"auc": v - .001, "logloss": .21}, Seconds: float64(i)})
	}
	b := report.Barrier{Other: "runs/b"}
	for i := range 11 {
		a := float64(i) / 10
		b.Before = append(b.Before, report.Point{Alpha: a, Valid: report.Metrics{"auc": .97 - a*(1-a), "logloss": .2 + .1*a + a*(1-a)}})
		b.After = append(b.After, report.Point{Alpha: a, Valid: report.Metrics{"auc": .97, "logloss": .2 + .1*a + .1*a*(1-a)}})
	}
	r.Barriers = []report.Barrier{b}
	for i, name := range []string{
		"embedding.user.weight", "embedding.item.weight", "mlp.0.weight", "mlp.0.bias", "mlp.1.weight", "mlp.1.bias", "fc.weight",
	} {
		g := rng.New(rng.Key(1, name))
		x, y, m := make([]float32, 96), make([]float32, 96), make([]float32, 96)
		for j := range x {
			x[j], y[j] = float32(g.NormFloat64()), float32(g.NormFloat64())
			y[j] += float32(i) * .2 * x[j]
			w := float32(.5 + .1*g.NormFloat64() + .03*float64(i))
			m[j] = w*x[j] + (1-w)*y[j]
		}
		s := tensor(t, []int{12, 8}, [][]float32{x, y}, m)
		s.Name = name
		slices.Reverse(y)
		if err := s.Unaligned([][]float32{x, y}); err != nil {
			t.Fatal(err)
		}
		r.Tensors = append(r.Tensors, s)
	}
	return r
}

func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range list {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestWrite(t *testing.T) {
	dir, again := filepath.Join(t.TempDir(), "a"), t.TempDir()
	r := sample(t)
	for _, d := range []string{dir, again} {
		if err := r.Write(d); err != nil {
			t.Fatal(err)
		}
	}
	got, other := files(t, dir), files(t, again)
	want := []string{"barrier.png", "cosine.png", "report.json", "report.md", "rows.png", "weights.png"}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	for name, b := range got {
		if !bytes.Equal(b, other[name]) {
			t.Errorf("%s: two writes differ", name)
		}
		if strings.HasSuffix(name, ".png") {
			checkPicture(t, name, b)
			if !bytes.Contains(got["report.md"], []byte("("+name+")")) {
				t.Errorf("report.md does not show %s", name)
			}
		}
	}
	// A figure without values goes away with the next report.
	r.Barriers, r.Tensors = nil, nil
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	want = []string{"report.json", "report.md", "rows.png"}
	if names := slices.Sorted(maps.Keys(files(t, dir))); !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
	if err := (&report.Report{}).Write(filepath.Join(dir, "report.md", "x")); err == nil {
		t.Error("written below a file")
	}
	if err := (&report.Report{}).Write(t.TempDir()); err != nil {
		t.Errorf("an empty report: %v", err)
	}
}

// checkPicture wants a picture of a readable size with something of both colours on it.
func checkPicture(t *testing.T, name string, b []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if s := img.Bounds().Size(); s.X < 1000 || s.Y < 200 || s.X > 4000 || s.Y > 4000 {
		t.Errorf("%s is %v", name, s)
	}
	n := count(img, func(c color.NRGBA) bool { return c.B > 100 && c.R < 60 })
	dark := count(img, func(c color.NRGBA) bool { return c.R < 80 && c.G < 80 && c.B < 80 })
	size := img.Bounds().Dx() * img.Bounds().Dy()
	if n < 100 || dark < 500 || n+dark > size/2 {
		t.Errorf("%s: %d blue and %d dark pixels of %d", name, n, dark, size)
	}
}

func count(img image.Image, is func(color.NRGBA) bool) (n int) {
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if is(color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)) {
				n++
			}
		}
	}
	return n
}

// TestRowsFarOff: a model that is far off does not squeeze the others into a point.
func TestRowsFarOff(t *testing.T) {
	r := sample(t)
	columns := func() int {
		dir := t.TempDir()
		if err := r.Figures(dir); err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(files(t, dir)["rows.png"]))
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for x := range img.Bounds().Max.X {
			column := img.(interface {
				SubImage(image.Rectangle) image.Image
			}).SubImage(image.Rect(x, 0, x+1, img.Bounds().Max.Y))
			if count(column, func(c color.NRGBA) bool { return c.B > 100 && c.R < 60 }) > 0 {
				n++
			}
		}
		return n
	}
	all := columns()
	r.Rows[4].Valid["auc"] = .5
	if with := columns(); all < 100 || with < 2*all/3 {
		t.Errorf("the rows' points take %d columns, and %d beside one that is far off", all, with)
	}
}

func TestManyTensors(t *testing.T) {
	r := sample(t)
	one := r.Tensors[0]
	r.Tensors = nil
	for i := range 200 {
		s := one
		s.Name = fmt.Sprintf("embedding.feature_%d.weight", i)
		r.Tensors = append(r.Tensors, s)
	}
	dir := t.TempDir()
	if err := r.Figures(dir); err != nil {
		t.Fatal(err)
	}
	checkPicture(t, "weights.png", files(t, dir)["weights.png"])
}

func TestJSONRoundTrip(t *testing.T) {
	dir := t.TempDir()
	r := sample(t)
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	var q report.Report
	b := files(t, dir)["report.json"]
	if err := json.Unmarshal(b, &q); err != nil {
		t.Fatal(err)
	}
	if v := q.Parents[1].Valid["auc"]; v == v {
		t.Errorf("NaN was read back as %v", v)
	}
	if err := q.WriteJSON(filepath.Join(dir, "again.json")); err != nil {
		t.Fatal(err)
	}
	if again := files(t, dir)["again.json"]; !bytes.Equal(b, again) {
		t.Errorf("read and written again, the report differs:\n%s\n%s", b, again)
	}
}

func TestMarkdownSaysIt(t *testing.T) {
	text := func(change func(r *report.Report)) string {
		r := sample(t)
		change(r)
		dir := t.TempDir()
		if err := r.WriteMarkdown(filepath.Join(dir, "x.md")); err != nil {
			t.Fatal(err)
		}
		return string(files(t, dir)["x.md"])
	}
	for _, tc := range []struct {
		name       string
		change     func(r *report.Report)
		want, none string
	}{
		{
			"passed", func(*report.Report) {}, "**Passed on: the row *merge*.** It has auc 0.97250 on the validation rows, the best parent has 0.97100",
			"worse",
		},
		{
			"row", func(*report.Report) {}, `| merge + training | 0.97420 | 0.10258 | 0.97320 | 0.21000 | 6.0 | note \| merge + training |`,
			"synthetic",
		},
		{"barrier", func(*report.Report) {}, "between the ends: 0.25000; after alignment 0.02500.", ""},
		{"group", func(*report.Report) {}, "| runs/b: mlp.0 | 128 | 127 | 0.020 | 0.310 |", ""},
		{"NaN", func(*report.Report) {}, "| runs/b | n/a | - |", "NaN"},
		{
			"guarded", func(r *report.Report) { r.Guard.Kept, r.Guard.Passed, r.Guard.Result = true, "best parent", .96 }, "**The merge did not help, and is not passed on.** It has auc 0.96000",
			"Passed on:",
		},
		{"unguarded", func(r *report.Report) { r.Guard.On, r.Guard.Result = false, .96 }, "**worse than the best parent**", "did not help"},
		{"synthetic", func(r *report.Report) { r.Synthetic = true }, "The rows are synthetic", ""},
	} {
		s := text(tc.change)
		if !strings.Contains(s, tc.want) || tc.none != "" && strings.Contains(s, tc.none) {
			t.Errorf("%s: want %q and not %q in\n%s", tc.name, tc.want, tc.none, s)
		}
	}
}

func TestHeight(t *testing.T) {
	line := func(v ...float64) (out []report.Point) {
		for i, x := range v {
			out = append(out, report.Point{Alpha: float64(i) / float64(len(v)-1), Valid: report.Metrics{"m": x}})
		}
		return out
	}
	for _, tc := range []struct {
		points []report.Point
		up     bool
		want   float64
	}{
		{line(1, 4, 3), false, 2},
		{line(1, 1.5, 3), false, 0},
		{line(.9, .6, .8), true, .25},
		{line(.9, .6, .8), false, 0},
		{line(1), false, math.NaN()},
		{line(1, math.NaN(), 2), false, math.NaN()},
	} {
		if got := report.Height(tc.points, "m", tc.up); !near(got, tc.want, 1e-12) && (got == got || tc.want == tc.want) {
			t.Errorf("Height(%v, %v) = %v, want %v", tc.points, tc.up, got, tc.want)
		}
	}
	if got := report.Height(line(1, 2), "x", false); got == got {
		t.Errorf("height of a missing metric is %v", got)
	}
}

func TestTable(t *testing.T) {
	rows := []report.Row{
		{Name: "base", Valid: report.Metrics{"auc": .5}, Test: report.Metrics{"auc": .25, "logloss": 1}, Seconds: 12.34, Note: "of seed 1"},
		{Name: "größer", Valid: report.Metrics{"auc": math.Inf(1), "logloss": .125}},
	}
	want := `row     valid auc  valid logloss  test auc  test logloss  seconds  note
base      0.50000              -   0.25000       1.00000     12.3  of seed 1
größer          -        0.12500         -             -      0.0
`
	if got := report.Table(rows, []string{"auc", "logloss"}); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := report.Table(rows, nil); got != want {
		t.Errorf("metrics by name: got\n%s", got)
	}
	rows[0].Test = nil
	if got := report.Table(rows, []string{"auc"}); strings.Contains(got, "test") {
		t.Errorf("without test rows: got\n%s", got)
	}
}
