package set

import (
	"bytes"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/rng"
)

func synthText(t *testing.T, s Synth) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteTSV(&b, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSynthLayout(t *testing.T) {
	count, token := regexp.MustCompile(`^(0|[1-9][0-9]*)?$`), regexp.MustCompile(`^([0-9a-f]{8})?$`)
	lines := strings.Split(strings.TrimSuffix(synthText(t, Synth{Rows: 5000, Seed: 3}), "\n"), "\n")
	if len(lines) != 5000 {
		t.Fatalf("%d lines, want 5000", len(lines))
	}
	blanks := make([]int, 40)
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		if len(cells) != 40 || cells[0] != "0" && cells[0] != "1" {
			t.Fatalf("line %d has %d cells and label %q", i, len(cells), cells[0])
		}
		for j, c := range cells {
			if c == "" {
				blanks[j]++
			}
			if j > 0 && j <= 13 && !count.MatchString(c) || j > 13 && !token.MatchString(c) {
				t.Fatalf("line %d column %d: %q", i, j, c)
			}
		}
	}
	for j, group := range map[int]int{1: 0, 6: 2, 12: 4, 16: 6, 19: 5, 32: 7, 35: 8} {
		if got, want := float64(blanks[j])/5000, synthBlanks[group]; math.Abs(got-want) > .03 {
			t.Errorf("column %d: %g blank, want %g", j, got, want)
		}
	}
	if blanks[2] > 0 || blanks[14] > 0 {
		t.Errorf("columns without blanks have %d, %d", blanks[2], blanks[14])
	}
}

func TestSynthSeed(t *testing.T) {
	a, b := synthText(t, Synth{Rows: 300, Seed: 7}), synthText(t, Synth{Rows: 1000, Seed: 7})
	if !strings.HasPrefix(b, a) {
		t.Error("the first rows depend on the number of rows")
	}
	if a == synthText(t, Synth{Rows: 300, Seed: 8}) {
		t.Error("two seeds write the same rows")
	}
	const golden = "d5ea25685c2d364a" // changes only together with SynthVersion
	if got := digestText(xxhash.Sum64String(b)); got != golden {
		t.Errorf("rows of seed 7: digest %s, want %s; if that is intended, raise SynthVersion", got, golden)
	}
}

func TestSynthProbabilities(t *testing.T) {
	for seed := range uint64(3) {
		const n = 60000
		var text, probs bytes.Buffer
		if err := (Synth{Rows: n, Seed: seed}).WriteTSV(&text, &probs); err != nil {
			t.Fatal(err)
		}
		labels, lines := strings.Split(text.String(), "\n"), strings.Split(probs.String(), "\n")
		if len(labels) != n+1 || len(lines) != n+1 {
			t.Fatalf("%d rows, %d probabilities", len(labels)-1, len(lines)-1)
		}
		rows := make([]scored, n)
		positives := 0.
		for i := range rows {
			p, err := strconv.ParseFloat(lines[i], 64)
			if err != nil || p <= 0 || p >= 1 {
				t.Fatalf("probability %q: %v", lines[i], err)
			}
			rows[i] = scored{p, labels[i][0] == '1'}
			if rows[i].label {
				positives++
			}
		}
		if share := positives / n; share < .24 || share > .26 {
			t.Errorf("seed %d: %g positive, want .24 to .26", seed, share)
		}
		auc, expected := bestAUC(rows)
		if auc < .79 || auc > .83 || math.Abs(auc-expected) > .01 {
			t.Errorf("seed %d: best AUC %g, expected %g; want about .81", seed, auc, expected)
		}
		if loss, mean := bestLogLoss(rows); math.Abs(loss-mean) > .01 || loss > .46 {
			t.Errorf("seed %d: best logloss %g, expected %g", seed, loss, mean)
		}
		for tenth := range slices.Chunk(rows, n/10) { // sorted by bestAUC: labels agree with probabilities everywhere
			var sum, variance, hits float64
			for _, r := range tenth {
				sum, variance = sum+r.p, variance+r.p*(1-r.p)
				if r.label {
					hits++
				}
			}
			if z := (hits - sum) / math.Sqrt(variance); math.Abs(z) > 4.5 {
				t.Errorf("seed %d: %g positives where %.1f are expected (%.1f standard deviations)", seed, hits, sum, z)
			}
		}
	}
}

// A model without interactions must fall short by more than .01, or the file could not tell the models apart.
func TestSynthPairsMatter(t *testing.T) {
	w, r := newSynthWorld(1), rng.New(1)
	full, single := make([]scored, 50000), make([]scored, 50000)
	var row synthRow
	for i := range full {
		w.draw(r, &row)
		z := w.parts(&row)
		p := w.prob(z)
		label := r.Float64() < p
		z[2] = 0
		full[i], single[i] = scored{p, label}, scored{w.prob(z), label}
	}
	a, _ := bestAUC(full)
	b, _ := bestAUC(single)
	if a-b < .012 {
		t.Errorf("AUC with pairs %.4f, without %.4f", a, b)
	}
}

func TestScrambleBijection(t *testing.T) {
	seen := map[uint32]bool{}
	for i := range uint32(100000) {
		seen[scramble(i, 0x0123456789abcdef)] = true
	}
	if len(seen) != 100000 {
		t.Errorf("%d tokens of 100000 ranks", len(seen))
	}
}

func TestBestAUC(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]scored, 60)
	for i := range rows {
		rows[i].p = float64(1+r.IntN(9)) / 10
		rows[i].label = r.Float64() < rows[i].p
	}
	var wins, pairs, ewins, epairs float64
	for i, a := range rows {
		for j, b := range rows {
			win := 0.
			if a.p > b.p {
				win = 1
			} else if a.p == b.p {
				win = .5
			}
			if a.label && !b.label {
				wins, pairs = wins+win, pairs+1
			}
			if i != j {
				ewins, epairs = ewins+win*a.p*(1-b.p), epairs+a.p*(1-b.p)
			}
		}
	}
	auc, expected := bestAUC(rows)
	if math.Abs(auc-wins/pairs) > 1e-12 || math.Abs(expected-ewins/epairs) > 1e-12 {
		t.Errorf("bestAUC = %g, %g, want %g, %g", auc, expected, wins/pairs, ewins/epairs)
	}
}

type brokenWriter struct{ room int }

var errFull = errors.New("no space left")

func (w *brokenWriter) Write(p []byte) (int, error) {
	if w.room -= len(p); w.room < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestSynthErrors(t *testing.T) {
	if err := (Synth{Rows: 5000}).WriteTSV(&brokenWriter{300000}, nil); !errors.Is(err, errFull) {
		t.Errorf("full disk: %v", err)
	}
	if err := (Synth{Rows: 10}).WriteTSV(&bytes.Buffer{}, &brokenWriter{}); !errors.Is(err, errFull) {
		t.Errorf("full disk for probabilities: %v", err)
	}
	if err := (Synth{Rows: -1}).WriteTSV(&bytes.Buffer{}, nil); err == nil {
		t.Error("negative rows: no error")
	}
	for _, o := range []SynthOptions{{Rows: -5}, {Rows: 5}, {TestShare: 1}, {TestShare: -.1}, {TestShare: math.NaN()}} {
		if _, err := SynthFile(context.Background(), filepath.Join(t.TempDir(), "x"), o); err == nil {
			t.Errorf("%+v: no error", o)
		}
	}
}

func TestSynthFile(t *testing.T) {
	ctx, path := context.Background(), filepath.Join(t.TempDir(), "sub", "synth.tsv")
	o := SynthOptions{Rows: 2000, Seed: 4}
	first, err := SynthFile(ctx, path, o)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil || string(text) != synthText(t, Synth{Rows: 2000, Seed: 4}) {
		t.Fatalf("the file has other rows than the generator (%v)", err)
	}
	if first.TestRows != 200 || !(first.AUC > .6) || !strings.Contains(first.String(), "synthetic data") {
		t.Errorf("description: %+v", first)
	}
	before, _ := os.Stat(path)
	again, err := SynthFile(ctx, path, o)
	after, _ := os.Stat(path)
	if err != nil || *again != *first || !os.SameFile(before, after) {
		t.Errorf("second call: %+v, %v; want the same, and the file left alone", again, err)
	}
	if got, err := ReadSynthInfo(path); err != nil || *got != *first {
		t.Errorf("ReadSynthInfo = %+v, %v, want %+v", got, err, first)
	}

	if err := os.WriteFile(path, []byte("1\t2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadSynthInfo(path); got != nil || err != nil {
		t.Errorf("ReadSynthInfo of other rows = %+v, %v, want nothing", got, err)
	}
	if _, err := SynthFile(ctx, path, o); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, text) {
		t.Error("a damaged file was not made again")
	}
	o.Seed = 5
	if other, err := SynthFile(ctx, path, o); err != nil || other.Digest == first.Digest {
		t.Errorf("another seed: %+v, %v", other, err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

func TestSynthFileRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "train.txt")
	if err := os.WriteFile(path, []byte("mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SynthFile(context.Background(), path, SynthOptions{Rows: 100}); err == nil ||
		!strings.Contains(err.Error(), "was not generated") {
		t.Errorf("a file of another's: %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "mine\n" {
		t.Errorf("a file of another's became %q", got)
	}
	if got, err := ReadSynthInfo(path); got != nil || err != nil {
		t.Errorf("ReadSynthInfo = %+v, %v, want nothing", got, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if _, err := SynthFile(ctx, filepath.Join(dir, "x.tsv"), SynthOptions{Rows: 100}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("cancelled: %v left", left)
	}
}

func BenchmarkSynth(b *testing.B) {
	s := Synth{Rows: 20000, Seed: 1}
	for b.Loop() {
		var n brokenWriter
		n.room = math.MaxInt
		if err := s.WriteTSV(&n, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.Rows), "ns/row")
}
