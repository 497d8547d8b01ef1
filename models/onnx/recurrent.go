package onnx

import (
	"fmt"

	"github.com/splice-ml/splice/models/ops"
	"github.com/splice-ml/splice/models/ops/kernel"
)

// gru: states after each position, [batch·length, 3H] → [batch·length, H]. Padding stands behind live positions, whose states do not see it.
func (c *call) gru() (string, error) {
	o := c.form.(ops.GRUOptions)
	l, err := c.tokens(o.Tokens)
	if err != nil {
		return "", err
	}
	H := c.shape(1)[1]
	var y string // [length, batch, H]
	if o.Attention != nil {
		y = c.scanned(l, H)
	} else if y, err = c.recurrent(l, H); err != nil {
		return "", err
	}
	return c.reshape(c.blank(c.transpose(y, 1, 0, 2), l), -1, H), nil
}

// recurrent is ONNX's GRU. It multiplies the inputs itself: its weights are those of the layer that made x.
func (c *call) recurrent(l *layout, H int) (string, error) {
	x, wi, bi := c.nodes[0], []float32(nil), []float32(nil)
	in := 3 * H
	name, form, _ := ops.FormOf(x)
	from := operands(x)
	if name == "linear" && len(from) == 3 && form.(kernel.Act) == kernel.None && len(operands(from[1])) == 0 && len(operands(from[2])) == 0 {
		var err error
		if wi, err = values(from[1]); err != nil {
			return "", err
		}
		if bi, err = values(from[2]); err != nil {
			return "", err
		}
		x, in = from[0], from[1].Shape()[1]
	} else { // x itself
		wi, bi = make([]float32, in*in), make([]float32, in)
		for i := range in {
			wi[i*in+i] = 1
		}
	}
	wh, err := values(c.nodes[1])
	if err != nil {
		return "", err
	}
	bh, err := values(c.nodes[2])
	if err != nil {
		return "", err
	}
	name = c.nodes[1].Name()
	input := c.transpose(c.split(c.names[x], l, in), 1, 0, 2) // [length, batch, in]
	w := c.tensor(name+".onnx_w", gates(wi), 1, 3*H, in)
	r := c.tensor(name+".onnx_r", gates(wh), 1, 3*H, H)
	bias := c.tensor(name+".onnx_b", append(gates(bi), gates(bh)...), 1, 6*H)
	y := c.add("GRU", []string{input, w, r, bias}, attr{"hidden_size", H}, attr{"linear_before_reset", 1})
	return c.squeeze(y, 1), nil
}

// gates puts the rows of r, z and n in ONNX's order, z, r and n.
func gates(w []float32) []float32 {
	n := len(w) / 3
	out := append([]float32(nil), w[n:2*n]...)
	return append(append(out, w[:n]...), w[2*n:]...)
}

// scanned is DIEN's AUGRU, which ONNX has no op for: a Scan over the positions, whose state is h [batch, H].
func (c *call) scanned(l *layout, H int) string {
	x := c.transpose(c.split(c.in[0], l, 3*H), 1, 0, 2) // [length, batch, 3H]
	a := c.transpose(c.split(c.in[3], l, 1), 1, 0, 2)   // [length, batch, 1]
	batch := c.do("Slice", c.do("Shape", x), c.vector(1), c.vector(2))
	start := c.do("Expand", c.number(0), c.add("Concat", []string{batch, c.vector(H)}, attr{"axis", 0}))

	one := c.number(1)
	outer := c.g.nodes
	c.g.nodes = nil
	h, xt, at := c.free("state"), c.free("position"), c.free("attention")
	g := c.affine(h, c.in[1], c.in[2]) // [batch, 3H]
	gate := func(from string, k int) string { return c.columnsOf(from, k*H, H) }
	r := c.do("Sigmoid", c.do("Add", gate(xt, 0), gate(g, 0)))
	z := c.do("Sigmoid", c.do("Add", gate(xt, 1), gate(g, 1)))
	n := c.do("Tanh", c.do("Add", gate(xt, 2), c.do("Mul", r, gate(g, 2))))
	u := c.do("Mul", at, c.do("Sub", one, z))
	next := c.do("Add", h, c.do("Mul", u, c.do("Sub", n, h)))
	result := c.do("Identity", next)
	body := &graph{
		name: fmt.Sprint("augru ", h), nodes: c.g.nodes,
		inputs:  []value{{h, floatElem, []any{batchDim, H}}, {xt, floatElem, []any{batchDim, 3 * H}}, {at, floatElem, []any{batchDim, 1}}},
		outputs: []value{{next, floatElem, []any{batchDim, H}}, {result, floatElem, []any{batchDim, H}}},
	}
	c.g.nodes = outer
	last, all := c.free("scan"), c.free("scan")
	c.g.nodes = append(c.g.nodes, node{
		op: "Scan", name: last, in: []string{start, x, a}, out: []string{last, all}, attrs: []attr{{"body", body}, {"num_scan_inputs", 2}},
	})
	return all
}
