package kernel

// GRUCells is a step of a gated recurrent unit (Cho et al. 2014, in the form of PyTorch's nn.GRU) for some sequences, of which h, [m, H],
// holds the states. gates, [m, 3H], holds the products of the weights with the states, and bias, [3H], and the rows at of x, [·, 3H], what is
// added to them. They become r, z and W_n·h + b_n of
//
//	r = σ(r + b_r + x_r), z = σ(z + b_z + x_z), hn = hn + b_n, n = tanh(r·hn + x_n), h = (h − n)·z + n
//
// n is [m, H]. The rows at of y, [·, H], get the states, too.
func GRUCells(gates, n, h, y, x, bias []float32, at []int32) {
	H, m := len(bias)/3, len(at)
	gates, n, h = gates[:3*m*H], n[:m*H], h[:m*H]
	for k, row := range at {
		x, y := x[int(row)*3*H:][:3*H], y[int(row)*H:][:H]
		g, n, h := gates[3*k*H:][:3*H], n[k*H:][:H], h[k*H:][:H]
		i := gruCellVec(H, &g[0], &g[H], &g[2*H], &n[0], &h[0], &y[0], &x[0], &x[H], &x[2*H], &bias[0], &bias[H], &bias[2*H])
		if i < H {
			gruCell(g[i:H], g[H+i:2*H], g[2*H+i:], n[i:], h[i:], y[i:], x[i:], bias[i:], H)
		}
	}
}

// gruCell is GRUCells for some elements of a sequence, the parts of whose x and bias are H apart.
func gruCell(r, z, hn, n, h, y, x, bias []float32, H int) {
	for k, gate := range [...][]float32{r, z} {
		Add(gate, bias[k*H:][:len(gate)])
		Add(gate, x[k*H:][:len(gate)])
		Activate(gate, gate, Sigmoid)
	}
	Add(hn, bias[2*H:])
	Mul(n, r, hn)
	Add(n, x[2*H:])
	Activate(n, n, Tanh)
	Sub(h, h, n)
	Mul(h, h, z)
	Add(h, n)
	copy(y, h)
}

// GRUCellsGrad is the gradient of [GRUCells], which left gates and n and whose states were h before. dh holds the gradient of the states after it
// but for that of y, whose rows are those of dy. The gradients of the products go to d, [m, 3H], and those of x to the rows at of dx. dh
// becomes the gradient of the states before, but for what comes through the products.
func GRUCellsGrad(dh, d, dx, gates, n, h, dy []float32, at []int32) {
	m := len(at)
	if m == 0 {
		return
	}
	H := len(dh) / m
	d, gates, n, h = d[:3*m*H], gates[:3*m*H], n[:m*H], h[:m*H]
	for k, row := range at {
		dx, dy := dx[int(row)*3*H:][:3*H], dy[int(row)*H:][:H]
		d, g := d[3*k*H:][:3*H], gates[3*k*H:][:3*H]
		dh, n, h := dh[k*H:][:H], n[k*H:][:H], h[k*H:][:H]
		i := gruCellGradVec(H, &dh[0], &d[0], &d[H], &d[2*H], &dx[0], &dx[H], &dx[2*H], &g[0], &g[H], &g[2*H], &n[0], &h[0], &dy[0])
		for ; i < H; i++ {
			a, r, z := dh[i]+dy[i], g[i], g[H+i]
			u := float32(a * (1 - z))
			dn := float32(u * (1 - float32(n[i]*n[i])))
			d[H+i] = -float32((n[i]-h[i])*a) * float32(z*(1-z))
			d[i] = float32(dn*g[2*H+i]) * float32(r*(1-r))
			d[2*H+i] = dn * r
			dh[i] = a - u
			dx[i], dx[H+i], dx[2*H+i] = d[i], d[H+i], dn
		}
	}
}
