package scan

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/splice-ml/splice/data"
)

// lineRows is a format whose rows are lines that begin with a letter.
type lineRows struct{ Lines }

func (l lineRows) Parser(string, []byte, *Plan) (Parser, bool, error) { return l, false, nil }

func (l lineRows) Parse(c *Chunk) {
	start := true
	for _, b := range c.Data {
		if start && b >= 'a' {
			c.N++
		}
		start = b == '\n'
	}
}

// deal is a sink that counts the rows of each part.
type deal struct{ rows [3]int }

func (d *deal) Work(*Chunk) {}

func (d *deal) Emit(c *Chunk) error {
	for _, p := range c.Part {
		d.rows[p]++
	}
	return nil
}

// TestRunFresh: the rows are not counted by a pass of their own, unless they turn out to be others than the lines.
func TestRunFresh(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		split      data.Split
		want       [3]int
		sinks      int
		err        string
	}{
		{"lines", "a\nb\nc\nd\n", data.Split{By: data.SplitOrder, Ratio: []float64{.5, .5}}, [3]int{2, 2}, 1, ""},
		{"no end", "a\nb\nc\nd", data.Split{By: data.SplitOrder, Ratio: []float64{.5, .5}}, [3]int{2, 2}, 1, ""},
		{"blank lines at the end", "a\nb\nc\nd\n\n\r\n", data.Split{By: data.SplitOrder, Ratio: []float64{.5, .5}}, [3]int{2, 2}, 1, ""},
		{"other lines", "a\n-\n-\nb\nc\nd\n", data.Split{By: data.SplitOrder, Ratio: []float64{.5, .5}}, [3]int{2, 2}, 2, ""},
		{"counts", "a\n-\nb\nc\nd\n", data.Split{By: data.SplitOrder, Counts: []int64{3, 1}}, [3]int{3, 1}, 1, ""},
		{
			"other counts", "a\nb\nc\n",
			data.Split{By: data.SplitOrder, Counts: []int64{3, 1}},
			[3]int{},
			2,
			"data: split.counts sum to 4, path has 3 rows; make them equal",
		},
		{
			"more rows", "a\nb\nc\nd\ne\n",
			data.Split{By: data.SplitRandom, Counts: []int64{3, 1}},
			[3]int{},
			2,
			"data: split.counts sum to 4, path has 5 rows; make them equal",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.txt")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var d *deal
			sinks := 0
			p := &Passes{Bad: BadRows{Skip: true, Limit: 100}, Threads: 2}
			fresh := func() Sink {
				d = &deal{}
				sinks++
				return d
			}
			_, err := p.RunFresh(t.Context(), lineRows{}, &Plan{MaxLine: 100}, []string{path}, tc.split, fresh)
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Errorf("error %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d.rows != tc.want || sinks != tc.sinks {
				t.Errorf("parts of %v rows by %d sinks, want %v by %d", d.rows, sinks, tc.want, tc.sinks)
			}
		})
	}
}
