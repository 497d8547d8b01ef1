package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// catalogueLoss is the float64 twin of CatalogueCE.
func catalogueLoss(x, items []float64, target []int32, D, from int) float64 {
	loss, n := 0.0, 0.0
	for r, t := range target {
		if int(t) < from || t == ops.Ignored {
			continue
		}
		sum, at := 0.0, 0.0
		for v := from; v < len(items)/D; v++ {
			dot := 0.0
			for j := range D {
				dot += x[r*D+j] * items[v*D+j]
			}
			sum += math.Exp(dot)
			if v == int(t) {
				at = dot
			}
		}
		loss += math.Log(sum) - at
		n++
	}
	return loss / max(1, n)
}

// targets returns an item for each row but for each third one.
func targets(R, V int) []int32 {
	t := make([]int32, R)
	for r := range t {
		t[r] = int32(r * 7919 % V)
		if r%3 == 1 {
			t[r] = ops.Ignored
		}
	}
	return t
}

func TestCatalogueCE(t *testing.T) {
	for _, s := range []struct {
		R, V, D, from int
		target        []int32
	}{
		{R: 1, V: 1, D: 1, target: []int32{0}},
		{R: 3, V: 5, D: 2, target: []int32{4, 0, 2}},
		{R: 4, V: 7, D: 3, from: 1, target: []int32{0, 6, -1, 1}},
		{R: 2, V: 3, D: 2, target: []int32{-1, -1}},
		{R: 5, V: 70, D: 5, from: 2},
		{R: 40, V: 33, D: 1},
		{R: 300, V: 9000, D: 3, from: 1},
		{R: 3200, V: 75, D: 4, from: 1},
	} {
		if s.target == nil {
			s.target = targets(s.R, s.V)
		}
		opstest.Check(t, opstest.Case{
			Name:   fmt.Sprintf("from=%d", s.from),
			Shapes: [][]int{{s.R, s.D}, {s.V, s.D}},
			Build: func(x ...*G.Node) (*G.Node, error) {
				return ops.CatalogueCE(x[0], x[1], &s.target, ops.CatalogueOptions{From: s.from})
			},
			Oracle: func(x ...[]float64) []float64 { return []float64{catalogueLoss(x[0], x[1], s.target, s.D, s.from)} },
			Fill:   wideInput,
			Big:    s.R >= 300,
		})
	}
}

// The loss and the gradients of a batch have the same bits for any padding.
func TestCatalogueCEPadding(t *testing.T) {
	const V, D = 1100, 6
	checkPadding(t, history{
		in:  []input{{perPosition, D, 0}, {ofWeight, D, V}},
		out: input{kind: scalar, width: 1},
		build: func(tok *ops.Tokens, x ...*G.Node) (*G.Node, error) {
			R, starts, _ := layout(tok)
			target := slices.Repeat([]int32{ops.Ignored}, R)
			for b, n := range tok.Len {
				for i := range int(n) {
					target[starts[b]+i] = int32(1 + (b*311+i*17)%(V-1))
				}
			}
			return ops.CatalogueCE(x[0], x[1], &target, ops.CatalogueOptions{From: 1})
		},
	})
}

// Logits far out do not overflow, and targets may change from run to run.
func TestCatalogueCERuns(t *testing.T) {
	g := G.NewGraph()
	x, items := matrix(g, "x", 2, 1, 1e4, -1e4), matrix(g, "items", 3, 1, 0, 1, -1)
	target := []int32{1, 2}
	loss := must(ops.CatalogueCE(x, items, &target, ops.CatalogueOptions{}))
	if _, err := ops.Grad(loss, x, items); err != nil {
		t.Fatal(err)
	}
	vm := G.NewTapeMachine(g)
	defer vm.Close()
	for _, tc := range []struct {
		target []int32
		want   float32
		err    string
	}{
		{[]int32{1, 2}, 0, ""},
		{[]int32{2, -1}, 2e4, ""},
		{[]int32{-1, -1}, 0, ""},
		{[]int32{0, 3}, 0, "target of row 1 is 3, want an item from 0 to 2, or -1 to leave the row out"},
		{[]int32{-2, 0}, 0, "target of row 0 is -2"},
		{[]int32{1}, 0, "1 targets, want 2 as when the graph was built"},
	} {
		target = tc.target
		err := vm.RunAll()
		vm.Reset()
		if tc.err != "" {
			if err == nil || !strings.Contains(err.Error(), tc.err) {
				t.Errorf("targets %v: error %v, want %q", tc.target, err, tc.err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := opstest.Values(loss)[0]; got != tc.want {
			t.Errorf("targets %v: loss %v, want %v", tc.target, got, tc.want)
		}
	}
}

func TestCatalogueCEErrors(t *testing.T) {
	g := G.NewGraph()
	x, items := matrix(g, "x", 2, 3, make([]float32, 6)...), matrix(g, "items", 2, 3, make([]float32, 6)...)
	two, three := []int32{0, 1}, []int32{0, 1, 1}
	for _, tc := range []struct {
		x, items *G.Node
		target   *[]int32
		from     int
		want     string
	}{
		{nil, items, &two, 0, "ops: cataloguece: x is nil"},
		{x, matrix(g, "narrow", 3, 2, make([]float32, 6)...), &two, 0, "ops: cataloguece: items is (3, 2), want a width of 3 as x"},
		{x, items, &two, 2, "ops: cataloguece: items from 2 on in a catalogue of 2"},
		{x, items, nil, 0, "ops: cataloguece: 0 targets, want one for each of the 2 rows of x"},
		{x, items, &three, 0, "ops: cataloguece: 3 targets, want one for each of the 2 rows of x"},
	} {
		if _, err := ops.CatalogueCE(tc.x, tc.items, tc.target, ops.CatalogueOptions{From: tc.from}); err == nil || err.Error() != tc.want {
			t.Errorf("error %v, want %q", err, tc.want)
		}
	}
}

// BenchmarkCatalogueCE reports the speed of the loss with its gradients as that of the four products that it takes, beside that of a
// plain product of the same sizes.
func BenchmarkCatalogueCE(b *testing.B) {
	defer kernel.SetThreads(kernel.Threads())
	const R, V, D = 1024, 54542, 64
	r := rand.New(rand.NewPCG(1, 1))
	x, w := make([]float32, R*D), make([]float32, V*D)
	opstest.Uniform(x, r)
	opstest.Uniform(w, r)
	gflops := func(b *testing.B, products float64) {
		b.ReportMetric(products*2*R*V*D*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
	}
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("loss/threads=%d", threads), func(b *testing.B) {
			kernel.SetThreads(threads)
			g := G.NewGraph()
			xn, wn := matrix(g, "x", R, D, x...), matrix(g, "items", V, D, w...)
			target := make([]int32, R)
			for i := range target {
				target[i] = int32(i * 7919 % V)
			}
			loss := must(ops.CatalogueCE(xn, wn, &target, ops.CatalogueOptions{From: 1}))
			if _, err := ops.Grad(loss, xn, wn); err != nil {
				b.Fatal(err)
			}
			vm := G.NewTapeMachine(g)
			defer vm.Close()
			for b.Loop() {
				if err := vm.RunAll(); err != nil {
					b.Fatal(err)
				}
				vm.Reset()
			}
			gflops(b, 4)
		})
		b.Run(fmt.Sprintf("product/threads=%d", threads), func(b *testing.B) {
			kernel.SetThreads(threads)
			z := make([]float32, R*V)
			for b.Loop() {
				kernel.Gemm(false, true, R, V, D, x, D, w, D, z, V, false, nil)
			}
			gflops(b, 1)
		})
	}
}

// Logits that grow or fall from tile to tile overflow no sum.
func TestCatalogueCESlope(t *testing.T) {
	const V = 9000
	slope := make([]float32, V)
	for v := range slope {
		slope[v] = float32(v)
	}
	g := G.NewGraph()
	x, items := matrix(g, "x", 2, 1, 1, -1), matrix(g, "items", V, 1, slope...)
	loss := must(ops.CatalogueCE(x, items, &[]int32{V - 1, 0}, ops.CatalogueOptions{}))
	run(t, g)
	want := -math.Log(1 - math.Exp(-1))
	if got := float64(opstest.Values(loss)[0]); !(math.Abs(got-want) <= 1e-6) {
		t.Errorf("loss %v, want %v", got, want)
	}
}

// Logits that would take 1.4 GB take some megabytes beside the gradients.
func TestCatalogueCEMemory(t *testing.T) {
	const R, V, D = 6400, 54542, 64
	plan := &ops.Plan{}
	g := G.NewGraph()
	defer ops.Share(g, &ops.Arena{Plan: plan})()
	x := G.NewMatrix(g, tensor.Float32, G.WithShape(R, D), G.WithName("x"))
	items := G.NewMatrix(g, tensor.Float32, G.WithShape(V, D), G.WithName("items"))
	var target []int32
	plan.List(&target, R)
	loss := must(ops.CatalogueCE(x, items, &target, ops.CatalogueOptions{From: 1}))
	if _, err := ops.Grad(loss, x, items); err != nil {
		t.Fatal(err)
	}
	if got := plan.Shared() + plan.Own() - 4*(R+V)*D; got > 30e6 {
		t.Errorf("a loss takes %.1f MB beside the gradients, want at most 30", got/1e6)
	}
}
