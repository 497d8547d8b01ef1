package set_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/datatest"
)

const derivedText = `y,at,device,price
1,2024-10-21 03:59:59,été-12,10
0,1729468800,ab,20
1,,,
0,2024-10-20T23:30:00-05:00,phone,40
1,2024-10-19,phone,35
`

// What is derived of a column is what its options say.
func TestDerivedColumns(t *testing.T) {
	path := datatest.WriteFile(t, "t.csv", derivedText)
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, `{type: csv, label: y, path: `+path+`, columns: {
		at: ignore, hour: {type: categorical, from: at, derive: hour}, weekday: {type: categorical, from: at, derive: weekday},
		weekend: {type: categorical, from: at, derive: weekend}, maker: {type: categorical, from: device, derive: prefix, length: 3},
		copy: {type: categorical, from: price}, price: {type: numeric, transform: min_max, fill: -1},
		given: {type: numeric, from: price, transform: bucket, edges: [10, 35.5]},
		parts: {type: numeric, from: price, transform: quantile_bucket, buckets: 2}}}`), o)
	rows := datatest.Read(t, s.Train)
	for name, want := range map[string][]string{
		"hour": {"0", "3", "0", "", "4"}, "weekday": {"6", "1", "1", "", "1"}, "weekend": {"1", "0", "0", "", "0"},
		"maker": {"pho", "été", "ab", "", "pho"}, "copy": {"35", "10", "20", "", "40"},
		"given": {"1", "1", "1", "", "2"}, "parts": {"1", "0", "0", "", "1"},
	} {
		var got []string
		for _, id := range rows.IDs[name] {
			token, _ := s.Map.Token(name, id)
			got = append(got, token)
		}
		slices.Sort(got) // a train source shuffles
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	got := slices.Sorted(slices.Values(rows.Dense))
	if want := []float32{-1, 0, float32(10. / 30), float32(25. / 30), 1}; !slices.Equal(got, want) {
		t.Errorf("price: %v, want %v", got, want)
	}
	if edges := s.Map.Features[slices.IndexFunc(s.Map.Features, func(f data.MapFeature) bool { return f.Name == "parts" })].Edges; !slices.Equal(edges, []float64{27.5}) {
		t.Errorf("edges %v, want the median", edges)
	}
	e, err := datatest.Section(t, `{type: csv, label: y, path: a, columns: {at: ignore}}`).Encoder(s.Map)
	if err != nil {
		t.Fatal(err)
	}
	if want := []data.RowColumn{{Name: "price", Type: data.TokenValue}, {Name: "at", Type: data.TokenValue}, {Name: "device", Type: data.TokenValue}}; len(e.Columns()) != 3 {
		t.Errorf("columns %v, want %v in another order", e.Columns(), want)
	}
}

// What is fitted is of the train rows alone.
func TestFittedOnTrainRows(t *testing.T) {
	path := datatest.WriteFile(t, "t.csv", "y,a,b,c\n1,2,2,2\n0,4,4,4\n1,6,6,6\n0,8,8,8\n1,1000,1000,1000\n0,-1000,-1000,-1000\n")
	o, _ := datatest.Options(t)
	s := datatest.Open(t, datatest.Section(t, `{type: csv, label: y, path: `+path+`, split: {by: order, counts: [4, 1, 1]}, columns: {
		a: {type: numeric, transform: min_max}, b: {type: numeric, transform: quantile_bucket, buckets: 2}, c: {type: numeric, transform: standardize}}}`), o)
	a, b, c := s.Map.Features[0], s.Map.Features[1], s.Map.Features[2]
	if a.Low != 2 || a.High != 8 || !slices.Equal(b.Edges, []float64{5}) || c.Mean != 5 {
		t.Errorf("from %g to %g, edges %v, mean %g; want those of 2, 4, 6 and 8", a.Low, a.High, b.Edges, c.Mean)
	}
	if test := datatest.Read(t, s.Test); test.Dense[0] != float32(-1002./6) {
		t.Errorf("a number outside of the train rows' is %g", test.Dense[0])
	}
}

func TestBadDerivedRows(t *testing.T) {
	for _, c := range []struct{ name, columns, text, want string }{
		{
			"no time", "h: {type: categorical, from: at, derive: hour}", "y,at\n1,2024-01-01\n0,noon\n",
			`FILE:3: column at: "noon" is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339, or set time_format`,
		},
		{
			"milliseconds", "h: {type: categorical, from: at, derive: hour}", "y,at\n1,1700000000000\n",
			`FILE:2: column at: "1700000000000" is not in the years 1900 to 2199 as seconds since 1970; set time_format: seconds, milliseconds or microseconds`,
		},
		{
			"digits", "h: {type: categorical, from: at, derive: hour, time_format: YYMMDDhh}", "y,at\n1,14102100\n1,141021\n",
			`FILE:3: column at: "141021" is no time written as YYMMDDhh`,
		},
		{"few numbers", "at: {type: vector, dim: 3}", "y,at\n1,1|2|3\n1,1|2\n", `FILE:3: column at: "1|2" has another number of numbers than 3 (dim), with "|" between them`},
		{"many numbers", "at: {type: vector, dim: 2}", "y,at\n1,1|2|3\n", `FILE:2: column at: "1|2|3" has another number of numbers than 2 (dim)`},
		{"blank number", "at: {type: vector, dim: 3}", "y,at\n1,1||3\n", `FILE:2: column at: number 1 of "1||3" is none in the range of float32`},
		{"no number", "at: {type: vector, dim: 2}", "y,at\n1,1|NaN\n", `FILE:2: column at: number 1 of "1|NaN" is none in the range of float32`},
		{"widths of a table", "at: {type: categorical, share: t, embedding_dim: 3}, b: {type: categorical, share: t, embedding_dim: 4}", "y,at,b\n1,1,2\n", "columns at and b share the table t but differ in embedding_dim or pretrained"},
		{"number", "at: categorical, b: {type: numeric, from: at, transform: bucket, edges: [1]}", "y,at\n1,x\n", `FILE:2: column at: "x" is not a number`},
		{"no column", "h: {type: categorical, from: when, derive: hour}", "y,at\n1,1\n", "columns.h.from: no such column; there are y, at"},
		{"taken", "at: {type: categorical, from: b}", "y,at,b\n1,1,1\n", "columns.at: the file has a column of this name; give the one that is made of b another one"},
		{"pattern", "h*: {type: categorical, from: at}", "y,at\n1,1\n", "columns.h*.from: makes one column of another one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := datatest.WriteFile(t, "t.csv", c.text)
			o, _ := datatest.Options(t)
			d := datatest.Section(t, `{type: csv, label: y, path: `+path+`, columns: {`+c.columns+`}}`)
			_, err := d.Open(t.Context(), o)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "FILE"), c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}
