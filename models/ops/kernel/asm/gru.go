package main

// gruCell is a step of a gated recurrent unit: r, z and hn hold the products of the weights with the state, and become the gates.
func gruCell(g *gen) func(int, mem) {
	lo, hi, one, top := g.num(expLow), g.num(expHigh), g.num(1), g.num(tanhHigh)
	sign := g.bits(1 << 31)
	return func(_ int, p mem) {
		for _, gate := range []string{"r", "z"} {
			v := g.load(p[gate])
			g.VADDPS(p["b"+gate], v, v)
			g.VADDPS(p["x"+gate], v, v)
			g.xor(v, sign, v)
			g.VMOVUPS(g.logistic(v, lo, hi, one), p[gate])
		}
		v := g.load(p["hn"])
		g.VADDPS(p["bn"], v, v)
		g.VMOVUPS(v, p["hn"])
		g.VMULPS(p["r"], v, v)
		g.VADDPS(p["xn"], v, v)
		n := g.tanh(v, top, sign)
		g.VMOVUPS(n, p["new"])
		h := g.load(p["h"])
		g.VSUBPS(n, h, h)
		g.VMULPS(p["z"], h, h)
		g.VADDPS(n, h, h)
		g.VMOVUPS(h, p["h"])
		g.VMOVUPS(h, p["y"])
	}
}

// gruCellGrad is the gradient of gruCell: dh, which has that of the state, gets what the state before has but for the weights' part.
func gruCellGrad(g *gen) func(int, mem) {
	one := g.constant(1)
	sign := g.word(1 << 31)
	return func(_ int, p mem) {
		dh, n, z := g.load(p["dh"]), g.load(p["new"]), g.load(p["z"])
		g.VADDPS(p["dy"], dh, dh)
		t, u, v := g.vec(), g.vec(), g.load(one)
		g.VSUBPS(p["h"], n, t)
		g.VMULPS(dh, t, t)
		g.xor(sign, t, t)
		g.VSUBPS(z, v, u) // 1 − z
		g.VMULPS(u, z, z)
		g.VMULPS(t, z, z)
		g.VMOVUPS(z, p["dz"])
		g.VMOVUPS(z, p["xz"])
		g.VMULPS(dh, u, u)
		g.VSUBPS(u, dh, dh)
		g.VMOVUPS(dh, p["dh"])
		g.VMULPS(n, n, n)
		g.VSUBPS(n, v, n)
		g.VMULPS(u, n, n)
		g.VMOVUPS(n, p["xn"])
		r, s := g.load(p["r"]), g.vec()
		g.VMULPS(r, n, s)
		g.VMOVUPS(s, p["dhn"])
		g.VMULPS(p["hn"], n, n)
		g.VSUBPS(r, v, s)
		g.VMULPS(r, s, s)
		g.VMULPS(n, s, s)
		g.VMOVUPS(s, p["dr"])
		g.VMOVUPS(s, p["xr"])
	}
}
