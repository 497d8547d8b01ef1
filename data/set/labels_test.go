package set_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
	"github.com/splice-ml/splice/data/set"
)

// TestLabelsAndWeights: the values of a file's labels and weights are those of the batches, of a first pass, of the cache and of a stream; a
// stream that needs no labels reads rows without them.
func TestLabelsAndWeights(t *testing.T) {
	const header, rows = "w,like,a,seconds,stars,click\n", "1,1,x,0.5,two,0\n0.25,,y,-3,one,1\n0,0,x,,,0\n3e1,1,z,7,two,1\n"
	path := datatest.WriteFile(t, "rows.csv", header+rows)
	d := set.CSV{
		Common: data.DefaultCommon(), Label: data.Names{"click", "like", "seconds", "stars"}, Weight: "w", NumberLabels: data.Names{"seconds"},
		ClassLabels: map[string][]string{"stars": {"one", "two"}},
	}
	d.Path = []string{datatest.WriteFile(t, "all.csv", header+"5,0,x,1,one,0\n"+rows)}
	d.Split = data.Split{By: data.SplitOrder, Counts: []int64{1, 4}} // validation rows are in the order of the file
	d.Columns = map[string]data.Column{"a": data.CategoricalColumn{}}
	nan := math.NaN()
	labels := fmt.Sprint([][]float64{{0, 1, 0, 1}, {1, nan, 0, 1}, {.5, -3, nan, 7}, {1, 0, nan, 1}})
	want := labels + " [1 0.25 0 30]"
	read := func(name string, src data.Source, want string) {
		t.Helper()
		for b, err := range src.Batches(0, 6) {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			labels := make([][]float32, len(b.Labels))
			for k := range labels {
				labels[k] = b.Labels[k][:b.N]
			}
			if got := fmt.Sprint(labels, b.Weight[:min(b.N, len(b.Weight))]); got != want {
				t.Errorf("%s: labels and weights %s, want %s", name, got, want)
			}
			if &b.Label[0] != &b.Labels[0][0] {
				t.Errorf("%s: Label is not the first of Labels", name)
			}
		}
	}
	o := data.OpenOptions{CacheDir: t.TempDir()}
	for _, name := range []string{"first pass", "cache"} {
		s, err := d.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		read(name, s.Valid, want)
		read(name+", view", s.Valid.(data.Viewer).View(data.ViewOptions{Keep: []uint32{0, 1, 2, 3}}), want)
		o.Map = s.Map
		read("stream", d.Stream(t.Context(), path, s.Map, data.StreamOptions{Labels: true}), want)
	}
	plain := d // the same rows without weights in the same cache
	plain.Weight, plain.Columns = "", map[string]data.Column{"a": data.CategoricalColumn{}, "w": data.IgnoreColumn{}}
	s, err := plain.Open(t.Context(), data.OpenOptions{CacheDir: o.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	read("plain", s.Valid, labels+" []")
	other := d // another column of weights in the same cache
	other.Weight, other.NumberLabels, other.ClassLabels, other.Label = "seconds", nil, nil, data.Names{"click", "like"}
	other.Columns = map[string]data.Column{"a": data.CategoricalColumn{}, "w": data.IgnoreColumn{}, "stars": data.IgnoreColumn{}}
	if _, err := other.Open(t.Context(), data.OpenOptions{CacheDir: o.CacheDir}); err == nil {
		t.Error("weights below 0 and blank ones are read, as those of another column were")
	}
	other.Weight, other.Columns["seconds"] = "w", data.IgnoreColumn{}
	delete(other.Columns, "w")
	s, err = other.Open(t.Context(), data.OpenOptions{CacheDir: o.CacheDir})
	if err != nil {
		t.Fatal(err)
	}
	read("two labels", s.Valid, fmt.Sprint([][]float64{{0, 1, 0, 1}, {1, nan, 0, 1}}, []float64{1, .25, 0, 30}))
	bare := datatest.WriteFile(t, "bare.csv", "a\nx\ny\n")
	read("bare", d.Stream(t.Context(), bare, o.Map, data.StreamOptions{}), fmt.Sprint(make([][2]float32, 4), []float32{}))
	some := datatest.WriteFile(t, "some.csv", "a,like\nx,1\ny,\n")
	read("some", d.Stream(t.Context(), some, o.Map, data.StreamOptions{}), "[[0 0] [1 0] [0 0] [0 0]] []")
	for _, err := range d.Stream(t.Context(), some, o.Map, data.StreamOptions{Labels: true}).Batches(0, 2) {
		if err == nil {
			t.Error("rows that lack labels can be evaluated")
		}
	}
}

// TestParquetLabelsAreCSVs: labels and weights of Parquet files are those of the same rows in CSV, and bad ones are refused alike.
func TestParquetLabelsAreCSVs(t *testing.T) {
	values := func(d data.Dataset) string {
		t.Helper()
		s, err := d.Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		var out []any
		for _, src := range []data.Source{s.Valid, s.Test} {
			for b, err := range src.Batches(0, 4) {
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range b.Labels {
					out = append(out, fmt.Sprint(l[:b.N]))
				}
				out = append(out, fmt.Sprint(b.Weight[:b.N]))
			}
		}
		return fmt.Sprint(out...)
	}
	csv, pq := tasksCase(t).Data, parquetTasksCase(t).Data
	if have, want := values(pq), values(csv); have != want || !strings.Contains(want, "NaN") || !strings.Contains(want, "-2.5") {
		t.Errorf("labels and weights are\n%s, want those of CSV\n%s", have, want)
	}
	columns := parquet.Group{"y": parquet.Optional(parquet.Int(64)), "z": parquet.Optional(parquet.String()), "w": parquet.Optional(parquet.Leaf(parquet.DoubleType)), "a": parquet.Int(64)}
	for _, c := range []struct {
		row  map[string]any
		want string
	}{
		{map[string]any{"y": int64(1), "z": "no", "w": -1.}, `row 2: column w: weight "-1"; want a number of 0 or more`},
		{map[string]any{"y": int64(1), "z": "no"}, `row 2: column w: weight ""; want a number of 0 or more`},
		{map[string]any{"y": int64(3), "z": "no", "w": 1.}, `row 2: column y: label "3"; want 0 or 1, or a blank`},
		{map[string]any{"y": int64(1), "z": "maybe", "w": 1.}, `row 2: column z: label "maybe"; want a class of class_labels`},
	} {
		c.row["a"] = int64(1)
		path := filepath.Join(t.TempDir(), "x.parquet")
		datatest.WriteParquet(t, path, columns, []map[string]any{{"y": int64(0), "z": "yes", "w": 1., "a": int64(2)}, c.row})
		d := set.Parquet{Common: data.DefaultCommon(), Label: data.Names{"y", "z"}, Weight: "w", ClassLabels: map[string][]string{"z": {"yes", "no"}}}
		d.Path, d.Columns = []string{path}, map[string]data.Column{"a": data.CategoricalColumn{}}
		if _, err := d.Open(t.Context(), data.OpenOptions{CacheDir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}
