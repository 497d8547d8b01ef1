package set_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

// TestInteractionLayouts reads one log in every layout.
func TestInteractionLayouts(t *testing.T) {
	type row struct {
		user, item string
		rating     float64
		time       int
	}
	rows := []row{{"u", "b", 5, 20}, {"v", "a", 3, 5}, {"u", "a", 4, 10}, {"u", "c", 1, 30}, {"v", "c", 2, 6}, {"v", "b", 5, 7}}
	in := func(header, format string) string {
		var b strings.Builder
		b.WriteString(header)
		for _, r := range rows {
			fmt.Fprintf(&b, format+"\n", r.user, r.item, r.rating, r.time)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ text, options string }{
		"movielens_100k": {in("", "%s\t%s\t%g\t%d"), ""},
		"movielens_1m":   {in("", "%s::%s::%g::%d"), ""},
		"movielens":      {in("userId,movieId,rating,timestamp\n", "%s,%s,%g,%d"), ""},
		"amazon":         {in("", "%s,%s,%g,%d"), ""},
		"amazon_reviews": {in("", `{"reviewerID": %q, "asin": %q, "overall": %g, "unixReviewTime": %d, "verified": true}`), ""},
		"recbole":        {in("user_id:token\titem_id:token\trating:float\ttimestamp:float\n", "%s\t%s\t%g\t%d"), ""},
		"log":            {in("who|what|stars|when\n", "%s|%s|%g|%d"), "user: who\nitem: what\ntime: when\nrating: stars\ndelimiter: '|'"},
		"log names":      {in("", "%s %s %g %d"), "names: [who, what, stars, when]\nuser: who\nitem: what\ntime: when\ndelimiter: ' '"},
		"sequences":      {"u a b c\nv a c b\n", ""},
		"pairs":          {"u a\nu b\nv a\nv c\nu c\nv b\n", ""},
	} {
		layout, _, _ := strings.Cut(name, " ")
		d := datatest.Section(t, fmt.Sprintf("type: interactions\nlayout: %s\npath: %s\nnegatives: 0\neval_negatives: 0\nmin_history: 0\nmax_len: 3\n%s",
			layout, datatest.WriteFile(t, "log", c.text), c.options))
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		if got := rowWords(t, s, s.Test); !slices.Equal(got, []string{"a b > c", "a c > b"}) {
			t.Errorf("%s: test rows %q", name, got)
		}
		if got := rowWords(t, s, s.Valid); !slices.Equal(got, []string{"a > b", "a > c"}) {
			t.Errorf("%s: validation rows %q", name, got)
		}
	}
}

// TestWindows: with a stride, each action of a long history is the next one of some row; with max_len, of one row.
func TestWindows(t *testing.T) {
	var log strings.Builder
	for u, n := range []int{1, 2, 3, 5, 6, 7, 8, 13, 40} {
		fmt.Fprintf(&log, "u%d", u)
		for i := range n {
			fmt.Fprintf(&log, " i%d", i)
		}
		log.WriteString("\n")
	}
	path := datatest.WriteFile(t, "log", log.String())
	const maxLen = 4
	for _, stride := range []int{0, 1, 3, 4} {
		d := datatest.Section(t, fmt.Sprintf("type: interactions\nlayout: sequences\nrows: sequences\nmax_len: %d\nstride: %d\npath: %s", maxLen, stride, path))
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		r := datatest.Read(t, s.Train)
		next := map[string]int{} // how often an action is the next one
		for i, y := range r.Label {
			row := r.IDs["history"][i*maxLen : (i+1)*maxLen]
			n := slices.Index(row, data.PadID)
			if n < 0 {
				n = maxLen
			}
			for k := range n {
				id := int32(y)
				if k+1 < n {
					id = row[k+1]
				}
				w, _ := s.Map.Token("history", id)
				before, _ := s.Map.Token("history", row[k])
				var have, want int
				fmt.Sscanf(w, "i%d", &have)
				if fmt.Sscanf(before, "i%d", &want); have != want+1 {
					t.Fatalf("stride %d: %s is followed by %s", stride, before, w)
				}
				next[fmt.Sprint(r.Group[i], " ", w)]++
			}
		}
		once, twice, want := 0, 0, 0
		for _, n := range next {
			if once++; n > 1 {
				twice++
			}
		}
		for _, n := range []int{1, 2, 3, 5, 6, 7, 8, 13, 40} {
			if n >= 3 {
				n -= 2
			}
			if stride == 0 {
				n = min(n, maxLen+1)
			}
			want += n - 1
		}
		if once != want || (stride == 0 || stride == maxLen) && twice > 0 || stride == 1 && twice == 0 {
			t.Errorf("stride %d: %d actions are predicted, %d of them more than once; want %d", stride, once, twice, want)
		}
	}
}

// itemsCase is the section of a file of what is known of the items i0 to i8, but for i5.
func itemsCase(t testing.TB) string {
	return "items: {path: " + datatest.WriteFile(t, "items", "item,kind,tags\ni0,a,x|y\ni1,b,\ni2,a,y\ni3,c,z|x\ni4,b,x\ni6,a,\ni7,c,x|y\ni8,b,y|x\nj1,d,q\n") +
		", columns: {kind: {}, tag: {from: [tags], separator: '|'}}}"
}

// TestItems: what a file knows of items, in the layouts that files have, at the item and at each position of the history.
func TestItems(t *testing.T) {
	for _, c := range []struct {
		name, text, options string
		want                map[string]string // by item; d is not in the file
	}{
		{"header", "item,kind\na,A\nb,B\nc,A\nz,Z\n", "columns: {kind: {}}", map[string]string{"a": "A", "b": "B", "c": "A"}},
		{"names", "a::x (1995)::A|B\nb::y::B\nc::z::C|A\n", "delimiter: '::', names: [item, title, genres], columns: {kind: {from: [genres], separator: '|'}}", map[string]string{"a": "A", "b": "B", "c": "C"}},
		{"all", "a::x (1995)::A|B\nb::y::B\nc::z::C|A\n", "delimiter: '::', names: [item, title, genres], columns: {kind: {from: [genres], separator: '|', several: all}}", map[string]string{"a": "A|B", "b": "B", "c": "C|A"}},
		{"latin1", "a|Caf\xe9|1|0\nb|x|0|1\nc|x|1|1\n", "delimiter: '|', encoding: latin1, names: [item, title, A, B], columns: {kind: {from: [A, B], several: all}}", map[string]string{"a": "A", "b": "B", "c": "A|B"}},
		{"latin1 values", "a|Caf\xe9\nb|x\nc|x\n", "delimiter: '|', encoding: latin1, names: [item, title], columns: {kind: {from: [title]}}", map[string]string{"a": "Café", "b": "x", "c": "x"}},
		{"pairs", "a,A\na,B\nb,B\nc,C\na,A\n", "names: [item, kind], columns: {kind: {several: all}}", map[string]string{"a": "A|B", "b": "B", "c": "C"}},
		{"blanks", "item\tkind\r\na\t A \r\nb\t\r\nc\t\"C\"\r\n", "delimiter: tab, columns: {kind: {}}", map[string]string{"a": "A", "c": "C"}},
	} {
		for _, rows := range []string{"candidates", "sequences"} {
			d := datatest.Section(t, fmt.Sprintf("type: interactions\nlayout: sequences\nrows: %s\nmax_len: 3\nnegatives: 0\neval_negatives: 0\npath: %s\nitems: {path: %s, %s}",
				rows, datatest.WriteFile(t, "log", "u a b c d\nv d c b a\nw b a c\n"), datatest.WriteFile(t, "items", c.text), c.options))
			o, log := datatest.Options(t)
			s := datatest.Open(t, d, o)
			known := func(item, column string, id, side int32) {
				name, _ := s.Map.Token(item, id)
				got, ok := s.Map.Token(column, side)
				if want, have := c.want[name]; got != want || ok != have || (side == data.OOVID) != (name != "" && !have) {
					t.Errorf("%s, %s: %s of %q is %q (%d), want %q", c.name, rows, column, name, got, side, want)
				}
			}
			for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
				r := datatest.Read(t, src)
				for i := range r.IDs["item"] {
					known("item", "kind", r.IDs["item"][i], r.IDs["kind"][i])
				}
				for i := range r.IDs["history"] {
					known("history", "history_kind", r.IDs["history"][i], r.IDs["history_kind"][i])
				}
			}
			if !strings.Contains(log.String(), "items of which nothing is known") || !strings.Contains(log.String(), fmt.Sprint("items=", 4-len(c.want))) {
				t.Errorf("%s: the log does not say that items lack: %s", c.name, log.String())
			}
		}
	}
	for _, c := range []struct{ name, text, options, want string }{
		{"empty", "", "columns: {kind: {}}", "items: the file is empty"},
		{"no column", "item,x\n", "columns: {kind: {}}", "items:1: no column kind (items.columns.kind); there are item, x"},
		{"no item", "thing,kind\n", "columns: {kind: {}}", "items:1: no column item (items.item)"},
		{"a cell less", "item,kind\na\n", "columns: {kind: {}}", "items:2: 1 cells, want 2"},
		{"latin1 as UTF-8", "item,kind\na,Caf\xe9\n", "columns: {kind: {}}", "items:2: invalid UTF-8"},
		{"a NUL", "item,kind\na,\x00\n", "columns: {kind: {}}", "items:2: holds a NUL"},
		{"two", "item,A,B\na,1,2\n", "columns: {kind: {from: [A, B]}}", `items:2: column B: "2" is neither 0 nor 1`},
		{"too many", "item,kind\na,0" + values(2000) + "\n", "columns: {kind: {separator: '|', several: all}}", "items:2: column kind: an item has more than 1000 values"},
		{"other items", "item,kind\nA,x\nB,y\n", "columns: {kind: {}}", "items: has no kind of any item of the log"},
		{"a name that is taken", "item,kind\na,x\n", "columns: {history: {from: [kind]}}", `a feature cannot have the name "history"`},
		{"several", "item,kind\na,x\n", "columns: {kind: {several: mean}}", `several is "mean"; want first or all`},
		{"nothing", "item,kind\na,x\n", "item: item", "names no feature"},
		{"encoding", "item,kind\na,x\n", "encoding: utf-16, columns: {kind: {}}", "encoding"},
	} {
		d, err := datatest.TrySection(fmt.Sprintf("type: interactions\nlayout: sequences\nnegatives: 0\neval_negatives: 0\npath: %s\nitems: {path: %s, %s}",
			datatest.WriteFile(t, "log", "u a b c d\nv d c b a\nw b a c\n"), datatest.WriteFile(t, "items", c.text), c.options))
		if err == nil {
			o, _ := datatest.Options(t)
			_, err = d.Open(t.Context(), o)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// values returns n values, a separator before each.
func values(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "|v%d", i)
	}
	return b.String()
}

// TestAligned: sequences of one row that describe the same events have equally many tokens, or the row cannot be read.
func TestAligned(t *testing.T) {
	for _, c := range []struct{ row, options, want string }{
		{"1,a,a|b|c,x;y;x", "", ""},
		{"1,a,,", "", ""},
		{"1,a,\"a|b\",\"x;y\"", "", ""},
		{"1,a,a|b,x", "", "rows.csv:4: column kinds: has 1 tokens, but items, which it is aligned with, has 2"},
		{"1,a,a|b,\"x;y;z\"", "", "rows.csv:4: column kinds: has 3 tokens, but items, which it is aligned with, has 2"},
		{"1,a,,x", "", "rows.csv:4: column kinds: has 1 tokens"},
		{"1,a,a|b|c,x;;y", "", "rows.csv:4: column kinds: has a blank token"},
		{"1,a,a|b|,x;y;z", "", "rows.csv:4: column items: has a blank token"},
		{"1,a,a,x", "max_len: 3", "columns.kinds: aligned: items is no column of sequences with the same max_len and keep"},
		{"1,a,a,x", "aligned: item", "aligned: item is no column of sequences"},
	} {
		if !strings.Contains(c.options, "aligned") {
			c.options = "aligned: items, " + c.options
		}
		path := datatest.WriteFile(t, "rows.csv", "y,item,items,kinds\n0,a,b,x\n1,b,a|c,x;y\n"+c.row+"\n")
		d, err := datatest.TrySection(fmt.Sprintf("type: csv\npath: %s\nlabel: y\ncolumns: {item: categorical, items: {type: sequence, share: item}, "+
			"kinds: {type: sequence, separator: ';', %s}}", path, c.options))
		if err == nil {
			o, _ := datatest.Options(t)
			_, err = d.Open(t.Context(), o)
		}
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s, %s: %v, want %q", c.row, c.options, err, c.want)
		}
	}
}

// rowWords returns rows as "history > item".
func rowWords(t testing.TB, s *data.Splits, src data.Source) (out []string) {
	t.Helper()
	r := datatest.Read(t, src)
	n := s.Map.Features[1].MaxLen
	for i, id := range r.IDs["item"] {
		var line []string
		for _, h := range r.IDs["history"][i*n : (i+1)*n] {
			if w, ok := s.Map.Token("item", h); ok {
				line = append(line, w)
			}
		}
		w, _ := s.Map.Token("item", id)
		out = append(out, strings.Join(append(line, ">", w), " "))
	}
	return out
}

func TestInteractionsRefuse(t *testing.T) {
	for _, c := range []struct{ name, text, options, want string }{
		{"cells", "u,a,1,1\nu,b,2\n", "layout: amazon", ":2: 3 cells, want 4"},
		{"time", "u,a,1,1\nu,b,2,soon\n", "layout: amazon", `:2: column time: "soon" is not a time`},
		{"mixed", "u,a,1,1\nu,b,2,2020-01-01\n", "layout: amazon", "they have no order"},
		{"blank item", "u,,1,1\n", "layout: amazon", ":1: column item: is blank"},
		{"column", "u,a,1,1\n", "layout: movielens", "no column userId (user)"},
		{"header", "a,b,c\n", "layout: log", "no column user (user); there are a, b, c"},
		{"json", "{\n", "layout: amazon_reviews", "is no JSON object"},
		{"field", `{"asin": "a", "unixReviewTime": 1}`, "layout: amazon_reviews", "column reviewerID: is missing"},
		{"empty", "", "layout: pairs", "has no actions"},
		{"words", "u a b\n", "layout: pairs", ":1: 3 words, want two"},
		{"core", "u a\nv b\n", "layout: pairs\nmin_user: 5", "min_user 5 and min_item 0 leave none of 2 actions"},
		{"negatives", "u a\nu b\nu c\nu d\nv a\n", "layout: pairs\nnegatives: 3", `user "u" had all but 0 of 4 items, which leaves no 3 negatives`},
		{"no times", "u a\n", "layout: pairs\nsplit: time", "has no times"},
		{"ratings that are not named", "user,item\nu,a\n", "min_rating: 2", "min_rating: needs ratings; set rating to the name of their column"},
		{"no ratings", "u a\n", "layout: pairs\nmin_rating: 2", "min_rating: the layout pairs has no ratings"},
		{"a rating that is NaN", "u,a,nan,1\n", "layout: amazon\nmin_rating: 2", `:1: column rating: "nan" is not a number`},
		{"no rating is high enough", "u,a,-1,1\n", "layout: amazon\nmin_rating: 2", "no action has a rating of 2 or more"},
		{"drawn and timed", "u,a,1,1\n", "layout: amazon\norder: random\nsplit: time", "order: random has no moments to split at"},
		{"one action each", "u a\nv b\n", "layout: pairs\nnegatives: 0", "the split leaves no train rows"},
		{"a stride that loses actions", "u a b c d\n", "layout: sequences\nrows: sequences\nmax_len: 3\nstride: 4", "stride"},
		{"a stride of candidates", "u a b c d\n", "layout: sequences\nstride: 4", "stride: is for rows: sequences"},
		{"binary", "u\x00 a\n", "layout: pairs", "NUL"},
	} {
		d, err := datatest.TrySection(fmt.Sprintf("type: interactions\npath: %s\neval_negatives: 0\n%s", datatest.WriteFile(t, "log", c.text), c.options))
		if err == nil {
			o, _ := datatest.Options(t)
			_, err = d.Open(t.Context(), o)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestNegatives holds what negatives promise: they are items that the user never had, distinct, drawn anew in each epoch, and drawn
// once for evaluation.
func TestNegatives(t *testing.T) {
	for _, by := range []string{"uniform", "popularity"} {
		d := datatest.Section(t, "type: synthetic_interactions\nusers: 100\nitems: 300\nnegatives: 4\neval_negatives: 20\nmax_len: 10\nnegatives_by: "+by)
		o, _ := datatest.Options(t)
		s := datatest.Open(t, d, o)
		if s.Train.Rows()%5 != 0 || s.Train.Rows() < 1000 || s.Test.Rows() != 100*21 {
			t.Fatalf("%d train and %d test rows", s.Train.Rows(), s.Test.Rows())
		}
		had := map[int64]map[int32]bool{} // by user
		note := func(group int64, id int32) {
			if had[group] == nil {
				had[group] = map[int32]bool{}
			}
			had[group][id] = true
		}
		first := map[string]bool{}
		collect := func(src data.Source, epoch int, do func(user int64, id int32, label float32)) {
			for b, err := range src.Batches(epoch, 1000) {
				if err != nil {
					t.Fatal(err)
				}
				for i := range b.N {
					do(b.Group[i], b.IDs["item"][i], b.Label[i])
				}
			}
		}
		for _, src := range []data.Source{s.Train, s.Valid, s.Test} {
			collect(src, 0, func(u int64, id int32, label float32) {
				if label == 1 {
					note(u, id)
				}
			})
		}
		var again, total int
		for epoch := range 2 {
			collect(s.Train, epoch, func(u int64, id int32, label float32) {
				if label == 1 {
					return
				}
				if had[u][id] {
					t.Fatalf("%s: user %d had %d, which is a negative", by, u, id)
				}
				key := fmt.Sprint(u, " ", id)
				if epoch == 0 {
					first[key] = true
				} else if total++; first[key] {
					again++
				}
			})
		}
		if by == "uniform" && float64(again) > .4*float64(total) {
			t.Errorf("%d of %d negatives of the second epoch are those of the first", again, total)
		}
		a, b := datatest.Read(t, s.Test), datatest.Read(t, s.Test)
		if !slices.Equal(a.IDs["item"], b.IDs["item"]) {
			t.Error("the negatives of test rows are drawn anew")
		}
	}
}

// TestCounts holds that the counts of a schema are those of the train rows alone, while those of the vocabulary are the log's.
func TestCounts(t *testing.T) {
	d := datatest.Section(t, "type: interactions\nlayout: sequences\nrows: sequences\npath: "+datatest.WriteFile(t, "log", "u a b a c d\nv b e\nw e b a\n"))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	v := s.Map.Table("item")
	for name, want := range map[string]int64{"a": 2, "b": 2, "c": 0, "d": 0, "e": 2} { // v is trained on alone; a and b come last of w
		if got := s.Train.Schema().Counts["item"][v.ID([]byte(name))]; got != want {
			t.Errorf("item %s: %d in train rows, want %d", name, got, want)
		}
	}
	if got := s.Schema.Counts["item"]; len(got) != v.Size() {
		t.Errorf("%d counts, want %d", len(got), v.Size())
	}
}

// TestEverything has each action to predict among all items that its user had not had, whatever the size of the batches.
func TestEverything(t *testing.T) {
	d := datatest.Section(t, "type: interactions\nlayout: sequences\nnegatives: 0\neval_negatives: 1\nmax_len: 2\npath: "+
		datatest.WriteFile(t, "log", "u a b a c d\nv b e a\nw e b a b\n"))
	o, _ := datatest.Options(t)
	s := datatest.Open(t, d, o)
	name := func(id int32) string {
		w, _ := s.Map.Token("item", id)
		return w
	}
	for _, size := range []int{1, 2, 3, 5, 100} {
		src := s.Test.(data.Candidates).Everything()
		if src.Items() != 5 {
			t.Errorf("%d items, want 5", src.Items())
		}
		var got []string
		for b, err := range src.Batches(0, size) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range b.N {
				h := b.IDs["history"][2*i : 2*i+2]
				got = append(got, fmt.Sprintf("%s%s>%s %v", name(h[0]), name(h[1]), name(b.IDs["item"][i]), b.Label[i]))
			}
			if b.Size != size || b.N < size && slices.ContainsFunc(b.IDs["item"][b.N:], func(id int32) bool { return id != 0 }) {
				t.Errorf("batch of %d of %d rows, %d wanted: %v", b.N, b.Size, size, b.IDs["item"])
			}
		}
		slices.Sort(got)
		want := []string{"ac>d 1", "ac>e 0", "ba>b 1", "ba>c 0", "ba>d 0", "be>a 1", "be>c 0", "be>d 0"} // w had b before
		if !slices.Equal(got, want) {
			t.Errorf("in batches of %d: %q, want %q", size, got, want)
		}
	}
	d = datatest.Section(t, "type: interactions\nlayout: sequences\nrows: sequences\npath: "+datatest.WriteFile(t, "log", "u a b a c d\n"))
	if all := datatest.Open(t, d, o).Test.(data.Candidates).Everything(); all != nil {
		t.Errorf("sequences have candidates: %v", all)
	}
}

// interactionsCase is a log without negatives, which are others in each epoch: TestNegatives has them.
func interactionsCase(t testing.TB, rows, more string) datatest.Case {
	var log strings.Builder
	for u := range 12 {
		fmt.Fprintf(&log, "u%d", u)
		for i := range 3 + u%4 {
			fmt.Fprintf(&log, " i%d", (u*i+u+i)%9)
		}
		log.WriteString("\n")
	}
	d := datatest.Section(t, fmt.Sprintf("type: interactions\nlayout: sequences\nrows: %s\nmax_len: 4\nnegatives: 0\neval_negatives: 0\npath: %s\n%s",
		rows, datatest.WriteFile(t, "log", log.String()), more))
	return datatest.Case{Data: d, Test: func(t testing.TB, s *data.Splits) (string, []map[string]any) {
		if rows == "sequences" {
			return sequencesOf(t, s)
		}
		text, list := "label,user,item,history\n", []map[string]any(nil)
		for u, row := range rowWords(t, s, s.Test) {
			items, item, _ := strings.Cut(row, " > ")
			before := strings.Fields(items)
			text += fmt.Sprintf("1,u%d,%s,%s\n", u, item, strings.Join(before, "|"))
			list = append(list, map[string]any{"item": item, "history": before, "user": u})
		}
		return datatest.WriteFile(t, "rows.csv", text), list
	}}
}

// sequencesOf returns the test rows as a log, and in memory.
func sequencesOf(t testing.TB, s *data.Splits) (path string, list []map[string]any) {
	r := datatest.Read(t, s.Test)
	n, text := s.Map.Features[0].MaxLen, ""
	for u, y := range r.Label {
		var before []string
		for _, h := range r.IDs["history"][u*n : (u+1)*n] {
			if w, ok := s.Map.Token("history", h); ok {
				before = append(before, w)
			}
		}
		next, _ := s.Map.Token("history", int32(y))
		text += fmt.Sprintf("u%d %s %s\n", u, strings.Join(before, " "), next)
		list = append(list, map[string]any{"history": append(before, next)})
	}
	return datatest.WriteFile(t, "log", text), list
}

// synthInteractionsCase has rows without negatives, which TestNegatives has.
func synthInteractionsCase(t testing.TB) datatest.Case {
	d := datatest.Section(t, "type: synthetic_interactions\nusers: 20\nitems: 30\nactions: 5\nrows: sequences\nmax_len: 4\ncategories: 3")
	return datatest.Case{Data: d, Test: func(t testing.TB, s *data.Splits) (string, []map[string]any) { return sequencesOf(t, s) }}
}
