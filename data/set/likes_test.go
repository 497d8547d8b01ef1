package set

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
)

// likesRows generates rows and returns them as text, too.
func likesRows(t *testing.T, d Likes) ([2][]scored, string) {
	t.Helper()
	var text bytes.Buffer
	rows, err := d.generate(t.Context(), &text)
	if err != nil {
		t.Fatal(err)
	}
	return rows, text.String()
}

// A quarter of the rows are clicks, a fifth of these likes, and labels are drawn by the true probabilities. With more in common, those of a
// like after a click are closer to those of a click.
func TestLikesRows(t *testing.T) {
	const n = 40_000
	last := -1.
	for _, shared := range []float64{0, .7, 1} {
		d := Likes{Users: 50, Items: 30, Rows: n, Seed: 7, Shared: shared, Label: likesLabels}
		rows, text := likesRows(t, d)
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		if want := "click\tlike\tuser\titem\tgenre\thour\tdevice"; lines[0] != want || len(lines) != n+1 {
			t.Fatalf("%d lines, header %q", len(lines), lines[0])
		}
		var sums, probs [2]float64
		var x, y, xx, yy, xy float64
		for i, line := range lines[1:] {
			cells := strings.Split(line, "\t")
			for k := range rows {
				if (cells[k] == "1") != rows[k][i].label {
					t.Fatalf("row %d is %q, its labels %v, %v", i, line, rows[0][i].label, rows[1][i].label)
				}
				probs[k] += rows[k][i].p
				if rows[k][i].label {
					sums[k]++
				}
			}
			if cells[1] == "1" && cells[0] != "1" {
				t.Fatalf("row %d is liked and not clicked", i)
			}
			logit := func(p float64) float64 { return math.Log(p / (1 - p)) }
			a, b := logit(rows[0][i].p), logit(rows[1][i].p/rows[0][i].p)
			x, y, xx, yy, xy = x+a/n, y+b/n, xx+a*a/n, yy+b*b/n, xy+a*b/n
		}
		if c, l := sums[0]/n, sums[1]/sums[0]; math.Abs(c-.25) > .02 || math.Abs(l-likesRate) > .02 {
			t.Errorf("shared %v: %.3f of the rows are clicks, %.3f of the clicks likes", shared, c, l)
		}
		for k, name := range likesLabels {
			if d := math.Abs(sums[k]-probs[k]) / math.Sqrt(probs[k]); d > 3 {
				t.Errorf("shared %v: %v of label %s, the probabilities sum to %.0f", shared, sums[k], name, probs[k])
			}
		}
		r := (xy - x*y) / math.Sqrt((xx-x*x)*(yy-y*y))
		if math.Abs(r-shared) > .15 || r < last {
			t.Errorf("shared %v: the logits have the correlation %v", shared, r)
		}
		last = r
	}
	_, a := likesRows(t, Likes{Users: 5, Items: 3, Rows: 100, Seed: 7, Shared: .5})
	_, b := likesRows(t, Likes{Users: 5, Items: 3, Rows: 100, Seed: 7, Shared: .5})
	_, c := likesRows(t, Likes{Users: 5, Items: 3, Rows: 100, Seed: 8, Shared: .5})
	if a != b || a == c {
		t.Error("rows follow from the seed: one seed has other rows, or two have the same")
	}
}

func TestLikesOptions(t *testing.T) {
	good := Likes{
		Users: 5, Items: 5, Rows: 3000, Seed: 1, Shared: .5, Label: data.Names{"like"}, Split: data.Split{By: data.SplitOrder},
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		change func(d *Likes)
		want   string
	}{
		{func(d *Likes) { d.Shared = 1.5 }, "must be in [0, 1]"},
		{func(d *Likes) { d.Users = 0 }, "must be in [1, "},
		{func(d *Likes) { d.Label = nil }, "want click, like or [click, like]"},
		{func(d *Likes) { d.Label = data.Names{"click", "click"} }, `"click" is neither click nor like, or there twice`},
		{func(d *Likes) { d.Label = data.Names{"buy"} }, `"buy" is neither click nor like`},
	} {
		d := good
		c.change(&d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
	s, err := good.Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if s.Synthetic.AUC < .5 || s.Schema.Labels != nil {
		t.Errorf("one label: best reachable %+v, labels %v", s.Synthetic, s.Schema.Labels)
	}
}
