package ops

import (
	"fmt"
	"math"

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
// over the live rows whose class is not [Ignored], or 0 if there are none. Classes are whole numbers from 0 to C−1; another
// one is an error of the run. The loss is summed in float64. The gradient of the logits is (softmax(z) − onehot(y))/N, and zero in
// padding and ignored rows. Labels have none. A nil rows means that all rows are live.
func SoftmaxCE(logits, label *G.Node, rows *Rows) (*G.Node, error) {
	c := checker{op: "softmaxce"}
	B, C := c.mat("logits", logits)
	c.shape("label", label, "one class per row", B, 1)
	if c.err != nil {
		return nil, c.err
	}
	n := &softmaxCE{name: c.op, B: B, C: C, rows: rows}
	n.add = func(s *softmaxRow, y []float32) bool {
		t := y[s.r]
		if t == Ignored {
			return false
		}
		if !(t >= 0 && t < float32(C)) || t != float32(int(t)) {
			s.err = fmt.Errorf("label of row %d is %v, want a class from 0 to %d, or %d to leave the row out", s.r, t, C-1, Ignored)
			return false
		}
		s.loss += s.log - (float64(s.z[int(t)]) - float64(s.max))
		return true
	}
	n.sub = func(dz, y []float32, r int, scale float32) { dz[int(y[r])] -= scale }
	return n.apply(logits, label)
}

// SoftmaxCESoft is the mean over the live rows of the cross-entropy of the softmax of logits z [B, C] with target
// distributions p [B, C], a scalar, as distillation has it (Hinton et al. 2015):
//
//	Σ_c p_c·(log Σ_k exp(z_k) − z_c)
//
// It is summed in float64. Each live row of p has numbers of 0 or more whose sum is 1 within 0.001; another row is an error of
// the run. The gradient of the logits is (softmax(z)·Σ_c p_c − p)/N, and zero in padding rows. Targets have none. A nil rows means
// that all rows are live. [Scale] divides logits by a temperature.
func SoftmaxCESoft(logits, target *G.Node, rows *Rows) (*G.Node, error) {
	c := checker{op: "softmaxcesoft"}
	B, C := c.mat("logits", logits)
	c.shape("target", target, "one number per logit", B, C)
	if c.err != nil {
		return nil, c.err
	}
	n := &softmaxCE{name: c.op, B: B, C: C, rows: rows}
	n.add = func(s *softmaxRow, p []float32) bool {
		sum, loss := 0.0, 0.0
		for j, v := range p[s.r*C : (s.r+1)*C] {
			if !(v >= 0) {
				s.err = fmt.Errorf("target %d of row %d is %v, want a number of 0 or more", j, s.r, v)
				return false
			}
			sum += float64(v)
			if v > 0 { // a logit of −Inf counts only where it has a weight
				loss -= float64(v) * (float64(s.z[j]) - float64(s.max))
			}
		}
		if !(math.Abs(sum-1) <= 1e-3) {
			s.err = fmt.Errorf("targets of row %d have the sum %v, want 1", s.r, sum)
			return false
		}
		s.loss += loss + sum*s.log
		s.weight = float32(sum)
		return true
	}
	n.sub = func(dz, p []float32, r int, scale float32) { kernel.Axpy(dz, -scale, p[r*C:(r+1)*C]) }
	return n.apply(logits, target)
}

// softmaxRow is what is known about a row when its part of the loss is computed, and the result of its chunk.
type softmaxRow struct {
	r      int
	z      []float32 // the logits
	max    float32   // the greatest
	log    float64   // log Σ exp(z − max)
	weight float32   // the sum of the row's targets

	buf  [512]float32
	loss float64 // of the chunk so far
	rows int     // that had a part in it
	err  error   // the first mistake in the chunk
}

// softmaxCE is a kind of cross-entropy, and the state that its forward pass leaves to the backward pass.
type softmaxCE struct {
	name string
	B, C int
	rows *Rows
	// add adds the loss of a row to that of its chunk and tells whether the row has a part in the mean.
	add func(s *softmaxRow, y []float32) bool
	// sub subtracts scale·target from the gradient of row r.
	sub func(dz, y []float32, r int, scale float32)

	live   int
	counts int       // rows that have a part in the loss
	max    []float32 // [B]: the greatest logit
	part   []float32 // [B]: sum of the targets / Σ exp(z − max); 0 for rows without a part
	ones   []float32 // [C]
}

func (n *softmaxCE) apply(logits, target *G.Node) (*G.Node, error) {
	B, C := n.B, n.C
	in := []*G.Node{logits}
	n.max, n.part, n.ones = room[float32](in, B), room[float32](in, B), room[float32](in, C)
	kernel.Fill(n.ones, 1)
	o := newOp(n.name, tensor.Shape{}, logits, target)
	o.diff = []bool{true, false}
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
			s.r, s.z, s.weight = r, o.in[0][r*C:(r+1)*C], 1
			sum := s.sumExp(n.ones)
			s.log = math.Log(sum)
			if n.add(s, o.in[1]) {
				s.rows++
				n.max[r], n.part[r] = s.max, float32(float64(s.weight)/sum)
			}
		}
	})
	o.run = func() (err error) {
		if n.live, err = n.rows.live(B); err != nil {
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
		d := make(G.Nodes, 2)
		if !need[0] {
			return d, nil
		}
		var err error
		d[0], err = n.grad(in, out, dy)
		return d, err
	}
	return o.apply(logits, target)
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
	o := newOp(n.name+"/dz", in[0].Shape(), in[0], in[1], dy, out) // out: only to run after it
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
			n.sub(dz, o.in[1], r, scale)
		}
	})
	o.run = func() error {
		scale = float32(float64(o.in[2][0]) / float64(max(1, n.counts)))
		loop()
		return nil
	}
	return o.apply(in[0], in[1], dy, out)
}
