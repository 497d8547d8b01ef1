package set_test

import (
	"fmt"
	"math"
	"testing"

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
