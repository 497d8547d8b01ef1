package ops_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/models/ops/opstest"
	G "gorgonia.org/gorgonia"
)

// recur is the float64 twin of GRU; a is nil without attention.
func recur(s sequences, H int, x, whh, bhh, a []float64) []float64 {
	y := make([]float64, s.B*s.L*H)
	sigmoid := func(v float64) float64 { return 1 / (1 + math.Exp(-v)) }
	for b := range s.B {
		h := make([]float64, H)
		for i := range s.L {
			if !s.live(b, i) {
				continue
			}
			at := b*s.L + i
			gate := make([]float64, 3*H)
			for j := range gate {
				gate[j] = bhh[j]
				for k := range H {
					gate[j] += whh[j*H+k] * h[k]
				}
			}
			next := make([]float64, H)
			for j := range H {
				r := sigmoid(x[at*3*H+j] + gate[j])
				z := sigmoid(x[at*3*H+H+j] + gate[H+j])
				n := math.Tanh(x[at*3*H+2*H+j] + r*gate[2*H+j])
				u := 1 - z
				if a != nil {
					u *= a[at]
				}
				next[j] = (1-u)*h[j] + u*n
			}
			h = next
			copy(y[at*H:], h)
		}
	}
	return y
}

func TestGRU(t *testing.T) {
	for _, H := range []int{1, 3, 18} {
		for _, attention := range []bool{false, true} {
			h := history{
				name: fmt.Sprintf("H=%d,attention=%v", H, attention),
				in:   []input{{perPosition, 3 * H, 0}, {ofWeight, H, 3 * H}, {ofWeight, 3 * H, 0}},
				out:  input{perPosition, H, 0},
				build: func(t *ops.Tokens, x ...*G.Node) (*G.Node, error) {
					o := ops.GRUOptions{Tokens: t}
					if attention {
						o.Attention = x[3]
					}
					return ops.GRU(x[0], x[1], x[2], o)
				},
				oracle: func(s sequences, x ...[]float64) []float64 { return recur(s, H, x[0], x[1], x[2], append(x, nil)[3]) },
				alone:  true,
			}
			if attention {
				h.in = append(h.in, input{perPosition, 1, 0})
			}
			checkHistory(t, h)
		}
	}
}

// An AUGRU whose scores are all 1 is a GRU, and one whose scores are 0 keeps the state at 0.
func TestGRUAttentionOfOne(t *testing.T) {
	const B, L, H = 3, 4, 5
	g := G.NewGraph()
	draw := func(n int) []float32 {
		x := make([]float32, n)
		opstest.Uniform(x, rand.New(rand.NewPCG(1, uint64(n))))
		return x
	}
	x, whh, bhh := matrix(g, "x", B*L, 3*H, draw(B*L*3*H)...), matrix(g, "whh", 3*H, H, draw(3*H*H)...), vector(g, "bhh", draw(3*H)...)
	ones := make([]float32, B*L)
	kernel.Fill(ones, 1)
	tok := &ops.Tokens{L: L}
	plain := must(ops.GRU(x, whh, bhh, ops.GRUOptions{Tokens: tok}))
	one := must(ops.GRU(x, whh, bhh, ops.GRUOptions{Tokens: tok, Attention: matrix(g, "one", B*L, 1, ones...)}))
	zero := must(ops.GRU(x, whh, bhh, ops.GRUOptions{Tokens: tok, Attention: matrix(g, "zero", B*L, 1, make([]float32, B*L)...)}))
	run(t, g)
	for i, v := range opstest.Values(plain) {
		if w := opstest.Values(one)[i]; !(math.Abs(float64(v-w)) <= 1e-6) {
			t.Errorf("element %d is %v with scores of 1, %v without", i, w, v)
		}
	}
	if !slices.Equal(opstest.Values(zero), make([]float32, B*L*H)) {
		t.Errorf("with scores of 0 the states are %v, want 0", opstest.Values(zero))
	}
}

func BenchmarkGRU(b *testing.B) {
	const B, L, H = 256, 50, 64
	g := G.NewGraph()
	draw := func(n int) []float32 {
		x := make([]float32, n)
		opstest.Uniform(x, rand.New(rand.NewPCG(1, uint64(n))))
		return x
	}
	x, whh, bhh := matrix(g, "x", B*L, 3*H, draw(B*L*3*H)...), matrix(g, "whh", 3*H, H, draw(3*H*H)...), vector(g, "bhh", draw(3*H)...)
	y := must(ops.GRU(x, whh, bhh, ops.GRUOptions{Tokens: &ops.Tokens{L: L}}))
	if _, err := ops.VJP(y, matrix(g, "dy", B*L, H, draw(B*L*H)...), x, whh, bhh); err != nil {
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
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(B*L), "ns/row")
}
