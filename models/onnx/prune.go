package onnx

import "slices"

// prune removes the nodes and tensors of which nothing is read, such as the weights that a GRU has in another order.
func (g *graph) prune() {
	read := map[string]bool{}
	for _, o := range g.outputs {
		read[o.name] = true
	}
	for i := len(g.nodes) - 1; i >= 0; i-- {
		n := &g.nodes[i]
		if slices.ContainsFunc(n.out, func(name string) bool { return read[name] }) {
			n.reads(read)
		} else {
			n.op = ""
		}
	}
	g.nodes = slices.DeleteFunc(g.nodes, func(n node) bool { return n.op == "" })
	g.tensors = slices.DeleteFunc(g.tensors, func(t namedTensor) bool { return !read[t.name] })
	g.inputs = slices.DeleteFunc(g.inputs, func(v value) bool { return !read[v.name] })
}

// reads notes what a node reads, in its bodies too.
func (n *node) reads(read map[string]bool) {
	for _, name := range n.in {
		read[name] = true
	}
	for _, a := range n.attrs {
		if body, ok := a.value.(*graph); ok {
			for i := range body.nodes {
				body.nodes[i].reads(read)
			}
		}
	}
}
