package ops

import (
	"fmt"
	"math"
	"slices"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Ignored is the label of a row that has no part in [SoftmaxCE], such as a token that a masked language model need not guess.
const Ignored = -1

// SoftmaxCE is the mean cross-entropy of the softmax of logits z [B, C] with the classes y [B, 1], a scalar:
//
//	log Σ_c exp(z_c) − z_y
//
// times the row's weight, over the live rows whose class is not [Ignored], or 0 if there are none. Classes are whole numbers from 0 to
// C−1; another one is an error of the run, but in a row of weight 0. The loss is summed in float64. The gradient of the logits is
// w·(softmax(z) − onehot(y))/N, and zero in padding and ignored rows. Labels and weights have none.
func SoftmaxCE(logits *G.Node, t Target) (*G.Node, error) {
	return softmaxFocal("softmaxce", logits, SoftmaxFocalOptions{}, t)
}

// SoftmaxFocalOptions say how a cross-entropy of classes counts rows.
type SoftmaxFocalOptions struct {
	Factors []float64 // of the rows of each class, above 0; nil: all are 1
	Gamma   float64   // focusing parameter, 0 or more; 0: all rows of a class count alike
}

// SoftmaxFocal is [SoftmaxCE] with the focal loss of several classes in place of the cross-entropy, with p = softmax(z)_y and the factor a
// of the class y (Lin et al. 2017, eq. 5, with the softmax in place of the sigmoid):
//
//	a_y·(1 − p)^γ·(−log p)
//
// The mean is over the rows, not over the sum of the factors. The gradient of the logits is that of [SoftmaxCE] times
// a_y·((1 − p)^γ − γ·(1 − p)^(γ−1)·p·log p).
func SoftmaxFocal(logits *G.Node, o SoftmaxFocalOptions, t Target) (*G.Node, error) {
	return softmaxFocal("softmaxfocal", logits, o, t)
}

func softmaxFocal(name string, logits *G.Node, o SoftmaxFocalOptions, t Target) (*G.Node, error) {
	c := checker{op: name}
	B, C := c.mat("logits", logits)
	if c.err == nil && len(o.Factors) > 0 && len(o.Factors) != C {
		c.fail("%d factors of classes, want %d", len(o.Factors), C)
	}
	if slices.ContainsFunc(o.Factors, func(a float64) bool { return !(a > 0) || math.IsInf(a, 1) }) || !(o.Gamma >= 0) || math.IsInf(o.Gamma, 1) {
		c.fail("want factors above 0 and a gamma of 0 or more")
	}
	c.shape("label", t.Label, "one class per row", B, 1)
	t.check(&c, B)
	if c.err != nil {
		return nil, c.err
	}
	n := &softmaxCE{name: c.op, B: B, C: C, target: t}
	n.ignored = func(y []float32, r int) bool { return y[r] == Ignored }
	n.of = func(s *softmaxRow, y []float32) (loss float64) {
		t := y[s.r]
		if !(t >= 0 && t < float32(C)) || t != float32(int(t)) {
			s.err = fmt.Errorf("label of row %d is %v, want a class from 0 to %d, or %d to leave the row out", s.r, t, C-1, Ignored)
			return 0
		}
		loss = s.log - (float64(s.z[int(t)]) - float64(s.max))
		if o.Gamma > 0 {
			rest := -math.Expm1(-loss) // 1 − p
			power := math.Pow(rest, o.Gamma)
			if s.slope = power; rest > 0 {
				s.slope += o.Gamma * power / rest * math.Exp(-loss) * loss
			}
			loss *= power
		}
		if o.Factors != nil {
			s.slope *= o.Factors[int(t)]
			loss *= o.Factors[int(t)]
		}
		return loss
	}
	n.sub = func(dz, y []float32, r int, scale float32) { dz[int(y[r])] -= scale }
	return n.apply(logits)
}

// SoftmaxCESoft is the mean over the live rows of the cross-entropy of the softmax of logits z [B, C] with target
// distributions p [B, C], a scalar, as distillation has it (Hinton et al. 2015):
//
//	Σ_c p_c·(log Σ_k exp(z_k) − z_c)
//
// times the row's weight. It is summed in float64. Each live row of p has numbers of 0 or more whose sum is 1 within 0.001; another row
// is an error of the run, but one of weight 0. The gradient of the logits is w·(softmax(z)·Σ_c p_c − p)/N, and zero in padding rows.
// Labels and weights have none. [Scale] divides logits by a temperature.
func SoftmaxCESoft(logits *G.Node, t Target) (*G.Node, error) {
	c := checker{op: "softmaxcesoft"}
	B, C := c.mat("logits", logits)
	c.shape("target", t.Label, "one number per logit", B, C)
	t.check(&c, B)
	if c.err != nil {
		return nil, c.err
	}
	n := &softmaxCE{name: c.op, B: B, C: C, target: t}
	n.of = func(s *softmaxRow, p []float32) (loss float64) {
		sum := 0.0
		for j, v := range p[s.r*C : (s.r+1)*C] {
			if !(v >= 0) {
				s.err = fmt.Errorf("target %d of row %d is %v, want a number of 0 or more", j, s.r, v)
				return 0
			}
			sum += float64(v)
			if v > 0 { // a logit of −Inf counts only where it has a weight
				loss -= float64(v) * (float64(s.z[j]) - float64(s.max))
			}
		}
		if !(math.Abs(sum-1) <= 1e-3) {
			s.err = fmt.Errorf("targets of row %d have the sum %v, want 1", s.r, sum)
			return 0
		}
		s.share = float32(sum)
		return loss + sum*s.log
	}
	n.sub = func(dz, p []float32, r int, scale float32) { kernel.Axpy(dz, -scale, p[r*C:(r+1)*C]) }
	return n.apply(logits)
}

// softmaxRow is what is known about a row when its part of the loss is computed, and the result of its chunk.
type softmaxRow struct {
	r     int
	z     []float32 // the logits
	max   float32   // the greatest
	log   float64   // log Σ exp(z − max)
	share float32   // the sum of the row's targets
	slope float64   // derivative of the row's loss by its cross-entropy

	buf  [512]float32
	loss float64 // of the chunk so far
	rows int     // that had a part in it
	err  error   // the first mistake in the chunk
}

// softmaxCE is a kind of cross-entropy, and the state that its forward pass leaves to the backward pass.
type softmaxCE struct {
	name   string
	B, C   int
	target Target
	// ignored tells whether row r has no part in the mean; nil: all rows have.
	ignored func(y []float32, r int) bool
	// of returns the loss of a row, or sets err.
	of func(s *softmaxRow, y []float32) float64
	// sub subtracts scale·target from the gradient of row r.
	sub func(dz, y []float32, r int, scale float32)

	live   int
	counts int       // rows that have a part in the loss
	max    []float32 // [B]: the greatest logit
	part   []float32 // [B]: sum of the targets · factor / Σ exp(z − max); 0 for rows without a part
	factor []float32 // [B]: weight · slope
	ones   []float32 // [C]
}

// row returns the weight of row r, given the inputs of an op; ok is false if the row has no part in the mean.
func (n *softmaxCE) row(s *softmaxRow, in [][]float32, r int) (w float32, ok bool) {
	if n.ignored != nil && n.ignored(in[1], r) {
		return 0, false
	}
	if n.target.Weight == nil {
		return 1, true
	}
	if w = in[2][r]; !isWeight(w) {
		s.err = weightFault(r, w)
	}
	return w, true
}

func (n *softmaxCE) apply(logits *G.Node) (*G.Node, error) {
	B, C := n.B, n.C
	in := n.target.inputs(logits)
	n.max, n.part, n.factor, n.ones = room[float32](in, B), room[float32](in, B), room[float32](in, B), room[float32](in, C)
	kernel.Fill(n.ones, 1)
	o := newOp(n.name, tensor.Shape{}, in...)
	o.diff = make([]bool, len(in))
	o.diff[0] = true
	p := min(B, parts(B*C*softmaxCost))
	chunks := make([]softmaxRow, p)
	loop := rowParts(B, p, func(i, lo, hi int) {
		s := &chunks[i]
		s.loss, s.rows, s.err = 0, 0, nil
		for r := lo; r < hi; r++ {
			n.part[r] = 0
			if r >= n.live || s.err != nil {
				continue
			}
			w, ok := n.row(s, o.in, r)
			if !ok {
				continue
			}
			s.rows++
			if w == 0 || s.err != nil {
				continue
			}
			s.r, s.z, s.share, s.slope = r, o.in[0][r*C:(r+1)*C], 1, 1
			sum := s.sumExp(n.ones)
			s.log = math.Log(sum)
			s.loss += float64(w) * n.of(s, o.in[1])
			factor := float64(w) * s.slope
			n.max[r], n.part[r], n.factor[r] = s.max, float32(factor*float64(s.share)/sum), float32(factor)
		}
	})
	o.run = func() (err error) {
		if n.live, err = n.target.Rows.live(B); err != nil {
			return err
		}
		loop()
		loss := 0.0
		n.counts = 0
		for i := range chunks {
			if err := chunks[i].err; err != nil {
				return err
			}
			loss += chunks[i].loss
			n.counts += chunks[i].rows
		}
		o.out[0] = float32(loss / float64(max(1, n.counts)))
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, need []bool) (G.Nodes, error) {
		d := make(G.Nodes, len(in))
		if !need[0] {
			return d, nil
		}
		var err error
		d[0], err = n.grad(in, out, dy)
		return d, err
	}
	return o.apply(in...)
}

// softmaxCost is about how many additions an element takes.
const softmaxCost = 4

// sumExp sets max and returns Σ exp(z − max).
func (s *softmaxRow) sumExp(ones []float32) float64 {
	s.max = kernel.Max(s.z)
	sum := 0.0
	for z := s.z; len(z) > 0; {
		e := s.buf[:min(len(z), len(s.buf))]
		copy(e, z)
		kernel.Axpy(e, -s.max, ones[:len(e)])
		kernel.Exp(e, e)
		sum += float64(kernel.Sum(e))
		z = z[len(e):]
	}
	return sum
}

func (n *softmaxCE) grad(in G.Nodes, out, dy *G.Node) (*G.Node, error) {
	C := n.C
	in = append(slices.Clip(in), dy, out) // out: only to run after it
	o := newOp(n.name+"/dz", in[0].Shape(), in...)
	scale := float32(0)
	loop := rowParts(n.B, min(n.B, parts(n.B*C*softmaxCost)), func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			dz := o.out[r*C : (r+1)*C]
			if n.part[r] == 0 {
				clear(dz)
				continue
			}
			copy(dz, o.in[0][r*C:])
			kernel.Axpy(dz, -n.max[r], n.ones)
			kernel.Exp(dz, dz)
			kernel.Scale(dz, dz, n.part[r]*scale)
			n.sub(dz, o.in[1], r, scale*n.factor[r])
		}
	})
	o.run = func() error {
		scale = float32(float64(o.in[len(in)-2][0]) / float64(max(1, n.counts)))
		loop()
		return nil
	}
	return o.apply(in...)
}
