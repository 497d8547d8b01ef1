package table_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// A stream gives the same rows as a part in the order of the file.
func TestStream(t *testing.T) {
	criteo, _ := criteoFile(t, 9000)
	libfm := datatest.WriteFile(t, "t.libfm", strings.Repeat("1 1:1 7:1\n-1 2:1 9:1\n0 1:1 8:1\n", 500))
	for name, sec := range map[string]string{
		"criteo": "{type: criteo, path: " + criteo + ", valid_path: " + criteo + ", numeric: {transform: log1p}, categorical: {min_count: 2}}",
		"csv": strings.ReplaceAll(strings.Replace(datatest.NumberedSection, "FILE", "FILE, valid_path: FILE", 1), "FILE",
			datatest.Numbered(t, 4000)) + "}",
		"libfm": "{type: libfm, path: " + libfm + ", valid_path: " + libfm + "}",
	} {
		o, _ := datatest.Options(t)
		d := datatest.Section(t, sec)
		s := datatest.Open(t, d, o)
		want := datatest.Read(t, s.Valid)
		path := map[string]string{"criteo": criteo, "libfm": libfm}[name]
		if name == "csv" {
			path = datatest.Numbered(t, 4000)
		}
		group := want.Group
		for _, threads := range []int{1, 3} {
			labels := threads == 3
			want.Group = nil
			if labels {
				want.Group = group
			}
			src := d.Stream(t.Context(), path, s.Map, data.StreamOptions{Threads: threads, Labels: labels})
			for range 2 {
				got := datatest.Read(t, src)
				if !maps.EqualFunc(want.IDs, got.IDs, slices.Equal) || !slices.Equal(want.Dense, got.Dense) ||
					!slices.Equal(want.Label, got.Label) || !slices.Equal(want.Group, got.Group) {
					t.Errorf("%s, %d threads: other rows than the cache's", name, threads)
				}
			}
			if src.Rows() != -1 {
				t.Errorf("%s: %d rows", name, src.Rows())
			}
		}
	}
}

func TestStreamWithoutLabels(t *testing.T) {
	o, _ := datatest.Options(t)
	nums := "3\t4\t\t\t\t\t\t\t\t\t\t\t"
	cats := "\ta" + strings.Repeat("\t", 25)
	for _, c := range []struct{ sec, train, score string }{
		{"{type: criteo, path: FILE}", "1\t" + nums + cats + "\n", nums + cats + "\n" + nums + cats},
		{"{type: csv, path: FILE, label: y, group: u, columns: {a: categorical, n: numeric}}", "y,u,a,n\n1,1,x,3\n", "a,n,u\nx,3,1\nx,3,1\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical, n: numeric}}", "y,a,n\n1,x,3\n", "y,a,n\n,x,3\n1,x,3\n"},
		{"{type: libfm, path: FILE, columns: {f2: numeric}}", "1 5:1 7:3\n", "5:1 7:3\n5:1 8:3\n"},
	} {
		d := datatest.Section(t, strings.Replace(c.sec, "FILE", datatest.WriteFile(t, "t", c.train), 1))
		s := datatest.Open(t, d, o)
		got := datatest.Read(t, d.Stream(t.Context(), datatest.WriteFile(t, "s", c.score), s.Map, data.StreamOptions{}))
		want := datatest.Read(t, s.Train)
		if len(got.Label) != 2 {
			t.Fatalf("%s: %d rows, want 2", c.sec, len(got.Label))
		}
		for name, ids := range want.IDs {
			if got.IDs[name][0] != ids[0] || got.IDs[name][1] != ids[0] {
				t.Errorf("%s: %s = %v, want %v twice", c.sec, name, got.IDs[name], ids)
			}
		}
		if fmt.Sprint(got.Dense[:len(want.Dense)]) != fmt.Sprint(want.Dense) {
			t.Errorf("%s: dense = %v, want %v", c.sec, got.Dense, want.Dense)
		}
	}
}

// To evaluate, rows without a label are an error.
func TestStreamWantsLabels(t *testing.T) {
	o, _ := datatest.Options(t)
	nums := "3\t4\t\t\t\t\t\t\t\t\t\t\t"
	cats := "\ta" + strings.Repeat("\t", 25)
	for _, c := range []struct{ sec, train, score string }{
		{"{type: criteo, path: FILE}", "1\t" + nums + cats + "\n", nums + cats + "\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical}}", "y,a\n1,x\n", "a\nx\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical}}", "y,a\n1,x\n", "y,a\n,x\n"},
		{"{type: csv, path: FILE, label: y, group: u, columns: {a: categorical}}", "y,u,a\n1,1,x\n", "y,a\n1,x\n"},
		{"{type: libfm, path: FILE}", "1 5:1 7:1\n", "5:1 7:1\n"},
	} {
		d := datatest.Section(t, strings.Replace(c.sec, "FILE", datatest.WriteFile(t, "t", c.train), 1))
		s := datatest.Open(t, d, o)
		src := d.Stream(t.Context(), datatest.WriteFile(t, "s", c.score), s.Map, data.StreamOptions{Labels: true})
		var err error
		for _, e := range src.Batches(0, 4) {
			err = e
		}
		if err == nil {
			t.Errorf("%s: rows %q without a label or group are evaluated", c.sec, c.score)
		}
	}
}

func TestStreamErrors(t *testing.T) {
	o, _ := datatest.Options(t)
	d := datatest.Section(t, "{type: csv, path: "+datatest.WriteFile(t, "t.csv",
		"y,a,n\n1,p,1\n")+", bad_rows: skip, label: y, columns: {a: categorical, n: numeric}}")
	m := datatest.Open(t, d, o).Map
	bad := datatest.WriteFile(t, "s.csv", "a,n\np,1\np,2\np,x\np,4\n")
	got, err := datatest.TryRead(d.Stream(t.Context(), bad, m, data.StreamOptions{}))
	if err == nil || !strings.Contains(err.Error(), bad+":4: column n: ") {
		t.Errorf("error = %v after %d rows, want one of line 4 although bad_rows is skip", err, len(got.Label))
	}
	if _, err := datatest.TryRead(d.Stream(t.Context(), "/nowhere", m, data.StreamOptions{})); err == nil {
		t.Error("no file: no error")
	}
	if _, err := datatest.TryRead(d.Stream(t.Context(), datatest.WriteFile(t, "s.csv", "a\np\n"), m, data.StreamOptions{})); err == nil ||
		!strings.Contains(err.Error(), "no column n; the file has a") {
		t.Errorf("a column is missing: error = %v", err)
	}
	if _, err := datatest.TryRead(d.Stream(t.Context(), bad, &data.FeatureMap{}, data.StreamOptions{})); err == nil {
		t.Error("an empty feature map: no error")
	}
	other := datatest.Open(t, datatest.Section(t, "{type: libfm, path: "+datatest.WriteFile(t, "t.libfm", "1 3:1\n")+"}"), o).Map
	if _, err := datatest.TryRead(d.Stream(t.Context(), bad, other, data.StreamOptions{})); err == nil {
		t.Error("the map of other data: no error")
	}
}
