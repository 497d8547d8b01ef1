package scan_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// partsOf opens rows 0..n-1, whose times are given, and returns the numbers of each part, sorted.
func partsOf(t *testing.T, split string, times []string, more string) [3][]int {
	t.Helper()
	var b strings.Builder
	b.WriteString("y,n,time\n")
	for i, at := range times {
		fmt.Fprintf(&b, "%d,%d,%s\n", i%2, i, at)
	}
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t,
		"{type: csv, path: "+datatest.WriteFile(t, "t.csv", b.String())+more+", label: y, time: time, columns: {n: numeric}, split: "+split+"}"),
		o)
	var out [3][]int
	for i, src := range []data.Source{s.Train, s.Valid, s.Test} {
		if src == nil {
			continue
		}
		for _, v := range datatest.Read(t, src).Dense {
			out[i] = append(out[i], int(v))
		}
		if i > 0 && !slices.IsSorted(out[i]) {
			t.Errorf("part %d is not in the order of the file", i)
		}
		slices.Sort(out[i])
	}
	return out
}

func TestSplit(t *testing.T) {
	times := strings.Fields("5 1 3 3 3 9 7 3 2 8")
	dates := make([]string, len(times))
	for i, s := range times {
		dates[i] = "2020-01-0" + s
	}
	for _, c := range []struct {
		split string
		want  [3]string
	}{
		{"{by: order, ratio: [0.5, 0.2, 0.3]}", [3]string{"[0 1 2 3 4]", "[5 6]", "[7 8 9]"}},
		{"{by: order, ratio: [0.8, 0.2]}", [3]string{"[0 1 2 3 4 5 6 7]", "[8 9]", "[]"}},
		{"{by: order, ratio: [0.8, 0, 0.2]}", [3]string{"[0 1 2 3 4 5 6 7]", "[]", "[8 9]"}},
		{"{by: order, counts: [7, 1, 2]}", [3]string{"[0 1 2 3 4 5 6]", "[7]", "[8 9]"}},
		{"{by: time, counts: [3, 2, 5]}", [3]string{"[1 2 8]", "[3 4]", "[0 5 6 7 9]"}}, // four rows at time 3
		{"{by: time, ratio: [0.6, 0.1, 0.3]}", [3]string{"[1 2 3 4 7 8]", "[0]", "[5 6 9]"}},
		{"{by: time, ratio: [0.6, 0.4]}", [3]string{"[1 2 3 4 7 8]", "[0 5 6 9]", "[]"}},
	} {
		for _, at := range [][]string{times, dates} {
			got := partsOf(t, c.split, at, "")
			for i := range got {
				if s := fmt.Sprint(got[i]); s != c.want[i] {
					t.Errorf("%s: part %d = %s, want %s", c.split, i, s, c.want[i])
				}
			}
		}
	}
}

func TestRandomSplit(t *testing.T) {
	const n = 5000
	times := slices.Repeat([]string{"1"}, n)
	all := func(p [3][]int) []int {
		out := slices.Concat(p[0], p[1], p[2])
		slices.Sort(out)
		return out
	}
	ratio := partsOf(t, "{ratio: [0.7, 0.2, 0.1]}", times, "")
	exact := partsOf(t, "{counts: [3500, 1000, 500]}", times, "")
	for _, p := range [][3][]int{ratio, exact} {
		if !slices.Equal(all(p), datatest.Count(n)) {
			t.Error("the parts are not a partition of the rows")
		}
		for i, share := range []float64{.7, .2, .1} {
			if got := float64(len(p[i])) / n; math.Abs(got-share) > .02 {
				t.Errorf("part %d has %.3f of the rows, want %g", i, got, share)
			}
			mean := 0.0
			for _, r := range p[i] {
				mean += float64(r) / float64(len(p[i])) / n
			}
			if math.Abs(mean-.5) > .045 {
				t.Errorf("part %d lies around %.2f of the file, want .5", i, mean)
			}
		}
	}
	if len(exact[0]) != 3500 || len(exact[1]) != 1000 || len(exact[2]) != 500 {
		t.Errorf("counts: %d, %d, %d rows", len(exact[0]), len(exact[1]), len(exact[2]))
	}
	if again := partsOf(t, "{ratio: [0.7, 0.2, 0.1]}", times, ""); !slices.Equal(again[2], ratio[2]) {
		t.Error("the same seed splits in another way")
	}
	if other := partsOf(t, "{ratio: [0.7, 0.2, 0.1], seed: 2}", times, ""); slices.Equal(other[2], ratio[2]) {
		t.Error("another seed splits in the same way")
	}
}

func TestSplitRefuses(t *testing.T) {
	path := datatest.WriteFile(t, "t.csv", "y,n\n1,1\n0,2\n1,3\n")
	for split, want := range map[string]string{
		"{counts: [1, 1]}":                 "data: split.counts sum to 2, path has 3 rows; make them equal",
		"{by: order, ratio: [0.99, 0.01]}": "data: the split leaves no valid rows; give that part a larger share",
	} {
		o, _ := datatest.Options(t)
		_, err := datatest.Section(t, "{type: csv, path: "+path+", label: y, columns: {n: numeric}, split: "+split+"}").Open(t.Context(), o)
		if err == nil || err.Error() != want {
			t.Errorf("%s: error = %v, want %s", split, err, want)
		}
	}
}

// What is fitted comes from train rows alone.
func TestFitOnTrainOnly(t *testing.T) {
	o, _ := datatest.Options(t)
	path := datatest.WriteFile(t, "t.csv", "y,a,n\n1,p,1\n0,p,3\n1,q,100\n0,r,200\n")
	s := datatest.Open(t, datatest.Section(t,
		"{type: csv, path: "+path+", label: y, columns: {a: categorical, n: {type: numeric, transform: standardize}}, split: {by: order, counts: [2, 1, 1]}}"), o)
	if v := s.Map.Table("a"); fmt.Sprint(v.Tokens) != "[p]" || s.Map.Rows != 2 {
		t.Errorf("tokens %q of %d rows, want p of 2", v.Tokens, s.Map.Rows)
	}
	if f := s.Map.Features[1]; f.Mean != 2 || f.Std != 1 {
		t.Errorf("mean %g, deviation %g, want 2, 1", f.Mean, f.Std)
	}
	if got := datatest.Read(t, s.Test); got.IDs["a"][0] != data.OOVID || got.Dense[0] != 198 {
		t.Errorf("test row: id %d, number %g, want 1, 198", got.IDs["a"][0], got.Dense[0])
	}
}

func TestManyFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 12 {
		text := fmt.Sprintf("y,n\n1,%d\n0,%d\n", 2*i, 2*i+1)
		name := fmt.Sprintf("part-%02d.csv", i)
		if i%3 == 1 {
			name, text = name+".gz", datatest.Gzip(t, text)
		} else if i%3 == 2 {
			name, text = name+".zst", datatest.Zstd(t, text)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o, _ := datatest.Options(t)
	sec := "{type: csv, path: PATH, label: y, columns: {n: numeric}, split: {by: order, counts: [1, 23]}}"
	s := datatest.Open(t, datatest.Section(t, strings.Replace(sec, "PATH", dir+"/part-*", 1)), o)
	for i, v := range datatest.Read(t, s.Valid).Dense {
		if int(v) != i+1 {
			t.Fatalf("row %d is %g: the files are not in the order of their names", i+1, v)
		}
	}
	for path, want := range map[string]string{
		dir + "/x-*.csv": "data: no file matches",
		dir + "/x.csv":   "no such file; check the path",
		dir:              "is a directory; name its files, for instance by",
		"[" + dir + "/part-00.csv, " + dir + "/part-*]": "is named twice",
		dir + "/part-[": "syntax error in pattern",
	} {
		if !strings.HasPrefix(path, "[") {
			path = "'" + path + "'"
		}
		_, err := datatest.Section(t, strings.Replace(sec, "PATH", path, 1)).Open(t.Context(), o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error = %v, want %s", path, err, want)
		}
	}
}

func TestDamagedArchives(t *testing.T) {
	text := "y,n\n" + strings.Repeat("1,12345\n0,999\n", 5000)
	for _, c := range []struct{ name, whole string }{{"t.csv.gz", datatest.Gzip(t, text)}, {"t.csv.zst", datatest.Zstd(t, text)}} {
		flipped := []byte(c.whole)
		flipped[len(flipped)-3] ^= 1
		for what, bad := range map[string]string{
			"truncated": c.whole[:len(c.whole)/2], "header": c.whole[:3], "plain": text,
			"checksum": string(flipped),
		} {
			path := datatest.WriteFile(t, c.name, bad)
			o, _ := datatest.Options(t)
			_, err := datatest.Section(t, "{type: csv, path: "+path+", label: y, columns: {n: numeric}}").Open(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: error = %v, want one that names the file", what, c.name, err)
			}
			if what == "truncated" && err != nil && !strings.Contains(err.Error(), "is truncated") {
				t.Errorf("%s %s: error = %v", what, c.name, err)
			}
			left, _ := os.ReadDir(o.CacheDir)
			if len(left) > 0 {
				t.Errorf("%s %s: left %v", what, c.name, left)
			}
		}
	}
}

func TestCancel(t *testing.T) {
	path := datatest.Numbered(t, 100)
	o, _ := datatest.Options(t)
	d := datatest.Section(t, strings.ReplaceAll(datatest.NumberedSection, "FILE", path)+"}")
	m := datatest.Open(t, d, o).Map
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.CacheDir = t.TempDir()
	if _, err := d.Open(ctx, o); err == nil {
		t.Error("a cancelled Open has no error")
	}
	rows, err := datatest.TryRead(d.Stream(ctx, path, m, data.StreamOptions{}))
	if err == nil {
		t.Errorf("a cancelled stream ends without error after %d rows", len(rows.Label))
	}
}
