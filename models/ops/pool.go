package ops

import (
	"fmt"

	"github.com/splice-ml/splice/models/ops/kernel"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// FirstToken returns the row of the first token of each sequence, x [B*L, H] → [B, H]: BERT pools a sequence so, by its [CLS]
// token (Devlin et al. 2019). The gradient of the other rows is 0.
func FirstToken(x *G.Node, t *Tokens) (*G.Node, error) {
	c := checker{op: "firsttoken"}
	R, H := c.mat("x", x)
	B := c.tokens("x", R, t)
	if c.err != nil {
		return nil, c.err
	}
	o := newOp("firsttoken", tensor.Shape{B, H}, x)
	o.form = t
	loop := rowwise(B, H, func(lo, hi int) {
		for b := lo; b < hi; b++ {
			copy(o.out[b*H:(b+1)*H], o.in[0][t.at(b)*H:])
		}
	})
	o.run = func() error {
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, _, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("firsttoken/dx", in[0].Shape(), dy)
		loop := rowwise(B, H, func(lo, hi int) {
			for b := lo; b < hi; b++ {
				at, end := t.span(b)
				copy(o.out[at*H:], o.in[0][b*H:(b+1)*H])
				clear(o.out[(at+1)*H : end*H])
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(dy)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// MeanTokens is the mean of the live tokens of each sequence, x [B*L, H] → [B, H]. It is 0 for a sequence without live tokens.
// Padding is not read and takes no gradient.
func MeanTokens(x *G.Node, t *Tokens) (*G.Node, error) { return poolTokens("meantokens", x, t, true) }

// SumTokens is the sum of the live tokens of each sequence, as [MeanTokens] is their mean.
func SumTokens(x *G.Node, t *Tokens) (*G.Node, error) { return poolTokens("sumtokens", x, t, false) }

func poolTokens(name string, x *G.Node, t *Tokens, mean bool) (*G.Node, error) {
	c := checker{op: name}
	R, H := c.mat("x", x)
	B := c.tokens("x", R, t)
	if c.err != nil {
		return nil, c.err
	}
	p := &pooling{mean: mean, tokens: t, live: room[int]([]*G.Node{x}, B), scale: room[float32]([]*G.Node{x}, B)}
	o := newOp(name, tensor.Shape{B, H}, x)
	o.form = t
	loop := rowParts(B, min(B, parts(R*H)), func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			y, at, mask := o.out[b*H:(b+1)*H], t.at(b), t.mask(b)
			clear(y)
			if mask == nil {
				addRows(y, o.in[0][at*H:][:p.live[b]*H])
			}
			for i, m := range mask[:min(p.live[b], len(mask))] {
				if m != 0 {
					kernel.Add(y, o.in[0][(at+i)*H:][:H])
				}
			}
			kernel.Scale(y, y, p.scale[b])
		}
	})
	o.run = func() error {
		if err := p.count(); err != nil {
			return err
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp(name+"/dx", in[0].Shape(), dy, out) // out: only to run after it
		loop := rowParts(B, min(B, parts(R*H)), func(_, lo, hi int) {
			for b := lo; b < hi; b++ {
				mask := t.mask(b)
				at, end := t.span(b)
				for i := range end - at {
					dx := o.out[(at+i)*H:][:H]
					if i < p.live[b] && (mask == nil || mask[i] != 0) {
						kernel.Scale(dx, o.in[0][b*H:(b+1)*H], p.scale[b])
					} else {
						clear(dx)
					}
				}
			}
		})
		o.run = func() error {
			loop()
			return nil
		}
		d, err := o.apply(dy, out)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}

// pooling is the state that the forward pass of MeanTokens and SumTokens leaves to the backward pass.
type pooling struct {
	mean   bool
	tokens *Tokens
	live   []int     // [B]: positions of each sequence up to its last live one
	scale  []float32 // [B]: of a mean 1/live tokens, 0 if there are none; of a sum 1
}

// count sets live and scale for the run.
func (p *pooling) count() error {
	if err := p.tokens.live(p.live); err != nil {
		return err
	}
	for b, n := range p.live {
		p.scale[b] = 1
		if !p.mean {
			continue
		}
		if m := p.tokens.mask(b); m != nil {
			hidden := 0
			for _, v := range m[:n] {
				if v == 0 {
					hidden++
				}
			}
			n -= hidden
		}
		p.scale[b] = 0
		if n > 0 {
			p.scale[b] = 1 / float32(n)
		}
	}
	return nil
}

// PickRows returns the rows of x whose numbers are in at, one after the other, with zeros for a number of -1: x [R, H] →
// [len(at), H]. at is shared by pointer and read at each run; its length must not change. With it a masked language model computes
// the logits of only those tokens that are to be guessed. A row may be picked more than once, and its gradient is then the sum.
func PickRows(x *G.Node, at *[]int32) (*G.Node, error) {
	c := checker{op: "pickrows"}
	R, H := c.mat("x", x)
	if c.err == nil && (at == nil || listLen(at, []*G.Node{x}) == 0) {
		c.fail("no rows to pick")
	}
	if c.err != nil {
		return nil, c.err
	}
	M := listLen(at, []*G.Node{x})
	o := newOp("pickrows", tensor.Shape{M, H}, x)
	o.form = at
	loop := rowwise(M, H, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			if y, r := o.out[i*H:(i+1)*H], int((*at)[i]); r >= 0 {
				copy(y, o.in[0][r*H:])
			} else {
				clear(y)
			}
		}
	})
	o.run = func() error {
		if len(*at) != M {
			return fmt.Errorf("%d rows to pick, want %d as when the graph was built", len(*at), M)
		}
		for i, r := range *at {
			if r < -1 || int(r) >= R {
				return fmt.Errorf("pick %d is row %d, want 0 to %d, or -1 for none", i, r, R-1)
			}
		}
		loop()
		return nil
	}
	o.grad = func(in G.Nodes, out, dy *G.Node, _ []bool) (G.Nodes, error) {
		o := newOp("pickrows/dx", in[0].Shape(), dy, out) // out: only to run after it, which checks the rows
		zero := flat(R*H, func(lo, hi int) { clear(o.out[lo:hi]) })
		o.run = func() error {
			zero()
			for i, r := range *at {
				if r >= 0 {
					kernel.Add(o.out[int(r)*H:][:H], o.in[0][i*H:])
				}
			}
			return nil
		}
		d, err := o.apply(dy, out)
		return G.Nodes{d}, err
	}
	return o.apply(x)
}
