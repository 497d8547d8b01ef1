package data_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
)

// A stream gives the same rows as a part in the order of the file.
func TestStream(t *testing.T) {
	criteo, _ := criteoFile(t, 9000)
	libfm := write(t, "t.libfm", strings.Repeat("1 1:1 7:1\n-1 2:1 9:1\n0 1:1 8:1\n", 500))
	for name, sec := range map[string]string{
		"criteo": "{type: criteo, path: " + criteo + ", valid_path: " + criteo + ", numeric: {transform: log1p}, categorical: {min_count: 2}}",
		"csv":    strings.ReplaceAll(strings.Replace(numberedSection, "FILE", "FILE, valid_path: FILE", 1), "FILE", numbered(t, 4000)) + "}",
		"libfm":  "{type: libfm, path: " + libfm + ", valid_path: " + libfm + "}",
	} {
		o, _ := logTo(t)
		d := section(t, sec)
		s := open(t, d, o)
		want := read(t, s.Valid)
		path := map[string]string{"criteo": criteo, "libfm": libfm}[name]
		if name == "csv" {
			path = numbered(t, 4000)
		}
		group := want.group
		for _, threads := range []int{1, 3} {
			labels := threads == 3
			if want.group = nil; labels {
				want.group = group
			}
			src := d.(data.Scorer).Stream(t.Context(), path, s.Map, data.StreamOptions{Threads: threads, Labels: labels})
			for range 2 {
				got := read(t, src)
				if !maps.EqualFunc(want.ids, got.ids, slices.Equal) || !slices.Equal(want.dense, got.dense) ||
					!slices.Equal(want.label, got.label) || !slices.Equal(want.group, got.group) {
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
	o, _ := logTo(t)
	nums := "3\t4\t\t\t\t\t\t\t\t\t\t\t"
	cats := "\ta" + strings.Repeat("\t", 25)
	for _, c := range []struct{ sec, train, score string }{
		{"{type: criteo, path: FILE}", "1\t" + nums + cats + "\n", nums + cats + "\n" + nums + cats},
		{"{type: csv, path: FILE, label: y, group: u, columns: {a: categorical, n: numeric}}", "y,u,a,n\n1,1,x,3\n", "a,n,u\nx,3,1\nx,3,1\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical, n: numeric}}", "y,a,n\n1,x,3\n", "y,a,n\n,x,3\n1,x,3\n"},
		{"{type: libfm, path: FILE, columns: {f2: numeric}}", "1 5:1 7:3\n", "5:1 7:3\n5:1 8:3\n"},
	} {
		d := section(t, strings.Replace(c.sec, "FILE", write(t, "t", c.train), 1))
		s := open(t, d, o)
		got := read(t, d.(data.Scorer).Stream(t.Context(), write(t, "s", c.score), s.Map, data.StreamOptions{}))
		want := read(t, s.Train)
		if len(got.label) != 2 {
			t.Fatalf("%s: %d rows, want 2", c.sec, len(got.label))
		}
		for name, ids := range want.ids {
			if got.ids[name][0] != ids[0] || got.ids[name][1] != ids[0] {
				t.Errorf("%s: %s = %v, want %v twice", c.sec, name, got.ids[name], ids)
			}
		}
		if fmt.Sprint(got.dense[:len(want.dense)]) != fmt.Sprint(want.dense) {
			t.Errorf("%s: dense = %v, want %v", c.sec, got.dense, want.dense)
		}
	}
}

// To evaluate, rows without a label are an error.
func TestStreamWantsLabels(t *testing.T) {
	o, _ := logTo(t)
	nums := "3\t4\t\t\t\t\t\t\t\t\t\t\t"
	cats := "\ta" + strings.Repeat("\t", 25)
	for _, c := range []struct{ sec, train, score string }{
		{"{type: criteo, path: FILE}", "1\t" + nums + cats + "\n", nums + cats + "\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical}}", "y,a\n1,x\n", "a\nx\n"},
		{"{type: csv, path: FILE, label: y, columns: {a: categorical}}", "y,a\n1,x\n", "y,a\n,x\n"},
		{"{type: csv, path: FILE, label: y, group: u, columns: {a: categorical}}", "y,u,a\n1,1,x\n", "y,a\n1,x\n"},
		{"{type: libfm, path: FILE}", "1 5:1 7:1\n", "5:1 7:1\n"},
	} {
		d := section(t, strings.Replace(c.sec, "FILE", write(t, "t", c.train), 1))
		s := open(t, d, o)
		src := d.(data.Scorer).Stream(t.Context(), write(t, "s", c.score), s.Map, data.StreamOptions{Labels: true})
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
	o, _ := logTo(t)
	d := section(t, "{type: csv, path: "+write(t, "t.csv", "y,a,n\n1,p,1\n")+", bad_rows: skip, label: y, columns: {a: categorical, n: numeric}}").(data.Scorer)
	m := open(t, d, o).Map
	bad := write(t, "s.csv", "a,n\np,1\np,2\np,x\np,4\n")
	got, err := tryRead(d.Stream(t.Context(), bad, m, data.StreamOptions{}))
	if err == nil || !strings.Contains(err.Error(), bad+":4: column n: ") {
		t.Errorf("error = %v after %d rows, want one of line 4 although bad_rows is skip", err, len(got.label))
	}
	if _, err := tryRead(d.Stream(t.Context(), "/nowhere", m, data.StreamOptions{})); err == nil {
		t.Error("no file: no error")
	}
	if _, err := tryRead(d.Stream(t.Context(), write(t, "s.csv", "a\np\n"), m, data.StreamOptions{})); err == nil || !strings.Contains(err.Error(), "no column n; the file has a") {
		t.Errorf("a column is missing: error = %v", err)
	}
	if _, err := tryRead(d.Stream(t.Context(), bad, &data.FeatureMap{}, data.StreamOptions{})); err == nil {
		t.Error("an empty feature map: no error")
	}
	other := open(t, section(t, "{type: libfm, path: "+write(t, "t.libfm", "1 3:1\n")+"}"), o).Map
	if _, err := tryRead(d.Stream(t.Context(), bad, other, data.StreamOptions{})); err == nil {
		t.Error("the map of other data: no error")
	}
}
