package gate_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/splice-ml/splice/cki/gate"
)

// layer is a layer of testdata/global.json: two parents, their entropies, gate and merged matrix with a = 0.4, c = 500 and 10
// bins, computed independently in float32.
type layer struct {
	Name     string    `json:"name"`
	A        []float32 `json:"a"`
	B        []float32 `json:"b"`
	EntropyA float64   `json:"entropy_a"`
	EntropyB float64   `json:"entropy_b"`
	Global   float64   `json:"global"`
	Merged   []float32 `json:"merged"`
}

func near(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

func TestGolden(t *testing.T) {
	raw, err := os.ReadFile("testdata/global.json")
	if err != nil {
		t.Fatal(err)
	}
	var layers []layer
	if err := json.Unmarshal(raw, &layers); err != nil {
		t.Fatal(err)
	}
	if len(layers) == 0 {
		t.Fatal("no layers")
	}
	for _, l := range layers {
		ha, hb := gate.Entropy(l.A, 10), gate.Entropy(l.B, 10)
		if !near(ha, l.EntropyA, 1e-5) || !near(hb, l.EntropyB, 1e-5) {
			t.Errorf("%s: entropies %v, %v, want %v, %v", l.Name, ha, hb, l.EntropyA, l.EntropyB)
		}
		g := gate.Global([]float64{ha, hb}, 0.4, 500)
		if !near(g[0], l.Global, 1e-5) || g[0]+g[1] != 1 {
			t.Errorf("%s: gate %v, want %v", l.Name, g, l.Global)
		}
		for i, want := range l.Merged {
			got := g[0]*float64(l.A[i]) + g[1]*float64(l.B[i])
			scale := math.Abs(float64(l.A[i])) + math.Abs(float64(l.B[i])) // c = 500 magnifies the float32 entropies' last bits
			if math.Abs(got-float64(want)) > 1e-5*scale {
				t.Fatalf("%s: merged value %d is %v, want %v", l.Name, i, got, want)
			}
		}
	}
}

func TestEntropy(t *testing.T) {
	for _, tc := range []struct {
		name string
		w    []float32
		bins int
		want float64
	}{
		{"empty", nil, 10, 0},
		{"constant", []float32{2, 2, 2}, 10, 0},
		{"no bins", []float32{1, 2}, 0, 0},
		{"maximum in no bin", []float32{0, 1}, 10, 0.5 * math.Ln2},
		{"two bins", []float32{0, 0, 1, 1, 2}, 2, -2 * 0.4 * math.Log(0.4)},
		{"edge belongs to the upper bin", []float32{0, 1, 2}, 2, 2. / 3 * math.Log(3)},
		{"maximum twice", []float32{-1, 1, 1, 1}, 4, 0.25 * math.Log(4)},
	} {
		if got := gate.Entropy(tc.w, tc.bins); math.Abs(got-tc.want) > 1e-12 {
			t.Errorf("%s: Entropy(%v, %d) = %v, want %v", tc.name, tc.w, tc.bins, got, tc.want)
		}
	}
}

func TestGlobal(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		x, y := r.Float64()*3, r.Float64()*3
		a, c := r.Float64(), math.Exp(r.NormFloat64()*3)
		want := a/math.Pi*math.Atan(c*(x-y)) + 0.5
		if g := gate.Global([]float64{x, y}, a, c); g[0] != want || g[1] != 1-want {
			t.Errorf("Global([%v %v], %v, %v) = %v, want %v", x, y, a, c, g, want)
		}
	}
	if g := gate.Global([]float64{1}, 0.4, 500); g[0] != 1 {
		t.Errorf("a parent alone has weight %v, want 1", g[0])
	}
	for k := 2; k < 7; k++ {
		h := make([]float64, k)
		for i := range h {
			h[i] = r.Float64()
		}
		g := gate.Global(h, 1, 500)
		var sum float64
		for i, x := range g {
			sum += x
			for j, y := range g {
				if h[i] > h[j] && x <= y {
					t.Errorf("Global(%v) = %v: more entropy has less weight", h, g)
				}
			}
			if x <= 0 {
				t.Errorf("Global(%v) = %v: a weight is not positive", h, g)
			}
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("Global(%v) = %v, which sums to %v", h, g, sum)
		}
		for i, x := range gate.Global(make([]float64, k), 0.4, 500) {
			if math.Abs(x-1/float64(k)) > 1e-15 {
				t.Errorf("equal entropies of %d parents: weight %d is %v", k, i, x)
			}
		}
	}
}
