package grad

import (
	"errors"
	"fmt"
	"math"

	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/dist"
)

// Sum adds up the gradients of the virtual shards of a batch, of which each rank has some, by [dist.Tree]. All ranks have the same bits in
// the end, which do not depend on how many ranks there are.
type Sum struct {
	Mean
	group  dist.Group
	shards int
	lo, hi int // shards of this rank
	leaves []leaf
	loss   dist.Tree[float64]
	dense  dense
	tables []*table
	norms  norms
	wire   wire

	from   []models.RowGrad // of the program
	node   dist.Node        // of it
	leafOf func(i int)
}

// leaf is what a shard is beside its gradients.
type leaf struct {
	rows, weight int64
	loss         float64
}

// NewSum returns a Sum of so many shards, a power of two, of gradients of prog. Its batch norms have [ops.BatchStats.Own].
func NewSum(g dist.Group, shards int, prog *models.Program) *Sum {
	s := &Sum{group: g, shards: shards, leaves: make([]leaf, shards)}
	s.lo, s.hi = dist.Shards(shards, g.Rank(), g.Size())
	s.loss.Add = func(a, b float64) float64 { return a + b }
	weights, tables := prog.Layout()
	s.dense.init(g, shards, weights)
	for _, q := range weights {
		s.Grads = append(s.Grads, models.Grad{Param: q})
	}
	for _, q := range tables {
		s.tables = append(s.tables, newTable(q))
		s.Tables = append(s.Tables, models.RowGrad{Param: q})
	}
	s.leafOf = func(i int) { s.tables[i].leaf(s.node, &s.from[i], float32(s.leaves[s.node.At].weight)) }
	s.norms.init(shards, prog.BatchStats())
	s.wire.init(s)
	return s
}

// Mine reports whether this rank has a shard.
func (s *Sum) Mine(shard int) bool { return shard >= s.lo && shard < s.hi }

// Begin must be called before prog runs the next shard, or another rank does.
func (s *Sum) Begin() {
	if s.Batches > 0 {
		s.norms.restore()
		return
	}
	s.norms.begin()
	s.dense.begin()
	for _, t := range s.tables {
		t.begin()
	}
}

// Skip takes the next shard as one of another rank.
func (s *Sum) Skip() { s.Batches++ }

// Add takes in the next shard, which prog just ran, with its rows of data, and the number of rows or tokens that the loss is the mean of.
func (s *Sum) Add(prog *models.Program, rows int, weight int64, loss float64) error {
	grads, tables := prog.Grads(), prog.RowGrads()
	if len(grads) != len(s.Grads) || len(tables) != len(s.Tables) {
		return fmt.Errorf("a batch has gradients of %d weights and %d tables, the program of %d and %d",
			len(grads), len(tables), len(s.Grads), len(s.Tables))
	}
	for i, g := range grads {
		if g.Param != s.Grads[i].Param {
			return fmt.Errorf("a batch has a gradient of %s, the program of %s in its place", g.Param.Name, s.Grads[i].Param.Name)
		}
	}
	shard := s.Batches
	s.Batches++
	s.leaves[shard] = leaf{int64(rows), weight, loss * float64(weight)}
	s.norms.take(shard, prog.BatchStats())
	s.node = dist.Node{At: shard, Size: 1, Has: true}
	s.dense.leaf(s.node, grads, float32(weight))
	s.from = tables
	kernel.Parallel(len(tables), s.leafOf)
	return nil
}

// Finish makes the sums of the shards the mean over them, on all ranks. stop asks all ranks to stop after the step; stopped reports
// whether one did.
func (s *Sum) Finish(stop bool) (stopped bool, err error) {
	for shard := max(s.Batches, s.lo); shard < s.hi; shard++ {
		n := dist.Node{At: shard, Size: 1}
		s.dense.tree.Push(n, nil)
		for _, t := range s.tables {
			t.tree.Push(n, nil)
		}
	}
	sum := s.dense.root()
	if s.group.Size() > 1 {
		if stop, err = s.wire.heads(stop); err == nil {
			sum, err = s.wire.dense()
		}
		if err == nil {
			err = s.wire.tables()
		}
		if err != nil {
			return false, err
		}
	} else {
		for i, t := range s.tables {
			s.Tables[i] = t.root().RowGrad
		}
	}
	at := 0
	for i, g := range s.Grads {
		s.Grads[i].Grad = sum[at : at+len(g.Param.Data)]
		at += len(g.Param.Data)
	}
	s.Rows, s.Weight = 0, 0
	s.loss.Reset()
	for i, l := range s.leaves {
		has := i < s.Batches
		if has {
			s.Rows += l.rows
			s.Weight += l.weight
		}
		s.loss.Push(dist.Node{At: i, Size: 1, Has: has}, l.loss)
	}
	_, losses := s.loss.Nodes()
	s.Loss = losses[0]
	s.norms.fold(s.Batches)
	s.scale()
	return stop, nil
}

// errBatches is the error of ranks that do not see the same data.
var errBatches = errors.New("the ranks have read different numbers of batches: their data differ")

// finite reports whether a loss is a number.
func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// Finite reports whether the step's loss is a number.
func (s *Sum) Finite() bool { return finite(s.Loss) }
