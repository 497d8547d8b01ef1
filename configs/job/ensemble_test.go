package job_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/metric"
)

// lastRows writes the last n rows of rows.tsv to a file, with and without labels, and returns the labels.
func lastRows(t *testing.T, n int) (labels []float32) {
	t.Helper()
	lines := strings.SplitAfter(strings.TrimSuffix(read(t, "rows.tsv"), "\n"), "\n")
	lines = lines[len(lines)-n:]
	var plain strings.Builder
	for _, l := range lines {
		labels = append(labels, float32(l[0]-'0'))
		plain.WriteString(l[2:])
	}
	write(t, "test.tsv", strings.Join(lines, ""))
	write(t, "unlabelled.tsv", plain.String())
	return labels
}

func numbers(t *testing.T, lines []string, err error) (out []float64) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		v, err := strconv.ParseFloat(l, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

func logit(p float64) float64 { return math.Log(p) - math.Log1p(-p) }

// near checks that scores are auc and logloss of logits.
func near(t *testing.T, s job.Scores, z []float64, labels []float32) {
	t.Helper()
	if s.Rows != len(z) || !slices.Equal(s.Names, []string{"auc", "logloss"}) {
		t.Errorf("%+v, want auc and logloss of %d rows", s, len(z))
	}
	f := make([]float32, len(z))
	for i, v := range z {
		f[i] = float32(v)
	}
	for _, name := range s.Names {
		m, err := metric.New(name)
		if err == nil {
			err = m.Add(f, labels, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		want, err := m.Value()
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(s.Metrics[name]-want) > 1e-5 {
			t.Errorf("%s of %q on %s is %v, that of its predictions %v", name, s.Model, s.Part, s.Metrics[name], want)
		}
	}
}

// A run's predictions have the metrics that its evaluation measures, on the rows of its data and of a file.
func TestEvaluatePredict(t *testing.T) {
	workspace(t, 2000)
	r := fresh(t, "r")
	labels := lastRows(t, 400)
	lines, err := predict(t, "", "test.tsv", "r")
	z := numbers(t, lines, err)
	for i := range z {
		z[i] = logit(z[i])
	}
	for _, rows := range [][2]string{{"test.tsv", ""}, {"", "test"}} {
		s, err := evaluate(t, "", rows[0], rows[1], "r")
		if err != nil || len(s) != 1 || s[0].Model != "" || s[0].Part != rows[0]+rows[1] {
			t.Fatalf("%v: %+v, %v", rows, s, err)
		}
		near(t, s[0], z, labels)
		if s[0].Metrics["auc"] != r.Test["auc"] || s[0].Metrics["logloss"] != r.Test["logloss"] {
			t.Errorf("%v: %v, the training measured %v", rows, s[0].Metrics, r.Test)
		}
	}
	if plain, err := predict(t, "", "unlabelled.tsv", "r"); err != nil || !slices.Equal(plain, lines) {
		t.Errorf("without labels: other predictions, or %v", err)
	}
	all, err := evaluate(t, "", "", "", "r")
	if err != nil || len(all) != 2 || all[0].Part != "valid" || all[0].Rows != 200 ||
		all[0].Metrics["auc"] != r.Valid["auc"] || all[1].Part != "test" {
		t.Errorf("all parts: %+v, %v", all, err)
	}
	if s, err := evaluate(t, "", "", "train", "r"); err != nil || len(s) != 1 || s[0].Rows != 1400 {
		t.Errorf("training rows: %+v, %v", s, err)
	}
}

// Runs of different seeds, models and feature maps: their ensemble is what the runs' own predictions make by hand.
func TestEnsemble(t *testing.T) {
	workspace(t, 2000)
	fresh(t, "a")
	fresh(t, "b", "seed=2", "train.batch_size=100")
	fresh(t, "c", "model={type: fm, embedding_dim: 3}", "data.categorical.min_count=9")
	labels := lastRows(t, 400)
	own := map[string][]float64{}
	for _, r := range []string{"a", "b", "c"} {
		lines, err := predict(t, "", "test.tsv", r)
		own[r] = numbers(t, lines, err)
	}
	mean := func(p []float64) (m float64) {
		for _, v := range p {
			m += v / float64(len(p))
		}
		return m
	}
	for _, tc := range []struct {
		mode string // as given
		runs []string
	}{
		{"", []string{"a", "b"}}, // of one feature map
		{"logits", []string{"a", "b", "c"}},
		{"probabilities", []string{"c", "a"}},
	} {
		z := make([]float64, len(labels))
		for i := range z {
			var p, l []float64
			for _, r := range tc.runs {
				p, l = append(p, own[r][i]), append(l, logit(own[r][i]))
			}
			z[i] = mean(l)
			if tc.mode == ensemble.MeanProbabilities {
				z[i] = logit(mean(p))
			}
		}
		lines, err := predict(t, tc.mode, "test.tsv", tc.runs...)
		got := numbers(t, lines, err)
		if len(got) != len(z) {
			t.Fatalf("%v: %d predictions of %d rows", tc.runs, len(got), len(z))
		}
		for i, p := range got {
			if want := 1 / (1 + math.Exp(-z[i])); math.Abs(p-want) > 1e-6 {
				t.Fatalf("%v, mean of %s, row %d: %v, want %v", tc.runs, tc.mode, i+1, p, want)
			}
		}
		for _, rows := range [][2]string{{"test.tsv", ""}, {"", "test"}} {
			s, err := evaluate(t, tc.mode, rows[0], rows[1], tc.runs...)
			if err != nil || len(s) != len(tc.runs)+1 {
				t.Fatalf("%v %v: %+v, %v", tc.runs, rows, s, err)
			}
			for i, r := range tc.runs {
				if s[i].Model != r {
					t.Errorf("line %d is of %s, want %s", i+1, s[i].Model, r)
				}
				l := make([]float64, len(z))
				for k, p := range own[r] {
					l[k] = logit(p)
				}
				near(t, s[i], l, labels)
			}
			last := s[len(tc.runs)]
			if last.Model != "" {
				t.Errorf("the ensemble's line is of %q", last.Model)
			}
			near(t, last, z, labels)
		}
	}
}
