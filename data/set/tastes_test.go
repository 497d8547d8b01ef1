package set

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/rng"
)

// tastesRows generates rows and returns them as text, too.
func tastesRows(t *testing.T, d Tastes) ([]scored, string) {
	t.Helper()
	var text bytes.Buffer
	rows, err := d.generate(t.Context(), &text)
	if err != nil {
		t.Fatal(err)
	}
	return rows, text.String()
}

func TestTastesRows(t *testing.T) {
	d := Tastes{Users: 50, Items: 30, Rows: 4000, Seed: 7}
	rows, text := tastesRows(t, d)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if want := "label\tuser\titem\tgenre\thour\tdevice"; lines[0] != want || len(lines) != 4001 {
		t.Fatalf("%d lines, header %q; want 4001, %q", len(lines), lines[0], want)
	}
	genre, seen := map[string]string{}, [5]map[string]int{}
	for f := range seen {
		seen[f] = map[string]int{}
	}
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != 6 || (cells[0] == "1") != rows[i].label {
			t.Fatalf("row %d is %q, its label %v", i, line, rows[i].label)
		}
		for f, c := range cells[1:] {
			seen[f][c]++
		}
		if g, ok := genre[cells[2]]; ok && g != cells[3] {
			t.Fatalf("row %d: item %s is of genre %s, and was of %s", i, cells[2], cells[3], g)
		}
		genre[cells[2]] = cells[3]
	}
	for f, want := range []int{50, 30, len(seen[2]), tastesHours, tastesDevices} {
		if len(seen[f]) != want {
			t.Errorf("column %s has %d values, want %d", tastesNames[f], len(seen[f]), want)
		}
	}
	if seen[1]["i0"] < 3*seen[1]["i29"] {
		t.Errorf("item 0 is there %d times, item 29 %d times: no law of Zipf", seen[1]["i0"], seen[1]["i29"])
	}
	const golden = "a8b0aa8d80536d16" // the rows of a seed must not change: configs/cki_tastes.yaml says what a merge comes to on them
	if got := digestText(xxhash.Sum64String(text)); got != golden {
		t.Errorf("rows of seed 7: digest %s, want %s", got, golden)
	}
	d.Rows = 1000
	if _, first := tastesRows(t, d); !strings.HasPrefix(text, first) {
		t.Error("the first rows depend on the number of rows")
	}
	d.Seed = 8
	if _, other := tastesRows(t, d); strings.HasPrefix(text, other) {
		t.Error("two seeds give the same rows")
	}
}

// The labels are drawn from the probabilities, and the tastes decide more of them than anything else.
func TestTastesProbabilities(t *testing.T) {
	for seed := range uint64(3) {
		d := Tastes{Users: 400, Items: 100, Rows: 60000, Seed: seed}
		rows, _ := tastesRows(t, d)
		var clicks float64
		for _, r := range rows {
			if r.label {
				clicks++
			}
		}
		if share := clicks / float64(len(rows)); math.Abs(share-tastesRate) > .01 {
			t.Errorf("seed %d: a share of %g clicks, want %g", seed, share, tastesRate)
		}
		auc, expected := bestAUC(rows)
		if auc < .81 || auc > .86 || math.Abs(auc-expected) > .01 {
			t.Errorf("seed %d: best AUC %g, expected %g; want about .83", seed, auc, expected)
		}
		for tenth := range slices.Chunk(rows, len(rows)/10) { // sorted by bestAUC
			var sum, variance, hits float64
			for _, r := range tenth {
				sum, variance = sum+r.p, variance+r.p*(1-r.p)
				if r.label {
					hits++
				}
			}
			if z := (hits - sum) / math.Sqrt(variance); math.Abs(z) > 4.5 {
				t.Errorf("seed %d: %g clicks where %.1f are expected (%.1f standard deviations)", seed, hits, sum, z)
			}
		}
		w, r := newTastesWorld(d), rng.New(seed)
		var own, common []scored
		for range 30000 {
			z := w.parts(w.draw(r))
			label := r.Float64() < w.prob(z)
			own, common = append(own, scored{w.prob(z), label}), append(common, scored{w.prob([3]float64{z[0]}), label})
		}
		a, _ := bestAUC(own)
		b, _ := bestAUC(common)
		if a-b < .08 {
			t.Errorf("seed %d: AUC %.4f, of what is common alone %.4f: tastes hardly matter", seed, a, b)
		}
	}
}

func TestTastesOpen(t *testing.T) {
	d := datatest.Section(t, "{type: tastes, users: 40, items: 20, rows: 3000, seed: 3}").(Tastes)
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	rows, text := tastesRows(t, d)
	if s.Train.Rows() != 2400 || s.Valid.Rows() != 300 || s.Test.Rows() != 300 {
		t.Errorf("parts of %d, %d and %d rows, want 2400, 300 and 300", s.Train.Rows(), s.Valid.Rows(), s.Test.Rows())
	}
	test, lines := datatest.Read(t, s.Test), strings.Split(text, "\n")
	for i, label := range test.Label {
		cells := strings.Split(lines[1+2700+i], "\t")
		user, _ := s.Map.Token("user", test.IDs["user"][i])
		item, _ := s.Map.Token("item", test.IDs["item"][i])
		if strconv.Itoa(int(label)) != cells[0] || user != cells[1] || item != cells[2] {
			t.Fatalf("test row %d is %g %s %s, generated was %q", i, label, user, item, cells)
		}
	}
	last := rows[2700:]
	auc, _ := bestAUC(last) // sorts them
	loss, _ := bestLogLoss(last)
	if s.Synthetic == nil || s.Synthetic.AUC != auc || s.Synthetic.LogLoss != loss {
		t.Errorf("reachable %+v, want AUC %g and logloss %g", s.Synthetic, auc, loss)
	}
	files, _ := filepath.Glob(filepath.Join(o.CacheDir, "*-tastes.tsv"))
	if len(files) != 1 {
		t.Fatalf("files of rows: %v, want one", files)
	}
	before, err := os.Stat(files[0])
	if err != nil {
		t.Fatal(err)
	}
	datatest.Open(t, d, o)
	if after, err := os.Stat(files[0]); err != nil || !os.SameFile(before, after) {
		t.Errorf("the same rows were written again (%v)", err)
	}
	if err := os.WriteFile(files[0], []byte("damaged"), 0o644); err != nil {
		t.Fatal(err)
	}
	datatest.Open(t, d, o)
	if got, _ := os.ReadFile(files[0]); string(got) != text {
		t.Error("a damaged file was not written again")
	}
	d.Split = data.Split{By: data.SplitRandom, Ratio: []float64{.5, 0, .5}}
	if s := datatest.Open(t, d, o); s.Synthetic == nil || *s.Synthetic != (data.Reachable{}) || s.Valid != nil {
		t.Errorf("split at random: reachable %+v, which is known of the last rows alone", s.Synthetic)
	}
	path := datatest.WriteFile(t, "rows.tsv", "item\tuser\tgenre\thour\tdevice\ni1\tu2\tg3\th4\td0\n")
	if got, err := datatest.TryRead(d.Stream(t.Context(), path, s.Map, data.StreamOptions{})); err != nil || len(got.Label) != 1 {
		t.Errorf("rows without labels: %d, %v", len(got.Label), err)
	}
}

func TestTastesRefuses(t *testing.T) {
	for section, want := range map[string]string{
		"users: 0":                     "data.users: must be in [1, 16777216], have 0",
		"items: -1":                    "data.items: must be in [1, 16777216], have -1",
		"rows: 0":                      "data.rows: must be in [1, 17179869184], have 0",
		"split: {by: time}":            "data.split.by: the rows have no times; split at random or by order",
		"path: rows.tsv":               "data.path: unknown key",
		"split: {ratio: [0.5, 0.1]}":   "data.split.ratio: must sum to 1, have 0.6",
		"columns: {user: categorical}": "data.columns: unknown key",
	} {
		if _, err := datatest.TrySection("{type: tastes, " + section + "}"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
	if _, err := (Tastes{}).Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "users") {
		t.Errorf("no users: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Tastes{Users: 2, Items: 2, Rows: 100}).Open(ctx, data.OpenOptions{CacheDir: t.TempDir()}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := (Tastes{Users: 2, Items: 2, Rows: 100}).generate(ctx, &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while rows are made: %v", err)
	}
	// One user and one item: nothing to scale.
	if rows, _ := tastesRows(t, Tastes{Users: 1, Items: 1, Rows: 500}); slices.ContainsFunc(rows, func(r scored) bool { return !(r.p > 0 && r.p < 1) }) {
		t.Error("probabilities outside of (0, 1)")
	}
}
