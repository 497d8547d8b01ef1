package main

import (
	"bytes"
	"strings"
	"testing"
)

// Each measure has a table of its own, in its own unit.
func TestTables(t *testing.T) {
	m := func(x ...float64) (out []measure) {
		for _, v := range x {
			out = append(out, measure{Millis: v, PeakMB: 7, P99: 3 * v})
		}
		return out
	}
	rows := func(name, what string) result {
		return result{Row: name, What: "a model", Measure: what, Ours: map[string][]measure{"highest": m(2, 4, 8)}, Torch: map[string][]measure{"eager": m(4, 6, 40), "compile-autocast": m(3, 5, 4)}}
	}
	r := report{Machine: "a machine", Threads: 2, Pairs: 3, Precisions: []string{"highest"}, Rows: []result{
		rows("minilm_16", single), rows("deepfm_lazy", inference), rows("minilm_16", inference), rows("deepfm_lazy", epoch),
	}}
	var out bytes.Buffer
	if err := r.markdown(&out); err != nil {
		t.Fatal(err)
	}
	at := 0
	for _, want := range []string{
		"a machine; 2 threads.\n## Epochs of training", "Seconds an epoch, medians of 3 pairs",
		"| a model | highest | 0.00 | eager 0.01 | 2.00 (1.50 to 5.00) | compile-autocast 0.00 | 1.25 (0.50 to 1.50) | 7, 7 |",
		"## Inference in batches", "| a model | highest | 1024000 | eager 682667 |", "| a model | highest | 8000 | eager 5333 |",
		"## Inference of single rows", "| a model | highest | 4.000, 12.000 | eager 6.000, 18.000 |",
	} {
		i := strings.Index(out.String()[at:], want)
		if i < 0 {
			t.Fatalf("no %q after byte %d of\n%s", want, at, out.String())
		}
		at += i
	}
	if strings.Contains(out.String(), "Milliseconds a step") {
		t.Error("a table of steps, of which there are none")
	}
}

func TestAnswer(t *testing.T) {
	if m, err := answer("1.5 300"); err != nil || m != (measure{Millis: 1.5, PeakMB: 300}) {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := answer("1.5 300 7"); err != nil || m != (measure{Millis: 1.5, PeakMB: 300, P99: 7}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, line := range []string{"", "1", "1 2 3 4", "1 x", "0 5", "NaN 5"} {
		if m, err := answer(line); err == nil {
			t.Errorf("%q is %+v", line, m)
		}
	}
}

func TestMetric(t *testing.T) {
	const text = "BenchmarkSingle/x-2   300   0.057 p50-ms   14.2 p99-ms\nPASS\n"
	if v, err := metric(text, "p99-ms"); v != 14.2 || err != nil {
		t.Errorf("%v, %v", v, err)
	}
	for _, c := range []string{"ms/step", "BenchmarkSingle/x-2", "300"} {
		if v, err := metric(text, c); err == nil {
			t.Errorf("%s is %v", c, v)
		}
	}
}

func TestJobReport(t *testing.T) {
	of := func(seconds ...float64) (out []outcome) {
		for _, s := range seconds {
			out = append(out, outcome{Seconds: s, Training: s / 2, PeakMB: 100, AllMB: 150, Scores: map[string]float64{"logloss": .4, "auc": s / 100}})
		}
		return out
	}
	r := jobReport{Machine: "a machine", Threads: 2, Turns: 3, Jobs: []jobResult{{What: "a job", Programs: []programResult{{"ours", of(10, 20, 40)}, {"theirs", of(30, 20, 80)}}}}}
	var out bytes.Buffer
	if err := r.markdown(&out); err != nil {
		t.Fatal(err)
	}
	want := "| a job | ours | 20.0 |  | 10.0 | 100, 150 | auc 0.2000, logloss 0.4000 |\n" +
		"| a job | theirs | 30.0 | 2.00 (1.00 to 3.00) | 15.0 | 100, 150 | auc 0.3000, logloss 0.4000 |\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%s\nwant the lines\n%s", out.String(), want)
	}
}
