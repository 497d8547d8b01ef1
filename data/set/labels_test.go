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
	path := datatest.WriteFile(t, "rows.csv", "w,like,a,seconds,stars,click\n1,1,x,0.5,two,0\n0.25,,y,-3,one,1\n0,0,x,,,0\n3e1,1,z,7,two,1\n")
	d := set.CSV{
		Common: data.DefaultCommon(), Label: data.Names{"click", "like", "seconds", "stars"}, Weight: "w", NumberLabels: data.Names{"seconds"},
		ClassLabels: map[string][]string{"stars": {"one", "two"}},
	}
	d.Path, d.ValidPath = []string{path}, []string{path} // validation rows are in the order of the file
	d.Columns = map[string]data.Column{"a": data.CategoricalColumn{}}
	nan := math.NaN()
	want := fmt.Sprint([][]float64{{0, 1, 0, 1}, {1, nan, 0, 1}, {.5, -3, nan, 7}, {1, 0, nan, 1}}, []float64{1, .25, 0, 30})
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
