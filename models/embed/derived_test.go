package embed_test

import (
	"math"
	"strings"
	"testing"

	G "gorgonia.org/gorgonia"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models/embed"
	"github.com/splice-ml/splice/models/nn"
)

// A table that is derived, row by row or from one row, is computed before it is looked up, and what it is derived from gets the gradient.
func TestDerived(t *testing.T) {
	const dim, vocab = 2, 5
	sc := &data.Schema{Features: []data.Feature{{Name: "a", Kind: data.Categorical, Vocab: vocab}}}
	for _, rows := range []int{vocab, 1} {
		gate := &nn.Param{Name: "gate", Shape: []int{rows, 1}, Data: make([]float32, rows), Kind: nn.Table}
		for i := range gate.Data {
			gate.Data[i] = float32(i + 2)
		}
		table := &nn.Param{Name: "a.weight", Shape: []int{vocab, dim}, Data: make([]float32, vocab*dim), Kind: nn.Table}
		d := &nn.Derived{ // row id is its gate times (id, 1)
			From: gate,
			Row:  func(id int, from, dst []float32) { dst[0], dst[1] = from[0]*float32(id), from[0] },
			Grad: func(id int, _, dy, grad []float32) { grad[0] = dy[0]*float32(id) + dy[1] },
		}
		plan := embed.NewPlan(sc, 4)
		leaf := make([]float32, 4*dim)
		plan.Add(&embed.Lookup{Dim: dim, Fields: []embed.Field{{Feature: &sc.Features[0], Param: table, Derived: d}}}, (*G.Node)(nil), leaf)
		b := data.NewBatch(sc, 4)
		b.N = 3
		copy(b.IDs["a"], []int32{3, 1, 3})
		if err := plan.Gather(b); err != nil {
			t.Fatal(err)
		}
		at := func(id int) float32 { return gate.Data[id*(rows-1)/(vocab-1)] }
		for r, id := range []int{3, 1, 3} {
			if leaf[r*dim] != at(id)*float32(id) || leaf[r*dim+1] != at(id) {
				t.Errorf("%d rows of gates: row %d is %v, want %v times (%d, 1)", rows, r, leaf[r*dim:(r+1)*dim], at(id), id)
			}
		}
		if table.Data[2*dim+1] != 0 {
			t.Errorf("%d rows of gates: row 2, which the batch does not have, is computed", rows)
		}
		plan.DeriveAll(table)
		if err := plan.Gather(b); err != nil {
			t.Fatal(err)
		}
		for id := 1; id < vocab; id++ {
			if row := table.Data[id*dim:][:dim]; row[0] != at(id)*float32(id) || row[1] != at(id) {
				t.Errorf("%d rows of gates: of all rows, %d is %v, want %v times (%d, 1)", rows, id, row, at(id), id)
			}
		}
		if table.Data[0] != 0 || table.Data[1] != 0 {
			t.Errorf("%d rows of gates: the row of padding is %v", rows, table.Data[:dim])
		}
		rg, dg := plan.Scatter(b, [][]float32{{1, 0.5, 2, 4, 3, 0.25, 100, 100}})
		want := map[int32]float64{1: 2 + 4, 3: 3*(1+3) + 0.75}
		if trained := plan.Trained(); len(trained) != 1 || trained[0] != gate {
			t.Fatalf("trained: %v, want the gates alone", trained)
		}
		if rows == 1 {
			if len(rg) != 0 || len(dg) != 1 || dg[0].Param != gate || math.Abs(float64(dg[0].Grad[0])-want[1]-want[3]) > 1e-6 {
				t.Errorf("gradients %v, %v, want %v of the one gate", rg, dg, want[1]+want[3])
			}
			continue
		}
		if len(rg) != 1 || len(dg) != 0 || rg[0].Param != gate || len(rg[0].IDs) != 2 {
			t.Fatalf("gradients %v, %v, want two rows of the gates", rg, dg)
		}
		for i, id := range rg[0].IDs {
			if math.Abs(float64(rg[0].Grad[i])-want[id]) > 1e-6 {
				t.Errorf("gradient of gate %d is %v, want %v", id, rg[0].Grad[i], want[id])
			}
		}
		for _, bad := range []int32{vocab, -1} {
			b.IDs["a"][1] = bad
			if err := plan.Gather(b); err == nil || !strings.Contains(err.Error(), "feature a: row 1 of the batch has id") {
				t.Errorf("id %d: error %v, want one that names it", bad, err)
			}
		}
	}
}
