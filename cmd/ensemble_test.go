package cmd_test

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/train/metric"
)

// probabilities runs cmd/predict and returns what it writes.
func probabilities(t *testing.T, dir, in string, args ...string) []float64 {
	t.Helper()
	o := execute(t, dir, "predict", append([]string{"--in", in, "--out", "-"}, args...)...)
	if o.code != 0 {
		t.Fatalf("predict %v: exit %d\n%s", args, o.code, o.stderr)
	}
	var out []float64
	for s := range strings.FieldsSeq(o.stdout) {
		p, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }

// measure returns auc and logloss of logits, as evaluate prints them.
func measure(t *testing.T, z []float64, labels []float32) string {
	t.Helper()
	f := make([]float32, len(z))
	for i, v := range z {
		f[i] = float32(v)
	}
	var out []string
	for _, name := range []string{"auc", "logloss"} {
		m, err := metric.New(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Add(f, labels, nil); err != nil {
			t.Fatal(err)
		}
		v, err := m.Value()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s %.4f", name, v))
	}
	return strings.Join(out, " ")
}

// Runs of different seeds, models and feature maps: their ensemble is what the runs' own predictions make by hand.
func TestEnsemble(t *testing.T) {
	dir := workspace(t, 3000)
	train(t, dir, "a", "--set", "train.epochs=1")
	train(t, dir, "b", "--set", "seed=2", "--set", "train.epochs=1", "--set", "train.batch_size=100")
	train(t, dir, "c", "--set", "model={type: fm, embedding_dim: 3}", "--set", "data.categorical.min_count=9", "--set", "train.epochs=1")
	lines := strings.SplitAfter(strings.TrimSuffix(string(read(t, dir, "rows.tsv")), "\n"), "\n")
	test := lines[len(lines)-600:]
	write(t, dir, "test.tsv", strings.Join(test, ""))
	labels := make([]float32, len(test))
	for i, s := range test {
		if s[0] == '1' {
			labels[i] = 1
		}
	}
	runs := []string{"a", "b", "c"}
	own := map[string][]float64{}
	for _, r := range runs {
		own[r] = probabilities(t, dir, "test.tsv", "--run", r)
	}
	for _, tc := range []struct {
		mode string
		runs []string
		z    func(p []float64) float64 // of one row's probabilities
	}{
		{"logits", runs[:2], func(p []float64) float64 { return (logit(p[0]) + logit(p[1])) / 2 }},
		{"logits", runs, func(p []float64) float64 { return (logit(p[0]) + logit(p[1]) + logit(p[2])) / 3 }},
		{"probabilities", []string{"c", "a"}, func(p []float64) float64 { return logit((p[0] + p[1]) / 2) }},
	} {
		var args []string
		for _, r := range tc.runs {
			args = append(args, "--run", r)
		}
		if tc.mode != "logits" { // the default
			args = append(args, "--ensemble", tc.mode)
		}
		z := make([]float64, len(test))
		for i := range z {
			var p []float64
			for _, r := range tc.runs {
				p = append(p, own[r][i])
			}
			z[i] = tc.z(p)
		}
		got := probabilities(t, dir, "test.tsv", args...)
		if len(got) != len(z) {
			t.Fatalf("%v: %d predictions of %d rows", tc.runs, len(got), len(z))
		}
		for i, p := range got {
			if want := 1 / (1 + math.Exp(-z[i])); math.Abs(p-want) > 1e-6 {
				t.Fatalf("%v, mean of %s, row %d: %v, want %v", tc.runs, tc.mode, i+1, p, want)
			}
		}
		want := measure(t, z, labels)
		for _, rows := range [][]string{{"--split", "test"}, {"--data", "test.tsv"}} {
			o := execute(t, dir, "evaluate", append(rows, args...)...)
			if o.code != 0 {
				t.Fatalf("evaluate: exit %d\n%s", o.code, o.stderr)
			}
			out := strings.Split(strings.TrimSpace(o.stdout), "\n")
			if len(out) != len(tc.runs)+1 {
				t.Fatalf("evaluate %v: %d lines:\n%s", args, len(out), o.stdout)
			}
			if got := rounded(t, out[len(tc.runs)], "ensemble (mean of "+tc.mode+"):"); got != want {
				t.Errorf("%v %v: ensemble has %s, want %s", rows, args, got, want)
			}
			for i, r := range tc.runs {
				z := make([]float64, len(test))
				for k, p := range own[r] {
					z[k] = logit(p)
				}
				if got, want := rounded(t, out[i], r+":"), measure(t, z, labels); got != want {
					t.Errorf("%v: run %s has %s, want %s", rows, r, got, want)
				}
			}
		}
	}
}

// rounded returns the metrics of a line of evaluate's, to four digits.
func rounded(t *testing.T, line, after string) string {
	t.Helper()
	_, text, ok := strings.Cut(line, ", "+after+" ")
	if !ok {
		t.Fatalf("line %q lacks %q", line, after)
	}
	f := strings.Fields(text)
	for i := 1; i < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			t.Fatal(err)
		}
		f[i] = fmt.Sprintf("%.4f", v)
	}
	return strings.Join(f, " ")
}
