package inspect

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

const (
	// mostSlices is how many values of a column have a slice each. The others are one together.
	mostSlices = 20
	// quantiles is how many slices a column of numbers has, of about as many rows each.
	quantiles = 5
	// quantileRows is how many numbers of a column its quantiles are of, at most.
	quantileRows = 1 << 17
	// mostValues bounds the different texts of a column that is not a feature.
	mostValues = 1 << 20
)

// Values are the values of a column by which rows are put into slices. Rows are read twice: first Count sees each row, then Plan makes slices, and
// then Slices says which a row is in.
type Values struct {
	Column string
	Kind   string // what slices are of: see below
	Found  int    // values that there are; 0 of numbers
	Names  []string

	keys    func(b *data.Batch, cell []byte, i int, list []int) []int // of a row; nil of numbers
	number  func(b *data.Batch, cell []byte, i int) float64           // of a row; NaN if it is blank
	name    func(key int) string
	whole   bool // numbers are whole
	counts  map[int]int64
	slices  map[int]int // by key
	numbers *numbers
	edges   []float64 // of quantiles
	blank   bool      // there are blank numbers
}

// Kinds of slices.
const (
	OfValues    = "values"
	OfTokens    = "tokens" // of a row that may have several
	OfQuantiles = "quantiles"
	OfLengths   = "lengths" // of histories, by their quantiles
)

// numbers is a sample of numbers.
type numbers struct {
	key    uint64
	seen   int64
	values []float64
	places []float64
	limit  float64
}

func (n *numbers) add(v float64) {
	u := rng.Float(n.key, n.seen)
	n.seen++
	if u >= n.limit {
		return
	}
	if len(n.values) == 2*quantileRows {
		order := slices.Sorted(slices.Values(n.places))
		n.limit = order[quantileRows]
		at := 0
		for i, p := range n.places {
			if p < n.limit {
				n.places[at], n.values[at] = p, n.values[i]
				at++
			}
		}
		n.places, n.values = n.places[:at], n.values[:at]
		if u >= n.limit {
			return
		}
	}
	n.values, n.places = append(n.values, v), append(n.places, u)
}

// FeatureValues returns the values of a feature of a schema.
func FeatureValues(m *data.FeatureMap, f *data.Feature, seed uint64) (*Values, error) {
	v := &Values{Column: f.Name, Kind: OfValues, counts: map[int]int64{}}
	width := f.Width()
	v.name = func(id int) string { return tokenOf(m, f, id) }
	switch f.Kind {
	case data.Categorical:
		v.keys = func(b *data.Batch, _ []byte, i int, list []int) []int { return append(list, int(b.IDs[f.Name][i])) }
	case data.Multi:
		v.Kind = OfTokens
		v.keys = func(b *data.Batch, _ []byte, i int, list []int) []int {
			for _, id := range b.IDs[f.Name][i*width : (i+1)*width] {
				if id != data.PadID && !slices.Contains(list, int(id)) {
					list = append(list, int(id))
				}
			}
			if len(list) == 0 {
				list = append(list, data.PadID)
			}
			return list
		}
	case data.Sequence:
		v.Kind, v.whole = OfLengths, true
		v.number = func(b *data.Batch, _ []byte, i int) float64 {
			n := 0
			for _, id := range b.IDs[f.Name][i*width : (i+1)*width] {
				if id != data.PadID {
					n++
				}
			}
			return float64(n)
		}
	default:
		if f.Count > 0 {
			return nil, fmt.Errorf("%s is a vector of %d numbers, which has no slices", f.Name, f.Count)
		}
		v.Kind = OfQuantiles
		back := inverse(m, f.Name)
		v.number = func(b *data.Batch, _ []byte, i int) float64 {
			return back(float64(b.Dense[i*(len(b.Dense)/b.Size)+f.Column]))
		}
	}
	v.start(seed)
	return v, nil
}

func (v *Values) start(seed uint64) {
	if v.number != nil {
		v.numbers = &numbers{key: rng.Key(seed, "quantiles", v.Column), limit: 1}
	}
}

// CellValues returns the values of a column of a file whose cells stand beside the rows.
func CellValues(column string, kind data.CellKind, seed uint64) *Values {
	v := &Values{Column: column, Kind: OfValues, counts: map[int]int64{}}
	if kind == data.NumberCells {
		v.Kind = OfQuantiles
		v.number = func(_ *data.Batch, cell []byte, _ int) float64 {
			x, err := strconv.ParseFloat(string(cell), 64)
			if err != nil {
				return math.NaN()
			}
			return x
		}
		v.start(seed)
		return v
	}
	at, texts := map[string]int{}, []string{}
	v.keys = func(_ *data.Batch, cell []byte, _ int, list []int) []int {
		k, ok := at[string(cell)]
		if !ok {
			k = len(texts)
			text := string(cell)
			at[text], texts = k, append(texts, text)
		}
		return append(list, k)
	}
	v.name = func(key int) string { return cmp.Or(texts[key], "(blank)") }
	return v
}

// tokenOf returns the name of an id of a feature.
func tokenOf(m *data.FeatureMap, f *data.Feature, id int) string {
	token, ok := m.Token(f.Name, int32(id))
	switch {
	case ok:
		return cmp.Or(token, "(blank)")
	case id == data.PadID:
		return "(none)"
	case id == data.OOVID:
		return "(unknown)"
	}
	return fmt.Sprintf("bucket %d", id-data.FirstID)
}

// inverse returns what makes a number of the data of one that the model sees. The fill of blanks is a number like others.
func inverse(m *data.FeatureMap, name string) func(float64) float64 {
	i := slices.IndexFunc(m.Features, func(f data.MapFeature) bool { return f.Name == name })
	if i < 0 {
		return func(v float64) float64 { return v }
	}
	f := m.Features[i]
	switch f.Transform {
	case data.Log1p:
		return func(v float64) float64 { return math.Copysign(math.Expm1(math.Abs(v)), v) }
	case data.Standardize:
		return func(v float64) float64 { return v*f.Std + f.Mean }
	case data.MinMax:
		return func(v float64) float64 { return f.Low + v*(f.High-f.Low) }
	}
	return func(v float64) float64 { return v }
}

// Count sees row i of a batch. cell is the row's in the file, of a column that is not a feature.
func (v *Values) Count(b *data.Batch, cell []byte, i int, scratch []int) error {
	if v.number != nil {
		x := v.number(b, cell, i)
		if x != x {
			v.blank = true
			return nil
		}
		v.numbers.add(x)
		return nil
	}
	for _, key := range v.keys(b, cell, i, scratch[:0]) {
		v.counts[key]++
	}
	if len(v.counts) > mostValues {
		return fmt.Errorf("%s has more than %d different values", v.Column, mostValues)
	}
	return nil
}

// Plan makes the slices: those of the values that most rows have, and one of all others.
func (v *Values) Plan() {
	if v.number != nil {
		v.quantiles()
		return
	}
	v.Found = len(v.counts)
	keys := make([]int, 0, len(v.counts))
	for key := range v.counts {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b int) int { return cmp.Or(cmp.Compare(v.counts[b], v.counts[a]), cmp.Compare(a, b)) })
	v.slices = map[int]int{}
	for k, key := range keys[:min(len(keys), mostSlices)] {
		v.slices[key] = k
		v.Names = append(v.Names, v.name(key))
	}
	if n := len(keys) - mostSlices; n > 0 {
		v.Names = append(v.Names, fmt.Sprintf("others (%d values)", n))
	}
}

// quantiles makes slices of numbers: a slice has those from an edge on that are below the next one.
func (v *Values) quantiles() {
	x := v.numbers.values
	slices.Sort(x)
	for k := 1; k < quantiles && len(x) > 0; k++ {
		if e := x[len(x)*k/quantiles]; e > x[0] && (len(v.edges) == 0 || e > v.edges[len(v.edges)-1]) {
			v.edges = append(v.edges, e)
		}
	}
	text := func(e float64) string { return strconv.FormatFloat(e, 'g', 5, 64) }
	for k := range len(v.edges) + 1 {
		switch {
		case len(v.edges) == 0:
			v.Names = append(v.Names, "all numbers")
		case k == 0:
			v.Names = append(v.Names, "below "+text(v.edges[0]))
		case k == len(v.edges):
			v.Names = append(v.Names, "from "+text(v.edges[k-1]))
		case v.whole && v.edges[k]-v.edges[k-1] == 1:
			v.Names = append(v.Names, text(v.edges[k-1]))
		default:
			v.Names = append(v.Names, fmt.Sprintf("from %s below %s", text(v.edges[k-1]), text(v.edges[k])))
		}
	}
	if v.blank {
		v.Names = append(v.Names, "(blank)")
	}
	v.numbers.values, v.numbers.places = nil, nil
}

// Slices appends the numbers of the slices that row i of a batch is in.
func (v *Values) Slices(b *data.Batch, cell []byte, i int, list, scratch []int) []int {
	if v.number != nil {
		x := v.number(b, cell, i)
		if x != x {
			return append(list, len(v.Names)-1)
		}
		at, equal := slices.BinarySearch(v.edges, x)
		if equal {
			at++
		}
		return append(list, at)
	}
	for _, key := range v.keys(b, cell, i, scratch[:0]) {
		k, ok := v.slices[key]
		if !ok {
			k = len(v.Names) - 1
		}
		if !slices.Contains(list, k) {
			list = append(list, k)
		}
	}
	return list
}
