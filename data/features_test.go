package data_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// fitOn opens rows `1,a` of one column and returns its table.
func fitOn(t *testing.T, options string, cells ...string) *data.Vocabulary {
	t.Helper()
	o, _ := datatest.Options(t)
	path := datatest.WriteFile(t, "t.csv", "y,a\n1,"+strings.Join(cells, "\n1,")+"\n")
	return datatest.Open(t, datatest.Section(t, "{type: csv, path: "+path+", label: y, columns: {a: {type: categorical"+options+"}}}"),
		o).Map.Table("a")
}

func TestVocabulary(t *testing.T) {
	cells := strings.Split("b c a c b c  d", " ") // one blank
	for _, c := range []struct {
		name, options string
		tokens        []string
		counts        []int64
		blank, unseen int32
	}{
		{"all", "", []string{"c", "b", "", "a", "d"}, []int64{0, 0, 3, 2, 1, 1, 1}, 4, 1},
		{"min_count", ", min_count: 2", []string{"c", "b"}, []int64{0, 3, 3, 2}, 1, 1},
		{"max_size", ", max_size: 3", []string{"c", "b", ""}, []int64{0, 2, 3, 2, 1}, 4, 1},
		{"both", ", min_count: 3, max_size: 5", []string{"c"}, []int64{0, 5, 3}, 1, 1},
		{"none frequent", ", min_count: 9", nil, []int64{0, 8}, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := fitOn(t, c.options, cells...)
			if d := cmp.Diff(c.tokens, slices.Clip(v.Tokens)); d != "" && len(c.tokens)+len(v.Tokens) > 0 {
				t.Errorf("tokens: %s", d)
			}
			if d := cmp.Diff(c.counts, v.Counts); d != "" {
				t.Errorf("counts: %s", d)
			}
			if v.Size() != len(c.counts) {
				t.Errorf("size %d, want %d", v.Size(), len(c.counts))
			}
			if got := v.ID(nil); got != c.blank {
				t.Errorf("id of a blank = %d, want %d", got, c.blank)
			}
			if got := v.ID([]byte("new")); got != c.unseen {
				t.Errorf("id of an unseen token = %d, want %d", got, c.unseen)
			}
			for i, tok := range v.Tokens {
				if got := v.ID([]byte(tok)); got != int32(i+2) {
					t.Errorf("id of %q = %d, want %d", tok, got, i+2)
				}
			}
		})
	}
}

func TestHashBuckets(t *testing.T) {
	v := fitOn(t, ", hash: 10", strings.Split("b c a c b c d", " ")...)
	var sum int64
	for id, n := range v.Counts {
		if id < 2 && n != 0 {
			t.Errorf("reserved id %d has count %d", id, n)
		}
		sum += n
	}
	if v.Size() != 12 || len(v.Counts) != 12 || sum != 7 {
		t.Errorf("size %d, counts %v, want 12 ids, 7 tokens", v.Size(), v.Counts)
	}
	for _, tok := range []string{"", "b", "unseen"} {
		if id := v.ID([]byte(tok)); id < 2 || id >= 12 || id != v.ID([]byte(tok)) {
			t.Errorf("id of %q = %d", tok, id)
		}
	}
}

const featureRows = `y,user,friend,age,income,views,tags
1,u1,u2,10,7,5,x|y||x
0,u2,u1,,-7,1,
1,u1,u3,30,0,,z|z|z|z
0,u9,u9,50,3.5,100,y
`

func features(t *testing.T, dir string) (*data.Splits, string) {
	t.Helper()
	o, _ := datatest.Options(t)
	path := datatest.WriteFile(t, "t.csv", featureRows)
	s := datatest.Open(t, datatest.Section(t, `
type: csv
path: `+path+`
valid_path: `+path+`
label: y
split: {by: order, counts: [3, 0, 1]}
columns:
  user: categorical
  friend: {type: categorical, share: user}
  age: {type: numeric, transform: standardize, fill: -1}
  income: {type: numeric, transform: log1p}
  views: {type: numeric, transform: log_square_bucket}
  tags: {type: multi, max_len: 3}
`), o)
	return s, filepath.Join(dir, data.MapFile)
}

func TestFeatures(t *testing.T) {
	s, path := features(t, t.TempDir())
	want := []data.Feature{
		{Name: "user", Vocab: 5, Table: "user"},
		{Name: "friend", Vocab: 5, Table: "user"},
		{Name: "age", Kind: data.Numeric, Table: "age"},
		{Name: "income", Kind: data.Numeric, Column: 1, Table: "income"},
		{Name: "views", Vocab: 5, Table: "views"},
		{Name: "tags", Kind: data.Multi, Vocab: 5, MaxLen: 3, Pool: data.PoolMean, Table: "tags"},
	}
	if d := cmp.Diff(want, s.Schema.Features); d != "" {
		t.Errorf("features: %s", d)
	}
	// Fitted on the first three rows: user u1 3 times, u2 twice, u3 once; views 5 -> 2, 1, blank; tags z, x, y.
	for _, c := range []struct {
		feature string
		tokens  []string
		counts  []int64
	}{
		{"user", []string{"u1", "u2", "u3"}, []int64{0, 0, 3, 2, 1}},
		{"views", []string{"", "1", "2"}, []int64{0, 0, 1, 1, 1}},
		{"tags", []string{"z", "x", "y"}, []int64{0, 0, 3, 2, 1}},
	} {
		v := s.Map.Table(c.feature)
		if cmp.Diff(c.tokens, v.Tokens)+cmp.Diff(c.counts, v.Counts) != "" {
			t.Errorf("%s: tokens %q, counts %v, want %q, %v", c.feature, v.Tokens, v.Counts, c.tokens, c.counts)
		}
	}
	got := datatest.Read(t, s.Valid)
	for name, ids := range map[string][]int32{
		"user":   {2, 3, 2, 1},
		"friend": {3, 2, 4, 1},
		"views":  {4, 3, 2, 1}, // ln(5)^2 = 2.59, ln(100)^2 = 21.2: unseen
		"tags":   {3, 4, 3, 0, 0, 0, 2, 2, 2, 4, 0, 0},
	} {
		if d := cmp.Diff(ids, got.IDs[name]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	l := func(v float64) float32 { return float32(math.Log1p(v)) }
	// age: mean 20, standard deviation 10 over 10 and 30.
	if d := cmp.Diff([]float32{-1, l(7), -1, -l(7), 1, 0, 3, l(3.5)}, got.Dense); d != "" {
		t.Errorf("dense: %s", d)
	}
	if test := datatest.Read(t, s.Test); len(test.Label) != 1 || test.Dense[0] != 3 {
		t.Errorf("test row = %v", test)
	}

	if err := s.Map.Save(path); err != nil {
		t.Fatal(err)
	}
	m, err := data.LoadFeatureMap(path)
	if err != nil {
		t.Fatal(err)
	}
	if m.Digest() != s.Map.Digest() || m.Digest() == "" {
		t.Errorf("digest %s after loading, %s before", m.Digest(), s.Map.Digest())
	}
	if id, _ := m.ID("friend", "u2"); id != 3 {
		t.Errorf("id of u2 = %d, want 3", id)
	}
	if tok, ok := m.Token("friend", 3); tok != "u2" || !ok {
		t.Errorf("token of 3 = %q", tok)
	}
	for _, id := range []int32{-1, 0, 1, 5} {
		if tok, ok := m.Token("user", id); ok {
			t.Errorf("token of %d = %q, want none", id, tok)
		}
	}
	if _, err := m.ID("age", "1"); err == nil {
		t.Error("id of a number: no error")
	}
}

// A small file that decompresses to far more than a map is refused, before it fills the memory.
func TestMapBomb(t *testing.T) {
	path := filepath.Join(t.TempDir(), data.MapFile)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewWriter(f)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("a"), 1<<20)
	_, err = z.Write([]byte(`{"version": 1, "tables": [{"name": "`))
	for range 200 {
		if err == nil {
			_, err = z.Write(piece)
		}
	}
	if err := errors.Join(err, z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := data.LoadFeatureMap(path); err == nil || !strings.Contains(err.Error(), "which no map does") {
		t.Errorf("error %v", err)
	}
}

func TestDamagedMap(t *testing.T) {
	s, path := features(t, t.TempDir())
	if err := s.Map.Save(path); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		bad := slices.Clone(whole)
		bad[i] ^= 0x10
		os.WriteFile(path, bad, 0o644)
		if m, err := data.LoadFeatureMap(path); err == nil && m.Digest() != s.Map.Digest() {
			t.Errorf("a flipped bit of byte %d passes", i)
		}
		os.WriteFile(path, whole[:i], 0o644)
		if _, err := data.LoadFeatureMap(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut to %d bytes: error = %v", i, err)
		}
	}
	for name, m := range map[string]*data.FeatureMap{
		"none":     {},
		"no table": {Version: 1, Features: []data.MapFeature{{Name: "a", Table: "a"}}},
		"counts": {
			Version: 1, Features: []data.MapFeature{{Name: "a", Table: "a"}},
			Tables: []*data.Vocabulary{{Name: "a", Tokens: []string{"x"}, Counts: []int64{0, 0}}},
		},
		"token twice": {
			Version: 1, Features: []data.MapFeature{{Name: "a", Table: "a"}},
			Tables: []*data.Vocabulary{{Name: "a", Tokens: []string{"x", "x"}, Counts: []int64{0, 0, 1, 1}}},
		},
		"deviation": {Version: 1, Features: []data.MapFeature{{Name: "a", Kind: data.Numeric, Transform: data.Standardize}}},
	} {
		if err := m.Save(path); err == nil {
			t.Errorf("%s: saved", name)
		}
	}
}

// A run's map decides about ids, whatever the data it meets later.
func TestGivenMap(t *testing.T) {
	o, _ := datatest.Options(t)
	train := datatest.WriteFile(t, "t.csv", "y,a,n\n1,p,1\n0,q,3\n")
	d := datatest.Section(t, "{type: csv, path: "+train+", label: y, columns: {a: categorical, n: {type: numeric, transform: standardize}}}")
	m := datatest.Open(t, d, o).Map
	other := datatest.WriteFile(t, "o.csv", "y,a,n\n1,r,2\n1,r,2\n0,q,4\n")
	d = datatest.Section(t, "{type: csv, path: /nowhere.csv, test_path: "+other+", label: y, columns: {a: categorical, n: {type: numeric, transform: standardize}}}")
	o.Map, o.Only = m, "test"
	s := datatest.Open(t, d, o)
	got := datatest.Read(t, s.Test)
	if s.Train != nil || s.Valid != nil || cmp.Diff(got.IDs["a"], []int32{1, 1, 3}) != "" || cmp.Diff(got.Dense, []float32{0, 0, 2}) != "" {
		t.Errorf("ids %v, dense %v, want 1 1 3, 0 0 2", got.IDs, got.Dense)
	}
	o.Only = "valid"
	if _, err := d.Open(t.Context(), o); err == nil || err.Error() != "data: there is no valid part; give split or valid_path" {
		t.Errorf("error = %v", err)
	}
	o.Only = "dev"
	if _, err := d.Open(t.Context(), o); err == nil {
		t.Error("no error for part dev")
	}
}

func TestShareRefuses(t *testing.T) {
	o, _ := datatest.Options(t)
	path := datatest.WriteFile(t, "t.csv", "y,a,b\n1,p,1\n")
	_, err := datatest.Section(t,
		"{type: csv, path: "+path+", label: y, columns: {a: {type: categorical, min_count: 3}, b: {type: categorical, share: a}}}").Open(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "columns a and b share the table a but differ in min_count") {
		t.Errorf("error = %v", err)
	}
}
