package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// sampledLoss is a loss over the scores of an item and those of its negatives, and its op.
type sampledLoss struct {
	name string
	row  func(s float64, z []float64) float64
	op   func(x []*G.Node, o ops.SampledOptions, q ops.LogQ) (*G.Node, error)
}

func logSigmoid(z float64) float64 { return -math.Log1p(math.Exp(-z)) }

var sampledLosses = []sampledLoss{
	{"softmax", func(s float64, z []float64) float64 {
		sum := math.Exp(s)
		for _, v := range z {
			sum += math.Exp(v)
		}
		return math.Log(sum) - s
	}, func(x []*G.Node, o ops.SampledOptions, q ops.LogQ) (*G.Node, error) {
		return ops.SampledSoftmax(x[0], x[1], x[2], o, q)
	}},
	{"gbce", func(s float64, z []float64) float64 {
		sum := 0.3 * logSigmoid(s)
		for _, v := range z {
			sum += logSigmoid(-v)
		}
		return -sum / float64(1+len(z))
	}, func(x []*G.Node, o ops.SampledOptions, _ ops.LogQ) (*G.Node, error) {
		return ops.GBCE(x[0], x[1], x[2], o, 0.3)
	}},
	{"bpr", func(s float64, z []float64) float64 {
		sum := 0.0
		for _, v := range z {
			sum -= logSigmoid(s - v)
		}
		return sum / float64(max(1, len(z)))
	}, func(x []*G.Node, o ops.SampledOptions, _ ops.LogQ) (*G.Node, error) {
		return ops.BPR(x[0], x[1], x[2], o)
	}},
}

// mean is the twin of a loss as a whole.
func (l sampledLoss) mean(x [][]float64, D, K int, o ops.SampledOptions, q ops.LogQ) float64 {
	dot := func(a, b []float64) (sum float64) {
		for j := range a {
			sum += a[j] * b[j]
		}
		return sum
	}
	loss, n := 0.0, 0.0
	for r := range len(x[0]) / D {
		if o.Target != nil && (*o.Target)[r] < int32(o.From) {
			continue
		}
		row := x[0][r*D : (r+1)*D]
		s := dot(row, x[1][r*D:])
		if q.Target != nil {
			s -= float64((*q.Target)[r])
		}
		var z []float64
		for k := range K {
			at := k
			if o.Own {
				at += r * K
			}
			if o.Negative != nil {
				if id := (*o.Negative)[at]; id == ops.Ignored || o.Target != nil && id == (*o.Target)[r] {
					continue
				}
			}
			v := dot(row, x[2][at*D:])
			if q.Negative != nil {
				v -= float64((*q.Negative)[at])
			}
			z = append(z, v)
		}
		loss += l.row(s, z)
		n++
	}
	return loss / max(1, n)
}

func TestSampledLosses(t *testing.T) {
	for _, l := range sampledLosses {
		for _, own := range []bool{false, true} {
			for _, s := range []struct {
				R, K, D, from int
				target        []int32 // those of three items, unless nil
				all           bool    // every row has an item, and every negative takes part
			}{
				{R: 1, K: 1, D: 1, all: true},
				{R: 3, K: 2, D: 5, all: true},
				{R: 4, K: 5, D: 3, target: []int32{2, -1, 0, 1}},
				{R: 3, K: 4, D: 2, from: 1, target: []int32{0, 2, 1}},
				{R: 2, K: 3, D: 4, target: []int32{-1, -1}},
				{R: 300, K: 70, D: 17},
			} {
				negatives := s.K
				if own {
					negatives *= s.R
				}
				o, q := ops.SampledOptions{Own: own, From: s.from}, ops.LogQ{}
				if !s.all {
					ids, corrections, most := make([]int32, negatives), make([]float32, negatives), make([]float32, s.R)
					for k := range ids {
						ids[k], corrections[k] = int32(k%4-1), float32(k%3)-1
					}
					for r := range most {
						most[r] = float32(r%5) / 2
					}
					if s.target == nil {
						s.target = targets(s.R, 3)
					}
					o.Target, o.Negative, q = &s.target, &ids, ops.LogQ{Target: &most, Negative: &corrections}
				}
				if l.name != "softmax" {
					q = ops.LogQ{}
				}
				opstest.Check(t, opstest.Case{
					Name:   fmt.Sprintf("%s,own=%v,from=%d", l.name, own, s.from),
					Shapes: [][]int{{s.R, s.D}, {s.R, s.D}, {negatives, s.D}},
					Build:  func(x ...*G.Node) (*G.Node, error) { return l.op(x, o, q) },
					Oracle: func(x ...[]float64) []float64 { return []float64{l.mean(x, s.D, s.K, o, q)} },
					Fill:   wideInput,
					Big:    s.R >= 300,
				})
			}
		}
	}
}

// Rows without an item are not read: the loss and the gradients have the same bits wherever they stand.
func TestSampledPadding(t *testing.T) {
	const D, K, live = 5, 3, 4
	for _, l := range sampledLosses {
		for _, own := range []bool{false, true} {
			var first [][]float32
			for _, gap := range []int{0, 1, 6} { // rows without an item before each of the others
				R := live * (1 + gap)
				negatives := K
				if own {
					negatives *= R
				}
				fill := func(seed, rows, per int, all bool) []float32 {
					x, r := make([]float32, rows*per), rand.New(rand.NewPCG(1, uint64(seed)))
					for i := range x {
						x[i] = float32(math.NaN())
					}
					if all {
						opstest.Uniform(x, r)
						return x
					}
					for i := range live {
						opstest.Uniform(x[(i*(1+gap)+gap)*per:][:per], r)
					}
					return x
				}
				target := make([]int32, R)
				for r := range target {
					target[r] = ops.Ignored
					if r%(1+gap) == gap {
						target[r] = int32(r / (1 + gap))
					}
				}
				g := G.NewGraph()
				neg := fill(3, R, K*D, false)
				if !own {
					neg = fill(3, K, D, true)
				}
				x := G.Nodes{
					matrix(g, "x", R, D, fill(1, R, D, false)...), matrix(g, "pos", R, D, fill(2, R, D, false)...),
					matrix(g, "neg", negatives, D, neg...),
				}
				loss := must(l.op(x, ops.SampledOptions{Target: &target, Own: own}, ops.LogQ{}))
				d, err := ops.Grad(loss, x...)
				if err != nil {
					t.Fatal(err)
				}
				run(t, g)
				got := [][]float32{opstest.Values(loss)}
				for i, n := range d {
					v, per := opstest.Values(n), D
					if i == 2 && own {
						per *= K
					}
					if i == 2 && !own {
						got = append(got, v)
						continue
					}
					var rows []float32
					for r := range target {
						if row := v[r*per : (r+1)*per]; target[r] != ops.Ignored {
							rows = append(rows, row...)
						} else if slices.ContainsFunc(row, func(v float32) bool { return v != 0 }) {
							t.Errorf("%s, own %v: gradient %d of row %d without an item is %v", l.name, own, i, r, row)
						}
					}
					got = append(got, rows)
				}
				if first == nil {
					first = got
				}
				for i := range got {
					if !slices.Equal(got[i], first[i]) {
						t.Errorf("%s, own %v, %d rows between: result %d is %v, want %v", l.name, own, gap, i, got[i], first[i])
					}
				}
			}
		}
	}
}

// Scores far out do not overflow.
func TestSampledExtremes(t *testing.T) {
	for _, tc := range []struct {
		pos, neg float32
		want     []float64 // of softmax, gbce with beta .3, bpr
	}{
		{1e4, -1e4, []float64{0, 0, 0}},
		{-1e4, 1e4, []float64{2e4, (.3*1e4 + 1e4) / 2, 2e4}},
		{1e4, 1e4, []float64{math.Ln2, 5e3, math.Ln2}},
	} {
		for i, l := range sampledLosses {
			g := G.NewGraph()
			x := G.Nodes{matrix(g, "x", 1, 1, 1), matrix(g, "pos", 1, 1, tc.pos), matrix(g, "neg", 1, 1, tc.neg)}
			loss := must(l.op(x, ops.SampledOptions{}, ops.LogQ{}))
			d, err := ops.Grad(loss, x...)
			if err != nil {
				t.Fatal(err)
			}
			run(t, g)
			if got := float64(opstest.Values(loss)[0]); !(math.Abs(got-tc.want[i]) <= 1e-6*max(1, tc.want[i])) {
				t.Errorf("%s of %v and %v is %v, want %v", l.name, tc.pos, tc.neg, got, tc.want[i])
			}
			for _, n := range d {
				if v := float64(opstest.Values(n)[0]); math.IsNaN(v) || math.IsInf(v, 0) {
					t.Errorf("%s of %v and %v: gradient %v", l.name, tc.pos, tc.neg, v)
				}
			}
		}
	}
}

// The ends of the calibration, and 256 negatives among 3,416 other items.
func TestGBCEBeta(t *testing.T) {
	for _, tc := range []struct {
		t              float64
		negatives, all int
		want           float64
	}{
		{0, 10, 101, 1},
		{1, 10, 101, 0.1},
		{0.75, 256, 3417, 0.25 + 0.75*256/3416},
	} {
		if got := ops.GBCEBeta(tc.t, tc.negatives, tc.all); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("GBCEBeta(%v, %d, %d) = %v, want %v", tc.t, tc.negatives, tc.all, got, tc.want)
		}
	}
}

func TestSampledErrors(t *testing.T) {
	g := G.NewGraph()
	in := func(name string, rows, cols int) *G.Node {
		return matrix(g, name, rows, cols, make([]float32, rows*cols)...)
	}
	x, pos, neg := in("x", 2, 3), in("pos", 2, 3), in("neg", 5, 3)
	one, two, bad := []int32{1}, []int32{1, 2}, []int32{-2, 0}
	float := []float32{1}
	build := func(x, pos, neg *G.Node, o ops.SampledOptions, q ops.LogQ) error {
		_, err := ops.SampledSoftmax(x, pos, neg, o, q)
		return err
	}
	_, beta := ops.GBCE(x, pos, neg, ops.SampledOptions{}, 0)
	for _, tc := range []struct {
		got  error
		want string
	}{
		{build(nil, pos, neg, ops.SampledOptions{}, ops.LogQ{}), "ops: sampledsoftmax: x is nil"},
		{build(x, neg, neg, ops.SampledOptions{}, ops.LogQ{}), "ops: sampledsoftmax: pos is (5, 3), want (2, 3): an item for each row of x"},
		{build(x, pos, in("n", 5, 2), ops.SampledOptions{}, ops.LogQ{}), "ops: sampledsoftmax: neg is (5, 2), want a width of 3 as x"},
		{
			build(x, pos, neg, ops.SampledOptions{Own: true}, ops.LogQ{}),
			"ops: sampledsoftmax: neg is (5, 3), want equally many negatives for each of the 2 rows of x",
		},
		{build(x, pos, neg, ops.SampledOptions{From: -1}, ops.LogQ{}), "ops: sampledsoftmax: items from -1 on, want 0 or more"},
		{
			build(x, pos, neg, ops.SampledOptions{Target: &one}, ops.LogQ{}),
			"ops: sampledsoftmax: 1 targets, want one for each of the 2 rows of x",
		},
		{build(x, pos, neg, ops.SampledOptions{Negative: &two}, ops.LogQ{}), "ops: sampledsoftmax: ids of 2 negatives, want 5"},
		{
			build(x, pos, neg, ops.SampledOptions{}, ops.LogQ{Target: &float}),
			"ops: sampledsoftmax: 1 corrections of targets, want one for each of the 2 rows of x",
		},
		{build(x, pos, neg, ops.SampledOptions{}, ops.LogQ{Negative: &float}), "ops: sampledsoftmax: 1 corrections of negatives, want 5"},
		{beta, "ops: gbce: beta 0, want a number above 0"},
	} {
		if tc.got == nil || tc.got.Error() != tc.want {
			t.Errorf("error %v, want %q", tc.got, tc.want)
		}
	}
	must(ops.BPR(x, pos, neg, ops.SampledOptions{Target: &bad}))
	if err := runErr(g); err == nil || !strings.Contains(err.Error(), "target of row 0 is -2, want an item, or -1 to leave the row out") {
		t.Errorf("error %v", err)
	}
}

// Negatives that are packed have the loss and the gradients, bit by bit, of those that lie where their rows are; nothing behind them is
// read or written.
func TestSampledPacked(t *testing.T) {
	const R, K, D, live = 7, 3, 5, 4
	nan := float32(math.NaN())
	target := []int32{2, ops.Ignored, 0, 5, ops.Ignored, ops.Ignored, 1}
	for _, l := range sampledLosses {
		r := rand.New(rand.NewPCG(1, 2))
		x, pos, neg := make([]float32, R*D), make([]float32, R*D), make([]float32, R*K*D)
		for _, m := range [][]float32{x, pos, neg} {
			opstest.Uniform(m, r)
		}
		packed, ids, packedIDs := slices.Repeat([]float32{nan}, R*K*D), make([]int32, R*K), make([]int32, R*K)
		most, q, packedQ := make([]float32, R), make([]float32, R*K), slices.Repeat([]float32{nan}, R*K)
		at := 0
		for r, y := range target {
			for k := range K {
				ids[r*K+k], q[r*K+k] = int32((r+2*k)%6), float32(k)/4
			}
			if y != ops.Ignored {
				copy(packed[at*K*D:], neg[r*K*D:(r+1)*K*D])
				copy(packedIDs[at*K:], ids[r*K:(r+1)*K])
				copy(packedQ[at*K:], q[r*K:(r+1)*K])
				at++
			}
		}
		values := func(neg []float32, o ops.SampledOptions, q ops.LogQ) (out [][]float32) {
			o.Target, o.Own = &target, true
			g := G.NewGraph()
			in := G.Nodes{matrix(g, "x", R, D, x...), matrix(g, "pos", R, D, pos...), matrix(g, "neg", R*K, D, neg...)}
			loss := must(l.op(in, o, q))
			d, err := ops.Grad(loss, in...)
			if err != nil {
				t.Fatal(err)
			}
			run(t, g)
			for _, n := range append(G.Nodes{loss}, d...) {
				out = append(out, slices.Clone(opstest.Values(n)))
			}
			return out
		}
		want := values(neg, ops.SampledOptions{Negative: &ids}, ops.LogQ{Target: &most, Negative: &q})
		got := values(packed, ops.SampledOptions{Negative: &packedIDs, Packed: true}, ops.LogQ{Target: &most, Negative: &packedQ})
		for i := range want[:3] {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("%s: result %d is %v packed, %v otherwise", l.name, i, got[i], want[i])
			}
		}
		at = 0
		for r, y := range target {
			if y == ops.Ignored {
				continue
			}
			if !slices.Equal(got[3][at*K*D:(at+1)*K*D], want[3][r*K*D:(r+1)*K*D]) {
				t.Errorf("%s: gradient of the negatives of row %d is %v packed, %v otherwise", l.name, r, got[3][at*K*D:(at+1)*K*D], want[3][r*K*D:(r+1)*K*D])
			}
			at++
		}
		if at != live || slices.ContainsFunc(got[3][live*K*D:], func(v float32) bool { return v != 0 }) {
			t.Errorf("%s: what is behind the negatives has the gradient %v", l.name, got[3][live*K*D:])
		}
	}
}
