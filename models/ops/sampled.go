package ops

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// SampledOptions describes a loss that compares each row's item with some others. Lists are shared by pointer and read at each run,
// and their lengths must not change.
type SampledOptions struct {
	Target *[]int32 // [R]: the item of each row; a row with [Ignored] or an id before From has none and takes no part; nil if all have one
	From   int      // the first id that is an item
	Own    bool     // each row has negatives of its own, neg [R*K, D], those of the first row first; else all share neg [K, D]
	// with Own, neg, Negative and its corrections have those of the rows with an item alone, one row's after the other's; what is behind
	// them is not read, and its gradient is not written
	Packed   bool
	Negative *[]int32 // ids of the rows of neg: one that is Ignored, or is the row's own item, takes no part; nil if all take part
}

// LogQ corrects the scores of a sampled softmax for how likely items are drawn: log of the probability, or of the expected number.
// Either may be nil. They are read at each run.
type LogQ struct {
	Target   *[]float32 // [R]: of the item of each row
	Negative *[]float32 // of each row of neg
}

// SampledSoftmax is the mean over the rows with an item of the cross-entropy of the softmax over the item and K negatives: x and
// pos [R, D] and neg [K, D] or [R*K, D] → a scalar,
//
//	log(exp(s) + Σ_k exp(s_k)) − s,  s = x·pos − logq, s_k = x·neg_k − logq_k
//
// where pos holds the embedding of each row's item (Bengio & Senécal 2008; Yi et al. 2019, section 3). A negative that is the row's
// own item has no part in the sum. Rows without an item are not read and take no gradient, and what the others have does not depend
// on where they stand. The gradient of a score is softmax(s) − onehot, over the number of rows with an item.
func SampledSoftmax(x, pos, neg *G.Node, opt SampledOptions, q LogQ) (*G.Node, error) {
	n := &sampled{SampledOptions: opt, q: q}
	n.row = func(s float64, z, _ []float32) (loss, ds float64) {
		top := max(s, float64(kernel.Max(z)))
		kernel.Axpy(z, float32(-top), n.ones)
		kernel.Exp(z, z)
		e := math.Exp(s - top)
		sum := e + float64(kernel.Sum(z))
		kernel.Scale(z, z, float32(1/sum))
		return math.Log(sum) - (s - top), e/sum - 1
	}
	return n.apply("sampledsoftmax", x, pos, neg)
}

// GBCE is the mean over the rows with an item of the generalised binary cross-entropy of gSASRec (Petrov & Macdonald 2023,
// arXiv:2308.07192, section 5), over inputs as [SampledSoftmax] has them:
//
//	−(beta·log σ(x·pos) + Σ_k log(1 − σ(x·neg_k))) / (1 + K)
//
// A beta of 1 is plain binary cross-entropy; with one negative that is half of SASRec's loss (Kang & McAuley 2018), which adds the
// means of both kinds. [GBCEBeta] is the beta of the paper. K is the number of negatives of the row that take part. The gradient of
// a score is that of the loss: beta·(σ − 1) for the item, σ for a negative, over 1 + K and the number of rows with an item.
func GBCE(x, pos, neg *G.Node, opt SampledOptions, beta float64) (*G.Node, error) {
	if !(beta > 0) {
		return nil, fmt.Errorf("ops: gbce: beta %v, want a number above 0", beta)
	}
	n := &sampled{SampledOptions: opt}
	n.row = func(s float64, z, e []float32) (loss, ds float64) {
		loss, k := softplus(z, e)
		share := 1 / float64(1+k)
		kernel.Activate(z, z, kernel.Sigmoid)
		kernel.Scale(z, z, float32(share))
		tail := math.Exp(-math.Abs(s))
		up := 1 / (1 + tail) // σ(−s)
		if s > 0 {
			up = tail / (1 + tail)
		}
		loss += beta * (max(-s, 0) + math.Log1p(tail))
		return share * loss, -share * beta * up
	}
	return n.apply("gbce", x, pos, neg)
}

// GBCEBeta is the exponent of [GBCE] for negatives drawn evenly from the other items (ibid.): with α = negatives/(items − 1)
// the share of the items that is drawn, α·(t·(1 − 1/α) + 1/α). A t of 0 leaves the scores as uncalibrated as those of plain
// cross-entropy, and one of 1 calibrates them fully.
func GBCEBeta(t float64, negatives, items int) float64 {
	alpha := float64(negatives) / float64(items-1)
	return alpha * (t*(1-1/alpha) + 1/alpha)
}

// BPR is the mean over the rows with an item of Bayesian personalised ranking (Rendle et al. 2009, section 4.1), over inputs as
// [SampledSoftmax] has them:
//
//	−Σ_k log σ(x·pos − x·neg_k) / K
//
// or 0 for a row none of whose negatives takes part. The gradient of a negative's score is σ(x·neg_k − x·pos)/K, and that of the
// item's score their sum with the other sign, over the number of rows with an item.
func BPR(x, pos, neg *G.Node, opt SampledOptions) (*G.Node, error) {
	n := &sampled{SampledOptions: opt}
	n.row = func(s float64, z, e []float32) (loss, ds float64) {
		kernel.Axpy(z, float32(-s), n.ones)
		loss, k := softplus(z, e)
		share := 1 / float64(max(1, k))
		kernel.Activate(z, z, kernel.Sigmoid)
		kernel.Scale(z, z, float32(share))
		return share * loss, -float64(kernel.Sum(z))
	}
	return n.apply("bpr", x, pos, neg)
}

// softplus returns Σ log(1 + exp(z)), and the number of scores that are not −Inf. e is a workspace.
func softplus(z, e []float32) (sum float64, n int) {
	e = e[:len(z)]
	for i, v := range z {
		e[i] = min(v, -v)
		if v > 0 {
			sum += float64(v)
		}
		if !math.IsInf(float64(v), -1) {
			n++
		}
	}
	kernel.Exp(e, e)
	for len(e) > 0 {
		part := e[:min(len(e), 512)] // a product of so many numbers up to 2 stays finite
		product := 1.0
		for _, v := range part {
			product *= 1 + float64(v)
		}
		sum += math.Log(product)
		e = e[len(part):]
	}
	return sum, n
}

// sampled is a kind of loss over scores, and the state that its forward pass leaves to the backward pass.
type sampled struct {
	SampledOptions
	precision kernel.Precision
	q         LogQ
	// row returns the loss of a row with the score s of its item and z of its negatives, −Inf for those that take no part, and the
	// gradient of s. It replaces z by its gradient. e is a workspace as long as z.
	row func(s float64, z, e []float32) (loss, ds float64)

	R, K, D int
	ones    []float32 // [K]
	at      []int32   // [R]: the rows that have an item
	live    int       // their number in this run
	loss    []float64 // [R]: of each of them
	x       []float32 // [R, D]: those rows of x, if they share negatives
	slopes  []float32 // [R, K]: the gradients of the negatives' scores
	slope   []float32 // [R]: and of the item's
}

// check sets the sizes.
func (n *sampled) check(name string, x, pos, neg *G.Node) error {
	c := checker{op: name}
	n.R, n.D = c.mat("x", x)
	c.shape("pos", pos, "an item for each row of x", n.R, n.D)
	rows, width := c.mat("neg", neg)
	if c.err != nil {
		return c.err
	}
	n.K = rows
	if n.Own {
		n.K = rows / n.R
	}
	switch {
	case width != n.D:
		c.fail("neg is %v, want a width of %d as x", neg.Shape(), n.D)
	case n.Own && rows%n.R != 0:
		c.fail("neg is %v, want equally many negatives for each of the %d rows of x", neg.Shape(), n.R)
	case n.From < 0:
		c.fail("items from %d on, want 0 or more", n.From)
	}
	if c.err != nil {
		return c.err
	}
	if planOf([]*G.Node{x}) != nil {
		return nil // the lists are not made
	}
	if err := n.lengths(); err != nil {
		c.fail("%w", err)
	}
	return c.err
}

// lengths checks those of the lists.
func (n *sampled) lengths() error {
	negatives := n.K
	if n.Own {
		negatives *= n.R
	}
	switch {
	case n.Target != nil && len(*n.Target) != n.R:
		return fmt.Errorf("%d targets, want one for each of the %d rows of x", len(*n.Target), n.R)
	case n.Negative != nil && len(*n.Negative) != negatives:
		return fmt.Errorf("ids of %d negatives, want %d", len(*n.Negative), negatives)
	case n.q.Target != nil && len(*n.q.Target) != n.R:
		return fmt.Errorf("%d corrections of targets, want one for each of the %d rows of x", len(*n.q.Target), n.R)
	case n.q.Negative != nil && len(*n.q.Negative) != negatives:
		return fmt.Errorf("%d corrections of negatives, want %d", len(*n.q.Negative), negatives)
	}
	return nil
}

// plan finds the rows of the run that have an item.
func (n *sampled) plan() error {
	if err := n.lengths(); err != nil {
		return err
	}
	n.live = 0
	for r := range n.R {
		if n.Target != nil {
			t := (*n.Target)[r]
			if t < Ignored {
				return fmt.Errorf("target of row %d is %d, want an item, or %d to leave the row out", r, t, Ignored)
			}
			if t == Ignored || int(t) < n.From {
				continue
			}
		}
		n.at[n.live] = int32(r)
		n.live++
	}
	return nil
}

// rows returns a function that runs f(chunk, i) for i over the rows with an item.
func (n *sampled) rows(f func(chunk, i int)) (loop func(), chunks int) {
	chunks = min(n.R, parts(n.R*(n.K*softmaxCost+n.D)))
	return rowParts(chunks, chunks, func(c, _, _ int) {
		for i := n.live * c / chunks; i < n.live*(c+1)/chunks; i++ {
			f(c, i)
		}
	}), chunks
}

// first returns the first of row r's own negatives, where r is the i-th row with an item.
func (n *sampled) first(i, r int) int {
	switch {
	case !n.Own:
		return 0
	case n.Packed:
		return i * n.K
	}
	return r * n.K
}

func (n *sampled) apply(name string, x, pos, neg *G.Node) (*G.Node, error) {
	if err := n.check(name, x, pos, neg); err != nil {
		return nil, err
	}
	R, K, D := n.R, n.K, n.D
	in := G.Nodes{x, pos, neg}
	n.at, n.loss, n.ones = room[int32](in, R), room[float64](in, R), room[float32](in, K)
	n.precision = precisionOf(in...)
	kernel.Fill(n.ones, 1)
	n.slopes, n.slope = buffer(in, R, K), buffer(in, R)
	o := newOp(name, tensor.Shape{}, in...)
	var gather func()
	if !n.Own {
		n.x = buffer(in, R, D)
		gather, _ = n.rows(func(_, i int) { copy(n.x[i*D:(i+1)*D], o.in[0][int(n.at[i])*D:]) })
	}
	var space []float32
	loop, chunks := n.rows(func(chunk, i int) {
		r := int(n.at[i])
		x, z, first := o.in[0][r*D:(r+1)*D], n.slopes[i*K:(i+1)*K], n.first(i, r)
		if n.Own {
			n.precision.GemmST(false, true, 1, K, D, x, D, o.in[2][first*D:], D, z, K, false)
		}
		s := float64(kernel.Dot(x, o.in[1][r*D:(r+1)*D]))
		if n.q.Target != nil {
			s -= float64((*n.q.Target)[r])
		}
		if n.q.Negative != nil {
			kernel.Sub(z, z, (*n.q.Negative)[first:])
		}
		if n.Negative != nil {
			n.hide(z, (*n.Negative)[first:], r)
		}
		loss, ds := n.row(s, z, space[chunk*K:(chunk+1)*K])
		n.loss[i], n.slope[i] = loss, float32(ds)
	})
	space = room[float32](in, chunks, K)
	o.run = func() error {
		if err := n.plan(); err != nil {
			return err
		}
		if !n.Own {
			gather()
			n.precision.Gemm(false, true, n.live, K, D, n.x, D, o.in[2], D, n.slopes, K, false, nil)
		}
		loop()
		sum := 0.0
		for _, v := range n.loss[:n.live] {
			sum += v
		}
		o.out[0] = float32(sum / float64(max(1, n.live)))
		return nil
	}
	o.grad = n.grad
	return o.apply(in...)
}

// hide sets the scores of the negatives of row r that take no part to −Inf.
func (n *sampled) hide(z []float32, ids []int32, r int) {
	own := int32(Ignored)
	if n.Target != nil {
		own = (*n.Target)[r]
	}
	for k := range z {
		if id := ids[k]; id == own || id == Ignored {
			z[k] = float32(math.Inf(-1))
		}
	}
}

// grad makes the gradients of x, pos and neg from those of the scores, which the forward pass leaves.
func (n *sampled) grad(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
	R, K, D := n.R, n.K, n.D
	o := newOp("sampled/dx", in[0].Shape(), in[0], in[1], in[2], dy, out) // out: only to run after it
	var dpos, dneg, product []float32
	if need[1] {
		dpos = buffer(in, R, D)
	}
	if need[2] {
		dneg = buffer(in, in[2].Shape()...)
	}
	if need[0] && !n.Own {
		product = buffer(in, R, D)
	}
	scale := float32(0)
	loop, _ := n.rows(func(_, i int) {
		r := int(n.at[i])
		x, slope, first := o.in[0][r*D:(r+1)*D], scale*n.slope[i], n.first(i, r)
		if need[0] {
			dx, neg := o.out[r*D:(r+1)*D], o.in[2]
			if n.Own {
				n.precision.GemmST(false, false, 1, D, K, n.slopes[i*K:], K, neg[first*D:], D, dx, D, false)
				kernel.Scale(dx, dx, scale)
			} else {
				kernel.Scale(dx, product[i*D:(i+1)*D], scale)
			}
			kernel.Axpy(dx, slope, o.in[1][r*D:])
		}
		if dpos != nil {
			kernel.Scale(dpos[r*D:(r+1)*D], x, slope)
		}
		if dneg != nil && n.Own {
			for k, v := range n.slopes[i*K : (i+1)*K] {
				kernel.Scale(dneg[(first+k)*D:][:D], x, scale*v)
			}
		}
	})
	wipe := func(m []float32) func() { return flat(len(m), func(lo, hi int) { clear(m[lo:hi]) }) }
	clearX := flat(size(o.shape), func(lo, hi int) { clear(o.out[lo:hi]) })
	clearPos, clearNeg := wipe(dpos), wipe(dneg)
	o.run = func() error {
		scale = float32(float64(o.in[3][0]) / float64(max(1, n.live)))
		if n.live < R {
			clearX()
			clearPos()
			if n.Own && !n.Packed {
				clearNeg()
			}
		}
		if product != nil {
			n.precision.Gemm(false, false, n.live, D, K, n.slopes, K, o.in[2], D, product, D, false, nil)
		}
		loop()
		if dneg != nil && !n.Own {
			n.precision.Gemm(true, false, K, D, n.live, n.slopes, K, n.x, D, dneg, D, false, nil)
			kernel.Scale(dneg, dneg, scale)
		}
		return nil
	}
	return withViews(o, in, need, [][]float32{nil, dpos, dneg}, in[0], in[1], in[2], dy, out)
}
