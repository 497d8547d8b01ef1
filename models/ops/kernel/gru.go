package kernel

// GRUGates are the parts of the gates of a recurrent unit, each as wide as the state: the reset gate, the update gate, W_n·h + b_n and the
// new state, or their gradients.
type GRUGates struct{ R, Z, HN, N []float32 }

// GRUCells is a step of a gated recurrent unit (Cho et al. 2014, in the form of PyTorch's nn.GRU) for some sequences, of which h, [m, H],
// holds the states. R, Z and HN, of the same size, hold the products of the weights with the states, and bias, [3H], and the rows at of x,
// [·, 3H], what is added to them. They become
//
//	r = σ(r + b_r + x_r), z = σ(z + b_z + x_z), hn = hn + b_n, n = tanh(r·hn + x_n), h = (h − n)·z + n
//
// The rows at of y, [·, H], get the states, too.
func GRUCells(g GRUGates, h, y, x, bias []float32, at []int32) {
	H, m := len(bias)/3, len(at)
	R, Z, HN, N := g.R[:m*H], g.Z[:m*H], g.HN[:m*H], g.N[:m*H]
	h = h[:m*H]
	for k, row := range at {
		x, y := x[int(row)*3*H:][:3*H], y[int(row)*H:][:H]
		lo, hi := k*H, (k+1)*H
		i := gruCellVec(H, &R[lo], &Z[lo], &HN[lo], &N[lo], &h[lo], &y[0], &x[0], &x[H], &x[2*H], &bias[0], &bias[H], &bias[2*H])
		if i < H {
			gruCell(R[lo+i:hi], Z[lo+i:hi], HN[lo+i:hi], N[lo+i:hi], h[lo+i:hi], y[i:], x[i:], bias[i:], H)
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

// GRUCellsGrad is the gradient of [GRUCells], whose gates are g and whose states were h before. dh holds the gradient of the states after it but
// for that of y, whose rows are those of dy. The gradients of R, Z and HN go to d, and those of x to the rows at of dx. dh becomes
// the gradient of the states before, but for what comes through the products.
func GRUCellsGrad(dh []float32, d GRUGates, dx []float32, g GRUGates, h, dy []float32, at []int32) {
	if len(at) == 0 {
		return
	}
	m := len(at)
	H := len(dh) / m
	dR, dZ, dHN := d.R[:m*H], d.Z[:m*H], d.HN[:m*H]
	R, Z, HN, N := g.R[:m*H], g.Z[:m*H], g.HN[:m*H], g.N[:m*H]
	h = h[:m*H]
	for k, row := range at {
		dx, dy := dx[int(row)*3*H:][:3*H], dy[int(row)*H:][:H]
		lo := k * H
		i := gruCellGradVec(H, &dh[lo], &dR[lo], &dZ[lo], &dHN[lo], &dx[0], &dx[H], &dx[2*H], &R[lo], &Z[lo], &HN[lo], &N[lo], &h[lo], &dy[0])
		for ; i < H; i++ {
			j := lo + i
			a := dh[j] + dy[i]
			u := float32(a * (1 - Z[j]))
			dn := float32(u * (1 - float32(N[j]*N[j])))
			dZ[j] = -float32((N[j]-h[j])*a) * float32(Z[j]*(1-Z[j]))
			dR[j] = float32(dn*HN[j]) * float32(R[j]*(1-R[j]))
			dHN[j] = dn * R[j]
			dh[j] = a - u
			dx[i], dx[H+i], dx[2*H+i] = dR[j], dZ[j], dn
		}
	}
}
