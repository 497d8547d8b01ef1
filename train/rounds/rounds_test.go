package rounds_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train/rounds"
)

// table is a random table in the hands of K workers, h steps after a merge. Rows 0 and 1 were touched by none, row 2 by negatives alone, row
// 3 by the last worker alone.
func table(r *rand.Rand, rows, dim, workers int, h int64) *rounds.Table {
	t := &rounds.Table{Dim: dim, Ref: values(r, rows*dim)}
	for range 2 {
		t.States = append(t.States, nil)
	}
	for k := range workers {
		t.Workers = append(t.Workers, values(r, rows*dim))
		for s := range t.States {
			t.States[s] = append(t.States[s], values(r, rows*dim))
		}
		counts, touched, shares := make([]int64, rows), make([]int32, rows), make([]float32, rows)
		for i := range rows {
			shares[i] = r.Float32()
			if i >= 4 && r.IntN(3) > 0 || i == 3 && k == workers-1 {
				touched[i] = 1 + r.Int32N(int32(h))
				counts[i] = int64(touched[i]) + int64(r.IntN(5))
			}
			if i == 2 {
				touched[i] = int32(k) + 1
			}
		}
		t.Counts, t.Touched, t.Shares = append(t.Counts, counts), append(t.Touched, touched), append(t.Shares, shares)
	}
	return t
}

func values(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func clone(t *rounds.Table) *rounds.Table {
	c := *t
	c.Ref = slices.Clone(t.Ref)
	c.Workers = nil
	for _, w := range t.Workers {
		c.Workers = append(c.Workers, slices.Clone(w))
	}
	c.States = nil
	for _, s := range t.States {
		var own [][]float32
		for _, w := range s {
			own = append(own, slices.Clone(w))
		}
		c.States = append(c.States, own)
	}
	return &c
}

// TestRows compares merged rows and states with the formula, written out: a sum of changes over the workers.
func TestRows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, tc := range []struct {
		workers int
		growth  float64
		lazy    bool
		states  string
		shares  bool
	}{
		{2, .5, true, "rows", true},
		{4, .5, false, "rows", true},
		{4, 0, false, "all", false},
		{3, 1, true, "all", false},
		{3, .5, false, "keep", true},
		{1, .5, false, "rows", false},
	} {
		const rows, dim, h = 40, 3, 7
		before := table(r, rows, dim, tc.workers, h)
		before.Lazy = tc.lazy
		if !tc.shares {
			before.Shares = nil
		}
		got := clone(before)
		o := rounds.Defaults()
		o.Growth, o.States = tc.growth, tc.states
		o.Rows(got, h, 0, 17) // in parts, as threads do
		o.Rows(got, h, 17, rows)
		for row := range rows {
			weight := make([]float64, tc.workers)
			sum, touches := 0.0, 0.0
			for k := range weight {
				weight[k] = float64(before.Counts[k][row])
				touches += float64(before.Touched[k][row])
			}
			for _, w := range weight {
				sum += w
			}
			if sum == 0 {
				for k := range weight {
					switch {
					case touches > 0:
						weight[k] = float64(before.Touched[k][row])
					case tc.shares:
						weight[k] = float64(before.Shares[k][row])
					default:
						weight[k] = 1
					}
					sum += weight[k]
				}
			}
			mean, free := 0.0, 1.0
			for k := range weight {
				mean += weight[k] / sum * float64(before.Touched[k][row])
				free *= 1 - float64(before.Touched[k][row])/h
			}
			factor := 1.0
			if mean > 0 {
				factor = math.Pow(h*(1-free)/mean, tc.growth)
			}
			for d := range dim {
				i := row*dim + d
				change := 0.0
				state := make([]float64, len(before.States))
				for k := range weight {
					change += weight[k] / sum * (float64(before.Workers[k][i]) - float64(before.Ref[i]))
					for s := range state {
						state[s] += weight[k] / sum * float64(before.States[s][k][i])
					}
				}
				want := float64(before.Ref[i]) + factor*change
				still := tc.lazy && touches == 0
				if still {
					want = float64(before.Ref[i])
				}
				if math.Abs(float64(got.Ref[i])-want) > 1e-6*(1+math.Abs(want)) {
					t.Fatalf("%+v: row %d: %v, want %v", tc, row, got.Ref[i], want)
				}
				for k := range weight {
					if w := got.Workers[k][i]; !still && w != got.Ref[i] || still && w != before.Workers[k][i] {
						t.Fatalf("%+v: row %d of worker %d is %v, merged %v", tc, row, k, w, got.Ref[i])
					}
					for s := range state {
						want := state[s]
						if still || tc.states == "keep" {
							want = float64(before.States[s][k][i])
						}
						if x := float64(got.States[s][k][i]); math.Abs(x-want) > 1e-6*(1+math.Abs(want)) {
							t.Fatalf("%+v: state %d of row %d, worker %d: %v, want %v", tc, s, row, k, x, want)
						}
					}
				}
			}
		}
		// A row that one worker alone has touched is that worker's, bit for bit.
		for d := range dim {
			last := tc.workers - 1
			if i := 3*dim + d; got.Ref[i] != before.Workers[last][i] || tc.states != "keep" && got.States[1][0][i] != before.States[1][last][i] {
				t.Errorf("%+v: the row of one worker: %v, want %v", tc, got.Ref[i], before.Workers[last][i])
			}
		}
	}
}

// TestAlone: a row that one worker alone has touched is that worker's to the last bit, however far it has come.
func TestAlone(t *testing.T) {
	for h := int64(1); h < 60; h++ {
		for n := int64(1); n <= h; n++ {
			x := &rounds.Table{
				Dim: 1, Ref: []float32{1e30}, Workers: [][]float32{{2e30}, {.1}}, Counts: [][]int64{{0}, {n}}, Touched: [][]int32{{0}, {int32(n)}},
			}
			rounds.Defaults().Rows(x, h, 0, 1)
			if x.Ref[0] != .1 || x.Workers[0][0] != .1 {
				t.Fatalf("touched in %d of %d steps: %v", n, h, x.Ref[0])
			}
		}
	}
}

// TestEqualWorkers: workers that hold the same are merged to the same bits without growth, whatever their number.
func TestEqualWorkers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, workers := range []int{1, 3, 7} {
		x := table(r, 20, 3, workers, 5)
		for k := range workers {
			copy(x.Workers[k], x.Workers[0])
		}
		want := slices.Clone(x.Workers[0])
		o := rounds.Defaults()
		o.Growth = 0
		o.Rows(x, 5, 0, 20)
		d := &rounds.Dense{Ref: make([]float32, len(want)), Workers: slices.Clone(x.Workers)}
		o.Weights(d, 0, len(want))
		if !slices.Equal(x.Ref, want) || !slices.Equal(d.Ref, want) {
			t.Errorf("%d equal workers have another merge", workers)
		}
	}
}

// TestNesterov compares the outer optimizer with the documented formula of torch.optim.SGD(lr=.7, momentum=.5, nesterov=True) over the
// gradients last − mean, from a weight of 1 and for means of 0.5, 0.8 and 0.1: buf = .5·buf + g; w −= .7·(g + .5·buf).
func TestNesterov(t *testing.T) {
	o := rounds.Defaults()
	o.Outer = rounds.Nesterov{LearningRate: .7, Beta: .5}
	d := &rounds.Dense{Ref: []float32{1, 1}, Momentum: []float32{0, 0}}
	w, buf := 1.0, 0.0
	for _, mean := range []float32{.5, .8, .1} {
		g := w - float64(mean)
		buf = .5*buf + g
		w -= .7 * (g + .5*buf)
		d.Workers = [][]float32{{mean - .2, mean}, {mean + .2, mean}}
		o.Weights(d, 0, 2)
		for i := range d.Ref {
			if math.Abs(float64(d.Ref[i])-w) > 1e-6 || d.Workers[1][i] != d.Ref[i] {
				t.Fatalf("after the mean %v: %v, want %v", mean, d.Ref, w)
			}
		}
	}
	if o.Outer = (rounds.None{}); o.Outer.Momentum() || o.Outer.Step(2, 1, nil) != 2 {
		t.Error("no outer optimizer changes the mean")
	}
}

// TestStatistics compares merged statistics with those of all values together, which each worker has as many of.
func TestStatistics(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	const workers, n = 3, 50
	var means, variances [][]float32
	var all []float64
	moments := func(x []float64) (m, v float64) {
		for _, y := range x {
			m += y / float64(len(x))
		}
		for _, y := range x {
			v += (y - m) * (y - m) / float64(len(x))
		}
		return m, v
	}
	for k := range workers {
		var x []float64
		for range n {
			x = append(x, float64(k)+r.NormFloat64())
		}
		m, v := moments(x)
		means, variances = append(means, []float32{float32(m)}), append(variances, []float32{float32(v)})
		all = append(all, x...)
	}
	m, v := moments(all)
	rounds.Statistics(means, variances)
	for k := range workers {
		if math.Abs(float64(means[k][0])-m) > 1e-5 || math.Abs(float64(variances[k][0])-v) > 1e-5 {
			t.Errorf("worker %d: mean %v, variance %v, want %v and %v", k, means[k], variances[k], m, v)
		}
	}
}

// TestNext: merges come at equal intervals, the ends of passes among them, and after the last step.
func TestNext(t *testing.T) {
	for _, tc := range []struct {
		o              rounds.Options
		perPass, total int64
		want           []int64
	}{
		{rounds.Options{Every: .25}, 10, 20, []int64{3, 5, 8, 10, 13, 15, 18, 20}},
		{rounds.Options{Every: 1}, 7, 16, []int64{7, 14, 16}},
		{rounds.Options{Every: .01}, 4, 5, []int64{1, 2, 3, 4, 5}},
		{rounds.Options{Every: 1.0 / 3}, 99, 99, []int64{33, 66, 99}},
		{rounds.Options{Steps: 4}, 7, 10, []int64{4, 8, 10}},
	} {
		var got []int64
		for at := int64(0); at < tc.total && len(got) < 100; got = append(got, at) {
			at = tc.o.Next(at, tc.perPass, tc.total)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%+v, passes of %d: merges after %v, want %v", tc.o, tc.perPass, got, tc.want)
		}
	}
}

func TestOptions(t *testing.T) {
	if o := rounds.Defaults(); o.Validate() != nil || o.Train() || o.Rate.Of(4) != 2 || rounds.Rate(3).Of(4) != 3 {
		t.Errorf("defaults: %+v, %v", o, o.Validate())
	}
	for text, want := range map[string]rounds.Rate{"sqrt": 0, "1.5": 1.5, "2": 2} {
		var r rounds.Rate
		if err := r.UnmarshalText([]byte(text)); err != nil || r != want {
			t.Errorf("%s: %v, %v", text, r, err)
		}
		if b, _ := r.MarshalText(); string(b) != text {
			t.Errorf("%s is written as %s", text, b)
		}
	}
	for _, text := range []string{"", "0", "-1", "NaN", "inf", "root"} {
		if err := new(rounds.Rate).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("rate %q is taken", text)
		}
	}
	p := &registry.Problems{}
	node := registry.Parse([]byte("{every: 0.5, rate: 2, outer: nesterov}"), p)
	o := rounds.Defaults()
	registry.DecodeStruct(node, &o, p, "")
	if err := p.Err(); err != nil || o.Every != .5 || o.Rate != 2 || o.Outer != (rounds.Nesterov{LearningRate: .7, Beta: .5}) {
		t.Errorf("%+v, %v", o, err)
	}
}
