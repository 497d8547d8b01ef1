package kernel

// The kernels on several rows of a narrow matrix at once. Rows whose width is no multiple of the vectors' are done one by one.

// DotRows sets out[r] to the product of q with row r of x, [len(out), len(q)], as [Dot] computes it.
func DotRows(out, q, x []float32) {
	n, rows := len(q), len(out)
	x = x[:rows*n]
	if rows == 0 || n == 0 {
		clear(out)
		return
	}
	if fills(n) {
		dotRows(rows, n, &x[0], &q[0], &out[0])
		return
	}
	for r := range out {
		out[r] = Dot(q, x[r*n:])
	}
}

// WeightedRows sets y to the sum of the rows of x, [len(p), len(y)], weighted by p, added up in their order.
func WeightedRows(y, p, x []float32) {
	n, rows := len(y), len(p)
	x = x[:rows*n]
	if rows > 0 && fills(n) {
		weightedRows(rows, n, &x[0], &p[0], &y[0])
		return
	}
	clear(y)
	for r, v := range p {
		Axpy(y, v, x[r*n:][:n])
	}
}

// OuterRows sets row r of dst, [len(p), len(a)], to p[r]·a + s[r]·b.
func OuterRows(dst, p, a, s, b []float32) {
	n, rows := len(a), len(p)
	dst, s, b = dst[:rows*n], s[:rows], b[:n]
	if rows > 0 && fills(n) {
		outerRows(rows, n, &p[0], &a[0], &s[0], &b[0], &dst[0])
		return
	}
	for r, v := range p {
		row := dst[r*n:][:n]
		Scale(row, a, v)
		Axpy(row, s[r], b)
	}
}
