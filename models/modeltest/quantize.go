package modeltest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// quantized: with tables of int8 a predictor gives a row, in any company, the bits of a program over the tables' values in float32. They
// differ from those of the tables before no more than after random changes within half a scale. A model without a table to hold so is
// refused, with the names of its tables.
func quantized(t *testing.T, m suite) {
	if m.sc.Text != nil && m.sc.Text.MaskRate > 0 {
		return // it has no predictor
	}
	_, params := fresh(t, m, 2, models.CompileOptions{})
	p8, tables, err := models.ServeOptions{Quantize: models.QuantizeInt8}.Params(m.m, m.sc)
	if err != nil {
		refused(t, m, params, err)
		return
	}
	values := params.Clone() // of the tables of int8, in float32
	held := 0.0
	for i, q := range p8.All() {
		from := params.All()[i]
		if q.Name != from.Name || !slices.Equal(q.Shape, from.Shape) || q.Kind != from.Kind || q.Embedding != from.Embedding || q.L2 != from.L2 {
			t.Fatalf("parameter %d is %+v, want one like %s %v", i, q, from.Name, from.Shape)
		}
		if slices.Contains(tables.Int8, q.Name) != (q.Int8 != nil) {
			t.Errorf("%s: %d bytes of int8, told are %v", q.Name, len(q.Int8), tables.Int8)
		}
		if q.Kind == nn.Table {
			held += float64(4*len(q.Data) + len(q.Int8))
		}
		if q.Int8 == nil {
			copy(q.Data, from.Data)
			continue
		}
		dim := q.Dim()
		if i := kernel.QuantizeInt8(q.Int8, from.Data, dim); i >= 0 {
			t.Fatalf("%s: value %d is not finite", q.Name, i)
		}
		ids := make([]int32, q.Shape[0])
		for id := range ids {
			ids[id] = int32(id)
		}
		kernel.GatherInt8RowsRef(values.Get(q.Name).Data, dim, q.Int8, dim, ids)
	}
	if held != tables.Held || !(held < tables.Float32) {
		t.Errorf("tables are held in %v bytes, told are %v, and %v in float32", held, tables.Held, tables.Float32)
	}
	const n = 300
	all := Batch(m.sc, n, n, 22)
	logits := func(p *nn.Params) []float32 {
		prog := evaluation(t, m, p, models.CompileOptions{Batch: n})
		run(t, prog, all)
		return slices.Clone(prog.Logits())
	}
	before, want := logits(params), logits(values)
	p, err := models.NewPredictor(m.m, p8, m.sc, kernel.Highest)
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{1, 3} {
		old := kernel.Threads()
		kernel.SetThreads(threads)
		for _, rows := range []int{n, 17, 1} {
			for lo := 0; lo < min(n, 20*rows); lo += rows {
				hi := min(n, lo+rows)
				got, err := p.Logits(t.Context(), nil, hi-lo, func(b *data.Batch, i, n int) error {
					Put(m.sc, b, all, lo+i, n)
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if !equalBits(t, fmt.Sprintf("rows %d to %d, %d threads", lo, hi, threads), got, want[lo*p.Width():hi*p.Width()]) {
					break
				}
			}
		}
		kernel.SetThreads(old)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	var random float64
	for try := range 3 {
		random = max(random, distance(logits(shaken(params, tables.Int8, uint64(try))), before))
	}
	if d := distance(want, before); d > 2*random || d == 0 {
		t.Errorf("int8 changes logits by %v, random changes of half a scale at most by %v", d, random)
	}
	if _, err := models.Compile(m.m, p8, m.sc, models.CompileOptions{Batch: 2, Train: true, Loss: m.loss}); err == nil ||
		!strings.Contains(err.Error(), "is held as int8") {
		t.Errorf("training over tables of int8: error %v", err)
	}
}

// refused checks the error of a model of which no table can be held as int8.
func refused(t *testing.T, m suite, p *nn.Params, err error) {
	named, narrow := 0, 0
	for _, q := range p.All() {
		if q.Kind != nn.Table {
			continue
		}
		if named++; q.Dim() == 1 {
			narrow++
		}
		if (q.Dim() > 1 || narrow == 1) && !strings.Contains(err.Error(), q.Name) {
			t.Errorf("error %q does not name %s", err, q.Name)
		}
		if need, e := models.Measure(m.m, nn.NewShapes(), m.sc, models.CompileOptions{Batch: 1}); e != nil || q.Dim() > 1 && !inside(need, q.Name) {
			t.Errorf("%s %v is only looked up, and refused: %v", q.Name, q.Shape, err)
		}
	}
	if more := fmt.Sprintf(" and %d more", narrow-1); narrow > 1 && !strings.Contains(err.Error(), more) {
		t.Errorf("error %q does not have%s", err, more)
	}
	if named == 0 && m.sc.Text == nil || m.sc.Text != nil && !strings.Contains(err.Error(), "word") {
		t.Errorf("error %q names no table", err)
	}
}

func inside(need *models.Need, name string) bool {
	for q := range need.Inside {
		if q.Name == name {
			return true
		}
	}
	return false
}

// shaken returns parameters whose tables of those names are changed by up to half of what the greatest value of a row is divided by.
func shaken(p *nn.Params, tables []string, seed uint64) *nn.Params {
	p = p.Clone()
	for _, name := range tables {
		q := p.Get(name)
		r := rng.New(rng.Key(seed, name))
		for row := range slices.Chunk(q.Data, q.Dim()) {
			shake(row, r)
		}
	}
	return p
}

func shake(row []float32, r *rand.Rand) {
	most := float32(0)
	for _, v := range row {
		most = max(most, v, -v)
	}
	for i := range row {
		row[i] += (r.Float32() - 0.5) * most / 127
	}
}

// distance is the median of the absolute differences: a few rows, such as those of a layer norm of nearly equal values, are far more sensitive.
func distance(a, b []float32) float64 {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = math.Abs(float64(a[i]) - float64(b[i]))
	}
	slices.Sort(d)
	return d[len(d)/2]
}
