package table_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// draftSection has a column of each kind.
const draftSection = `{type: csv, path: [FILE0, FILE1], valid_path: [VALID], label: y, group: g, time: t, bad_rows: skip, columns: {
	rare: {type: categorical, min_count: 3}, few: {type: categorical, max_size: 5}, bucket: {type: categorical, hash: 7},
	item: categorical, tags: {type: multi, separator: "|", max_len: 3}, last: {type: sequence, separator: "|", max_len: 4, share: item},
	first: {type: sequence, separator: " ", max_len: 2, keep: first}, count: {type: numeric, transform: log_square_bucket},
	raw: {type: numeric, fill: 2}, log: {type: numeric, transform: log1p}, mean: {type: numeric, transform: standardize}}, SPLIT}`

// draftFile writes rows, of which every fortieth cannot be read if bad is set. Lines that hold nothing are no rows.
func draftFile(t *testing.T, name string, rows int, bad bool) string {
	t.Helper()
	r := rand.New(rand.NewPCG(uint64(rows), 3))
	some := func(n int) string {
		return []string{"", "a long token of that column "}[r.IntN(2)] + fmt.Sprint(r.IntN(n))
	}
	list := func(separator string) string {
		var tokens []string
		for range r.IntN(7) {
			tokens = append(tokens, some(9))
		}
		return strings.Join(tokens, separator)
	}
	number := func() string {
		return []string{"", fmt.Sprint(r.IntN(2000)), fmt.Sprint(-r.Float64() * 30), fmt.Sprint(r.ExpFloat64() * 1e4)}[r.IntN(4)]
	}
	var b strings.Builder
	fmt.Fprintln(&b, "y,g,t,rare,few,bucket,item,tags,last,first,count,raw,log,mean")
	for i := range rows {
		label := fmt.Sprint(r.IntN(2))
		if bad && i%40 == 20 {
			label = "2"
		}
		fmt.Fprintf(&b, "%s,%d,%d,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", label, r.IntN(5), r.IntN(1000), some(rows/2), some(12), some(30), some(9), list("|"),
			list("|"), list(" "), number(), number(), number(), number())
		if bad && i%100 == 99 {
			fmt.Fprintln(&b)
		}
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDraft compares what one pass writes, the feature map and the rows, with what two passes write. Without parts of the files of path no
// rows are written while the map is fitted.
func TestDraft(t *testing.T) {
	files := []string{draftFile(t, "0.csv", 9000, true), draftFile(t, "1.csv", 3000, false)}
	valid := draftFile(t, "valid.csv", 50, false)
	for name, split := range map[string]string{
		"none": "", "random": "{ratio: [.6, 0, .4]}", "order": "{by: order, ratio: [.6, 0, .4]}", "time": "{by: time, ratio: [.6, 0, .4]}",
		"random counts": "{counts: [7000, 0, 4775]}", "order counts": "{by: order, counts: [7000, 0, 4775]}",
	} {
		t.Run(name, func(t *testing.T) {
			if split != "" {
				split = "split: " + split
			}
			section := datatest.Section(t, strings.NewReplacer("FILE0", files[0], "FILE1", files[1], "VALID", valid, "SPLIT", split,
				"\n", " ", "\t", "").Replace(draftSection))
			twice := data.OpenOptions{CacheDir: t.TempDir(), Threads: 1, Only: "valid"}
			datatest.Open(t, section, twice)
			twice.Only = ""
			datatest.Open(t, section, twice)
			want := datatest.Files(t, twice.CacheDir)
			for _, threads := range []int{1, 3} {
				o, log := datatest.Options(t)
				o.Threads = threads
				s := datatest.Open(t, section, o)
				if strings.Contains(log.String(), "read again") {
					t.Errorf("%d threads: %s", threads, log)
				}
				if s.Train.Rows() < 5000 {
					t.Errorf("%d train rows", s.Train.Rows())
				}
				got := datatest.Files(t, o.CacheDir)
				for name := range want {
					if got[name] != want[name] {
						t.Errorf("%d threads: %s has %d bytes, want these %d", threads, name, len(got[name]), len(want[name]))
					}
				}
				if len(got) != len(want) {
					t.Errorf("%d threads: there are %d files, want %d", threads, len(got), len(want))
				}
			}
		})
	}
}
