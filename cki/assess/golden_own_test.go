package assess

import (
	"fmt"
	"slices"
	"testing"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"github.com/splice-ml/splice/models/ops"
)

// TestGoldenOwn: weights that each row has of its own are spliced with shared ones by the same formulas. Rows with B's weights become
// the merged matrices; the row between them has A's, and stays A.
func TestGoldenOwn(t *testing.T) {
	for _, c := range golden(t) {
		for i, l := range c.Layers {
			for form, want := range map[ops.SpliceForm]array{ops.SpliceRecommendation: l.RecSoft, ops.SpliceLocal: l.Local, ops.SpliceGlobal: l.Global} {
				g := G.NewGraph()
				leaf := func(name string, data []float32, shape ...int) *G.Node {
					return G.NewTensor(g, tensor.Float32, len(shape), G.WithShape(shape...), G.WithName(name),
						G.WithValue(tensor.New(tensor.WithShape(shape...), tensor.WithBacking(slices.Clone(data)))))
				}
				n := len(l.A.Data)
				w := leaf("w", l.A.Data, l.A.Shape...)
				v := leaf("v", slices.Concat(l.B.Data, l.A.Data, l.B.Data), 3, n)
				var s *G.Node
				if form != ops.SpliceGlobal {
					d, err := ops.Distances(w, v, l.A.Shape[1])
					if err != nil {
						t.Fatal(err)
					}
					if s, err = ops.LinearMap(d, leaf("p", l.P.Data, l.P.Shape...), nil); err != nil {
						t.Fatal(err)
					}
				}
				y, err := ops.SpliceOwn(s, w, v, ops.OwnSplicing{Form: form, Scale: 1, A: .4, C: 500, Bins: 10})
				if err != nil {
					t.Fatal(err)
				}
				vm := G.NewTapeMachine(g)
				if err := vm.RunAll(); err != nil {
					t.Fatal(err)
				}
				got, what := y.Value().Data().([]float32), fmt.Sprintf("%s layer %d, form %d", c.Name, i, form)
				near(t, what, got[:n], want.Data, 1e-5)
				near(t, what+", equal parents", got[n:2*n], l.A.Data, 0)
				near(t, what+", last row", got[2*n:], want.Data, 1e-5)
				if err := vm.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
}
