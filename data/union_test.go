package data_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/splice-ml/splice/data"

	"github.com/splice-ml/splice/data/datatest"
	_ "github.com/splice-ml/splice/data/set"
)

// vocabularyOf draws a vocabulary of tokens with odd characters.
func vocabularyOf(t *rapid.T, name string) *data.Vocabulary {
	token := rapid.OneOf(rapid.SampledFrom([]string{
		"", " ", "a", "A", "ä", "a\u0308", "\t", `"`, `\`, "<&>", "\u2028", "日本", "0", "00", "-1",
		"\U0001F600", "\ufffd",
	}), rapid.StringN(0, 3, 8))
	v := &data.Vocabulary{Name: name, Tokens: rapid.SliceOfNDistinct(token, 0, 12, rapid.ID[string]).Draw(t, "tokens")}
	v.Counts = rapid.SliceOfN(rapid.Int64Range(0, 99), len(v.Tokens)+2, len(v.Tokens)+2).Draw(t, "counts")
	return v
}

// mapOver returns a feature map with these tables, a feature each, and a number.
func mapOver(rows int64, mean float64, tables ...*data.Vocabulary) *data.FeatureMap {
	m := &data.FeatureMap{Version: 1, Rows: rows, Tables: tables}
	m.Features = append(m.Features, data.MapFeature{Name: "age", Kind: data.Numeric, Transform: data.Standardize, Mean: mean, Std: 2})
	for _, v := range tables {
		m.Features = append(m.Features, data.MapFeature{Name: "f" + v.Name, Table: v.Name})
	}
	return m
}

// TestUnionOf: what is known of items goes with them; of one that two maps know, what the first does, if it knows anything.
func TestUnionOf(t *testing.T) {
	of := func(items []string, categories ...string) *data.FeatureMap {
		item := &data.Vocabulary{Name: "item", Tokens: items, Counts: make([]int64, 2+len(items))}
		c := &data.Vocabulary{Name: "category", Of: []int32{0, 1}}
		for _, name := range categories {
			if name != "" && !slices.Contains(c.Tokens, name) {
				c.Tokens = append(c.Tokens, name)
			}
		}
		c.Counts = make([]int64, c.Size())
		for _, name := range categories {
			c.Of = append(c.Of, c.ID([]byte(name)))
		}
		return &data.FeatureMap{Version: data.MapVersion, Tables: []*data.Vocabulary{item, c}, Features: []data.MapFeature{
			{Name: "item", Table: "item"}, {Name: "category", Table: "category", From: "item"},
		}}
	}
	a, b := of([]string{"x", "y", "z"}, "red", "", "blue"), of([]string{"z", "y", "w"}, "green", "red", "white")
	u, err := data.Union(a, b)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"x": "red", "y": "red", "z": "blue", "w": "white"}
	for item, category := range want {
		batch := data.NewBatch(u.Schema(false), 1)
		id, err := u.ID("item", item)
		if err != nil {
			t.Fatal(err)
		}
		batch.IDs["item"][0] = id
		u.Derive(batch)
		if got, _ := u.Token("category", batch.IDs["category"][0]); got != category {
			t.Errorf("%s is %q, want %q", item, got, category)
		}
	}
	if a.SameIDs(of([]string{"x", "y", "z"}, "red", "red", "blue")) || !a.SameIDs(of([]string{"x", "y", "z"}, "red", "", "blue")) {
		t.Error("maps have the same ids if what is known of items is the same, and only then")
	}
	for name, spoil := range map[string]func(*data.FeatureMap){
		"too few":    func(m *data.FeatureMap) { m.Tables[1].Of = m.Tables[1].Of[:3] },
		"too large":  func(m *data.FeatureMap) { m.Tables[1].Of[3] = 9 },
		"padding":    func(m *data.FeatureMap) { m.Tables[1].Of[3] = 0 },
		"no feature": func(m *data.FeatureMap) { m.Features[1].From = "thing" },
		"itself":     func(m *data.FeatureMap) { m.Features[1].From = "category" },
		"a sequence": func(m *data.FeatureMap) { m.Features[1].Kind, m.Features[1].Keep = data.Sequence, "last" },
	} {
		m := of([]string{"x", "y", "z"}, "red", "", "blue")
		if spoil(m); m.Check() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestUnion(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		var maps []*data.FeatureMap
		for i := range rapid.IntRange(1, 4).Draw(t, "maps") {
			hash := &data.Vocabulary{Name: "h", Hash: 3, Counts: []int64{0, 0, int64(i), 2, 3}}
			maps = append(maps, mapOver(int64(10+i), float64(i), vocabularyOf(t, "x"), vocabularyOf(t, "y"), hash))
		}
		base := maps[0]
		before := base.Digest()
		u, err := data.Union(base, maps[1:]...)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"x", "y"} {
			var tokens []string // as plainly as can be
			counts := map[string]int64{}
			var reserved [2]int64
			rows := int64(0)
			for _, m := range maps {
				v := m.Table(name)
				for i, token := range v.Tokens {
					if !slices.Contains(tokens, token) {
						tokens = append(tokens, token)
					}
					counts[token] += v.Counts[i+2]
				}
				reserved[0], reserved[1] = reserved[0]+v.Counts[0], reserved[1]+v.Counts[1]
				rows += m.Rows
			}
			want := append([]int64{}, reserved[:]...)
			for _, token := range tokens {
				want = append(want, counts[token])
			}
			v := u.Table(name)
			if !slices.Equal(v.Tokens, tokens) || !slices.Equal(v.Counts, want) || u.Rows != rows {
				t.Fatalf("table %s: %q %v of %d rows, want %q %v of %d", name, v.Tokens, v.Counts, u.Rows, tokens, want, rows)
			}
			for i, token := range base.Table(name).Tokens {
				if id := v.ID([]byte(token)); id != int32(i)+2 {
					t.Fatalf("token %q of the base has id %d, want %d", token, id, i+2)
				}
			}
			for k, m := range maps {
				checkRowMap(t, m.Table(name), v)
				checkRowMap(t, v, m.Table(name))
				checkRowMap(t, m.Table(name), maps[0].Table(name))
				for id, row := range data.RowMap(v, m.Table(name)) {
					if row < 0 {
						t.Fatalf("the union does not know id %d of map %d", id, k)
					}
				}
			}
		}
		n := int64(0)
		for i := range maps {
			n += int64(i)
		}
		if got, want := u.Table("h").Counts, []int64{0, 0, n, int64(2 * len(maps)), int64(3 * len(maps))}; !slices.Equal(got, want) {
			t.Fatalf("counts of buckets %v, want %v", got, want)
		}
		if !cmp.Equal(u.Features[0], base.Features[0]) {
			t.Fatalf("statistics %v, want the base's %v", u.Features[0], base.Features[0])
		}
		again := mapOver(base.Rows, 0, base.Tables...)
		if again.Digest() != before {
			t.Fatal("the base has changed")
		}
		path := filepath.Join(dir, data.MapFile)
		if err := u.Save(path); err != nil {
			t.Fatal(err)
		}
		loaded, err := data.LoadFeatureMap(path)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Digest() != u.Digest() {
			t.Fatal("a union that is saved and loaded is another map")
		}
		if !u.SameIDs(loaded) || len(u.Compatible(base)) > 0 {
			t.Fatal("a union does not go with itself or its base")
		}
	})
}

// checkRowMap compares RowMap with a search.
func checkRowMap(t *rapid.T, from, to *data.Vocabulary) {
	got := data.RowMap(from, to)
	if len(got) != to.Size() {
		t.Fatalf("%d rows of %d ids", len(got), to.Size())
	}
	for id, row := range got {
		want := int32(id)
		if id >= 2 {
			if want = int32(slices.Index(from.Tokens, to.Tokens[id-2])); want >= 0 {
				want += 2
			}
		}
		if row != want {
			t.Fatalf("id %d comes from %d, want %d", id, row, want)
		}
	}
}

func TestRowMapOfHashTables(t *testing.T) {
	vocabulary := &data.Vocabulary{Tokens: []string{"a", "b"}, Counts: make([]int64, 4)}
	two, three := &data.Vocabulary{Hash: 2, Counts: make([]int64, 4)}, &data.Vocabulary{Hash: 3, Counts: make([]int64, 5)}
	for _, c := range []struct {
		name     string
		from, to *data.Vocabulary
		want     []int32
	}{
		{"same", three, &data.Vocabulary{Hash: 3}, []int32{0, 1, 2, 3, 4}},
		{"fewer", two, three, []int32{0, 1, -1, -1, -1}},
		{"from a vocabulary", vocabulary, two, []int32{0, 1, -1, -1}},
		{"to a vocabulary", two, vocabulary, []int32{0, 1, -1, -1}},
		{"empty", &data.Vocabulary{}, vocabulary, []int32{0, 1, -1, -1}},
	} {
		if got := data.RowMap(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// Rows of two days read by the union of their maps: those of the first day have the ids that the first day gave them.
func TestUnionReadsBothDays(t *testing.T) {
	days := [2]*data.Splits{}
	section2 := func(path string) string {
		return "{type: csv, path: " + path +
			", label: y, columns: {a: categorical, b: {type: multi, max_len: 2}, n: {type: numeric, transform: standardize}}}"
	}
	var sections [2]string
	o, _ := datatest.Options(t)
	for d := range days {
		var b strings.Builder
		b.WriteString("y,a,b,n\n")
		for i := range 200 {
			fmt.Fprintf(&b, "%d,u%d,%d|%d,%d\n", i%2, (i%30)+d*20, i%4+d, i%3, i*(d+1))
		}
		sections[d] = section2(datatest.WriteFile(t, "day.csv", b.String()))
		days[d] = datatest.Open(t, datatest.Section(t, sections[d]), o)
	}
	u, err := data.Union(days[0].Map, days[1].Map)
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Table("a").Size(); got != 2+50 {
		t.Errorf("%d ids, want 52", got)
	}
	for d := range days {
		o.Map = u
		s := datatest.Open(t, datatest.Section(t, sections[d]), o)
		got, want := plain(t, s.Train), plain(t, days[d].Train)
		back := data.RowMap(days[d].Map.Table("a"), u.Table("a"))
		if d == 0 {
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("rows of the base's day: %s", diff)
			}
		}
		for i := range got.a {
			if back[got.a[i]] != want.a[i] {
				t.Fatalf("day %d, row %d: id %d comes from %d, want %d", d, i, got.a[i], back[got.a[i]], want.a[i])
			}
		}
	}
}

// columns are those of rows sorted by nothing: as an epoch has them.
type columns struct {
	a, b []int32
	n    []float32
}

func (c columns) Equal(o columns) bool {
	return slices.Equal(c.a, o.a) && slices.Equal(c.b, o.b) && slices.Equal(c.n, o.n)
}

func plain(t *testing.T, src data.Source) columns {
	t.Helper()
	var c columns
	for b, err := range src.Batches(0, 64) {
		if err != nil {
			t.Fatal(err)
		}
		c.a, c.b, c.n = append(c.a, b.IDs["a"][:b.N]...), append(c.b, b.IDs["b"][:2*b.N]...), append(c.n, b.Dense[:b.N]...)
	}
	return c
}

func TestCompatible(t *testing.T) {
	fresh := func() *data.FeatureMap {
		return &data.FeatureMap{
			Version: 1, Rows: 3,
			Features: []data.MapFeature{
				{Name: "age", Kind: data.Numeric, Transform: data.Standardize, Mean: 1, Std: 2},
				{Name: "user", Table: "user"},
				{Name: "tags", Kind: data.Multi, Table: "tags", Separator: "|", MaxLen: 3},
				{Name: "site", Table: "site"},
			},
			Tables: []*data.Vocabulary{
				{Name: "user", Tokens: []string{"a", "b"}, Counts: make([]int64, 4)},
				{Name: "tags", Tokens: []string{"x"}, Counts: make([]int64, 3)},
				{Name: "site", Hash: 4, Counts: make([]int64, 6)},
			},
		}
	}
	for _, c := range []struct {
		name   string
		change func(m *data.FeatureMap)
		same   bool
		want   []string
	}{
		{"equal", func(*data.FeatureMap) {}, true, nil},
		{"statistics and counts", func(m *data.FeatureMap) { m.Features[0].Mean, m.Tables[0].Counts[3], m.Rows = 7, 9, 8 }, true, nil},
		{"tokens", func(m *data.FeatureMap) { m.Tables[0].Tokens[1] = "c" }, false, nil},
		{"order of tokens", func(m *data.FeatureMap) { slices.Reverse(m.Tables[0].Tokens) }, false, nil},
		{"default pooling by name", func(m *data.FeatureMap) { m.Features[2].Pool = data.PoolMean }, true, nil},
		{"everything", func(m *data.FeatureMap) {
			m.Features[0] = data.MapFeature{Name: "age", Kind: data.Numeric, Transform: data.Log1p, Fill: 1}
			m.Features[1].Name = "item"
			m.Features[2].Separator, m.Features[2].MaxLen, m.Features[2].Pool = ",", 4, data.PoolSum
			m.Tables[2].Hash, m.Tables[2].Counts = 5, make([]int64, 7)
		}, false, []string{
			`feature age: transform is "log1p", not "standardize"`, "feature age: fill is 1, not 0", "feature user is missing",
			`feature tags: separator is ",", not "|"`, "feature tags: max_len is 4, not 3", `feature tags: pooling is "sum", not "mean"`,
			"table site: has 5 hash buckets, not 4", "feature item is there too",
		}},
		{"kind", func(m *data.FeatureMap) {
			m.Features[3] = data.MapFeature{Name: "site", Kind: data.Numeric, Transform: data.Raw}
		}, false, []string{"feature site: kind is numeric, not categorical", `feature site: transform is "raw", not ""`}},
		{
			"order", func(m *data.FeatureMap) { slices.Reverse(m.Features) }, false,
			[]string{"features are in another order: site, tags, user, age, not age, user, tags, site"},
		},
		{"shared table", func(m *data.FeatureMap) { m.Features[3].Table = "user" }, false, []string{`feature site: table is "user", not "site"`}},
		{
			"hash to vocabulary", func(m *data.FeatureMap) { m.Tables[2].Hash, m.Tables[2].Counts = 0, make([]int64, 2) }, false,
			[]string{"table site: has a vocabulary, not 4 hash buckets"},
		},
		{
			"vocabulary to hash", func(m *data.FeatureMap) { m.Tables[1].Hash, m.Tables[1].Tokens = 1, nil }, false,
			[]string{"table tags: has 1 hash buckets, not a vocabulary"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			base, other := fresh(), fresh()
			c.change(other)
			if diff := cmp.Diff(c.want, base.Compatible(other)); diff != "" {
				t.Error(diff)
			}
			if got := base.SameIDs(other); got != c.same {
				t.Errorf("SameIDs = %v, want %v", got, c.same)
			}
			_, err := data.Union(base, fresh(), other)
			if (err == nil) != (len(c.want) == 0) {
				t.Fatalf("union: %v", err)
			}
			for _, line := range c.want {
				if !strings.Contains(err.Error(), "feature map 3: "+line) {
					t.Errorf("the union's error does not say %q: %v", line, err)
				}
			}
		})
	}
}

func TestUnionRefuses(t *testing.T) {
	v := func() *data.Vocabulary {
		return &data.Vocabulary{Name: "x", Tokens: []string{"a"}, Counts: []int64{0, 0, 1}}
	}
	good := mapOver(1, 0, v())
	twice := mapOver(1, 0, &data.Vocabulary{Name: "x", Tokens: []string{"a", "a"}, Counts: make([]int64, 4)})
	for name, c := range map[string]struct {
		maps []*data.FeatureMap
		want string
	}{
		"no base":        {[]*data.FeatureMap{nil, good}, "there is no base feature map"},
		"no other":       {[]*data.FeatureMap{good, nil}, "feature map 2: there is no feature map"},
		"damaged base":   {[]*data.FeatureMap{twice, good}, "base feature map: table x: a token is there twice"},
		"damaged other":  {[]*data.FeatureMap{good, good, twice}, "feature map 3: table x: a token is there twice"},
		"other features": {[]*data.FeatureMap{good, mapOver(1, 0)}, "feature fx is missing"},
	} {
		_, err := data.Union(c.maps[0], c.maps[1:]...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	alone, err := data.Union(good)
	if err != nil || alone.Digest() != good.Digest() {
		t.Errorf("a union of one map is another map, or %v", err)
	}
}
