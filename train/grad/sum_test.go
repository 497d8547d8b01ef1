package grad

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ctr"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/task"
)

// program returns a training program of shards of 4 rows, and rows for it.
func program(t *testing.T) (*models.Program, *data.Memory) {
	t.Helper()
	sc := &data.Schema{NumDense: 1, Features: []data.Feature{
		{Name: "n", Kind: data.Numeric, Table: "n"},
		{Name: "a", Kind: data.Categorical, Vocab: 9, Table: "a"},
		{Name: "b", Kind: data.Categorical, Vocab: 60, Table: "b"},
	}}
	var rows []data.Row
	r := rng.New(3)
	for range 62 {
		rows = append(rows, data.Row{
			IDs:   map[string][]int32{"a": {int32(1 + r.IntN(8))}, "b": {int32(1 + r.IntN(59))}},
			Dense: []float32{float32(r.NormFloat64())}, Label: float32(r.IntN(2)),
		})
	}
	src, err := data.FromRows(sc, rows)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := models.Compile(ctr.DeepFM{EmbeddingDim: 4, Tower: ctr.Tower{HiddenUnits: []int{16}, HiddenActivations: "relu", BatchNorm: true}},
		nn.NewParams(1), sc, models.CompileOptions{
			Batch: 4, Train: true, OwnStats: true,
			Loss: task.Binary{}.Loss,
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { prog.Close() })
	return prog, src
}

// sumOf adds up the shards of the rows on a rank, in blocks of so many values, and returns all bits of the result.
func sumOf(g dist.Group, prog *models.Program, src *data.Memory, shards, block int) (string, error) {
	s := NewSum(g, shards, prog)
	if block > 0 {
		s.wire.block = block
	}
	n := 0
	for b, err := range src.Batches(0, 4) {
		if err != nil {
			return "", err
		}
		s.Begin()
		if !s.Mine(n) {
			s.Skip()
		} else {
			loss, err := prog.Run(b, int64(n))
			if err != nil {
				return "", err
			}
			if err := s.Add(prog, b.N, int64(b.N), loss); err != nil {
				return "", err
			}
		}
		n++
	}
	stopped, err := s.Finish(g.Rank() == 0)
	if err != nil || !stopped {
		return "", fmt.Errorf("stopped %v: %w", stopped, err)
	}
	var text strings.Builder
	text.WriteString(fmt.Sprintln(s.Batches, s.Rows, s.Weight, math.Float64bits(s.Loss)))
	for _, q := range s.Grads {
		text.WriteString(fmt.Sprintln(q.Param.Name, q.Grad))
	}
	for _, q := range s.Tables {
		text.WriteString(fmt.Sprintln(q.Param.Name, q.IDs, q.Grad))
	}
	for _, st := range prog.BatchStats() {
		text.WriteString(fmt.Sprintln(st.Mean, st.Var))
	}
	return text.String(), nil
}

// TestSum compares a sum on several ranks, in blocks of several sizes, with that of one: all bits are the same, on all ranks. 62 rows are
// 16 shards, the last one of 2 rows; where there are 32 leaves, half of the ranks may have none.
func TestSum(t *testing.T) {
	for _, shards := range []int{16, 32} {
		prog, src := program(t)
		want, err := sumOf(dist.Local{}, prog, src, shards, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []int{2, 3, 5, 16} {
			for _, block := range []int{0, 16, 100} {
				world := dist.NewInproc(size, time.Minute)
				var wait sync.WaitGroup
				got, errs := make([]string, size), make([]error, size)
				for r := range size {
					prog, src := program(t)
					wait.Go(func() { got[r], errs[r] = sumOf(world.Group(r), prog, src, shards, block) })
				}
				wait.Wait()
				for r := range size {
					if errs[r] != nil || got[r] != want {
						t.Fatalf("%d shards, rank %d of %d, blocks of %d: %v\ngot  %.300s\nwant %.300s", shards, r, size, block, errs[r], got[r], want)
					}
				}
			}
		}
	}
}
