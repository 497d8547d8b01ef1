package kernel

import "math"

// The scalar twins: the definitions of the kernels, and the oracles of their tests. float32(...) round a product before
// it is added, so that no compiler fuses the two.

// AddRef is the definition of [Add].
func AddRef(dst, x []float32) {
	for i := range dst {
		dst[i] += x[i]
	}
}

// AddToRef is the definition of [AddTo].
func AddToRef(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}

// SubRef is the definition of [Sub].
func SubRef(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] - b[i]
	}
}

// MulRef is the definition of [Mul].
func MulRef(dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] * b[i]
	}
}

// MulAddRef is the definition of [MulAdd].
func MulAddRef(dst, a, b []float32) {
	for i := range dst {
		dst[i] += float32(a[i] * b[i])
	}
}

// AxpyRef is the definition of [Axpy].
func AxpyRef(dst []float32, a float32, x []float32) {
	for i := range dst {
		dst[i] += float32(a * x[i])
	}
}

// ScaleRef is the definition of [Scale].
func ScaleRef(dst, x []float32, a float32) {
	for i := range dst {
		dst[i] = a * x[i]
	}
}

// FillRef is the definition of [Fill].
func FillRef(dst []float32, v float32) {
	for i := range dst {
		dst[i] = v
	}
}

// DotRef is the definition of [Dot], but for the order and precision of the sum.
func DotRef(a, b []float32) float32 {
	var sum float64
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return float32(sum)
}

// SumRef is the definition of [Sum], but for the order of the sum.
func SumRef(x []float32) float32 {
	var sum float64
	for _, v := range x {
		sum += float64(v)
	}
	return float32(sum)
}

// SumSqRef is the definition of [SumSq], but for the order of the sum.
func SumSqRef(x []float32) float64 {
	var sum float64
	for _, v := range x {
		sum += float64(float64(v) * float64(v))
	}
	return sum
}

// MaxRef is the definition of [Max].
func MaxRef(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if !(v <= m) { // also when v is NaN, and when m is
			m = v
		}
		if m != m {
			return m
		}
	}
	return m
}

// ColSumRef is the definition of [ColSum], but for the order of the sum.
func ColSumRef(dst, x []float32, rows, cols int) {
	for j := range cols {
		var sum float64
		for i := range rows {
			sum += float64(x[i*cols+j])
		}
		dst[j] += float32(sum)
	}
}

// ActivateRef is the definition of [Activate].
func ActivateRef(dst, x []float32, act Act) {
	switch act {
	case ReLU:
		for i := range dst {
			dst[i] = relu(x[i])
		}
	case Tanh:
		tanhRef(dst, x)
	case Sigmoid:
		sigmoidRef(dst, x)
	default:
		copy(dst, x[:len(dst)])
	}
}

// relu is 0 where x < 0, else x: NaN stays NaN and -0 stays -0, as VMAXPS does it.
func relu(x float32) float32 {
	if 0 > x {
		return 0
	}
	return x
}

// BiasActRef is the definition of [BiasAct].
func BiasActRef(dst, bias []float32, act Act) {
	for n := len(bias); len(dst) >= n && n > 0; dst = dst[n:] {
		AddRef(dst[:n], bias)
		ActivateRef(dst[:n], dst[:n], act)
	}
}

// ActGradRef is the definition of [ActGrad].
func ActGradRef(dst, y, dy []float32, act Act) {
	switch act {
	case ReLU:
		for i := range dst {
			if y[i] <= 0 {
				dst[i] = 0
			} else {
				dst[i] = dy[i]
			}
		}
	case Tanh:
		for i := range dst {
			dst[i] = dy[i] * (1 - float32(y[i]*y[i]))
		}
	case Sigmoid:
		for i := range dst {
			dst[i] = dy[i] * float32(y[i]*(1-y[i]))
		}
	default:
		copy(dst, dy[:len(dst)])
	}
}

// CrossRef is the definition of [Cross].
func CrossRef(dst, x0, z, x, b []float32) {
	for i := range dst {
		z[i] += b[i]
		dst[i] = float32(x0[i]*z[i]) + x[i]
	}
}

// ExpRef is the definition of [Exp].
func ExpRef(dst, x []float32) {
	for i := range dst {
		dst[i] = float32(math.Exp(float64(x[i])))
	}
}

// tanhRef is the definition of Activate(dst, x, Tanh).
func tanhRef(dst, x []float32) {
	for i := range dst {
		dst[i] = float32(math.Tanh(float64(x[i])))
	}
}

// sigmoidRef is the definition of Activate(dst, x, Sigmoid).
func sigmoidRef(dst, x []float32) {
	for i := range dst {
		dst[i] = float32(1 / (1 + math.Exp(-float64(x[i]))))
	}
}

// GELURef is the definition of [GELU].
func GELURef(y, d, z []float32) {
	for i := range y {
		v := float64(z[i])
		phi := math.Erfc(-v/math.Sqrt2) / 2
		y[i] = float32(v * phi)
		d[i] = float32(phi + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi))
	}
}

// AdamRef is the definition of [Adam].
func AdamRef(w, g, m, v []float32, lr, b1, b2, eps, c1, c2, decay float64) {
	s := adamScalars(lr, b1, b2, eps, c1, c2, decay)
	s.update(w, g, m, v)
}

func (s *adamArgs) update(w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		gi := g[i]
		mi := m[i] + float32(s.a1*(gi-m[i]))
		vi := float32(v[i]*s.b2) + float32(float32(gi*s.a2)*gi)
		d := float32(math.Sqrt(float64(vi)))/s.c2 + s.eps
		m[i], v[i] = mi, vi
		w[i] = float32(w[i]*s.keep) - float32(float32(s.step*mi)/d)
	}
}

// AdamRowsRef is the definition of [AdamRows].
func AdamRowsRef(w, m, v []float32, dim int, ids []int32, g []float32, s RowScale, lr, b1, b2, eps, c1, c2, decay float64) {
	var t [1]float32
	for r, id := range ids {
		for i := range dim {
			at := int(id)*dim + i
			t[0] = s.Scale * g[r*dim+i]
			if s.L2 != 0 {
				t[0] += float32(s.L2 * w[at])
			}
			AdamRef(w[at:at+1], t[:], m[at:at+1], v[at:at+1], lr, b1, b2, eps, c1, c2, decay)
		}
	}
}

// GatherRowsRef is the definition of [GatherRows].
func GatherRowsRef(dst []float32, stride int, table []float32, dim int, ids []int32) {
	for r, id := range ids {
		copy(dst[r*stride:][:dim], table[int(id)*dim:][:dim])
	}
}

// GatherInt8RowsRef is the definition of [GatherInt8Rows].
func GatherInt8RowsRef(dst []float32, stride int, table []byte, dim int, ids []int32) {
	size := Int8RowBytes(dim)
	for r, id := range ids {
		scale, q := int8Row(table[int(id)*size:][:size])
		to := dst[r*stride:][:dim]
		for i, v := range q {
			to[i] = scale * float32(int8(v))
		}
	}
}

// ScatterAddRowsRef is the definition of [ScatterAddRows].
func ScatterAddRowsRef(dst []float32, dim int, slots []int32, src []float32, stride int) {
	for r, s := range slots {
		if s >= 0 {
			AddRef(dst[int(s)*dim:][:dim], src[r*stride:])
		}
	}
}

// AdagradRef is the definition of [Adagrad].
func AdagradRef(w, g, acc []float32, lr, eps float64) {
	step, e := float32(lr), float32(eps)
	for i := range w {
		gi := g[i]
		a := acc[i] + float32(gi*gi)
		acc[i] = a
		w[i] -= float32(step*gi) / (float32(math.Sqrt(float64(a))) + e)
	}
}

// RMSPropRef is the definition of [RMSProp].
func RMSPropRef(w, g, sq []float32, lr, alpha, eps float64) {
	step, al, be, e := float32(lr), float32(alpha), float32(1-alpha), float32(eps)
	for i := range w {
		gi := g[i]
		a := float32(sq[i]*al) + float32(float32(gi*be)*gi)
		sq[i] = a
		w[i] -= float32(step*gi) / (float32(math.Sqrt(float64(a))) + e)
	}
}

// SGDRef is the definition of [SGD].
func SGDRef(w, g, buf []float32, lr, momentum float64) {
	step, mo := float32(lr), float32(momentum)
	if momentum == 0 {
		AxpyRef(w, -step, g)
		return
	}
	for i := range w {
		buf[i] = float32(mo*buf[i]) + g[i]
		w[i] -= float32(step * buf[i])
	}
}

// DropoutMaskRef is the definition of [DropoutMask].
func DropoutMaskRef(dst, x []float32, key, offset uint64, p float32) {
	thr, scale := dropScalars(p)
	for i := range dst {
		if dropHash(key, offset+uint64(i))>>1 < thr {
			dst[i] = 0
		} else {
			dst[i] = x[i] * scale
		}
	}
}

// PairwiseFwdRef is the definition of [PairwiseFwd].
func PairwiseFwdRef(e []float32, fields, dim int, s []float32) float32 {
	clear(s[:dim])
	var sq float64
	for f := range fields {
		row := e[f*dim:][:dim]
		AddRef(s[:dim], row)
		sq += SumSqRef(row)
	}
	return float32(0.5 * (SumSqRef(s[:dim]) - sq))
}

// GemmRef is the definition of [Gemm], but for the order and precision of the sums: it adds up in float64.
func GemmRef(transA, transB bool, m, n, k int, a []float32, lda int, b []float32, ldb int, c []float32, ldc int,
	acc bool, epi func(r0, r1 int),
) {
	ai, ak, bk, bj := lda, 1, ldb, 1
	if transA {
		ai, ak = 1, lda
	}
	if transB {
		bk, bj = 1, ldb
	}
	for i := range m {
		for j := range n {
			var sum float64
			for p := range k {
				sum += float64(a[i*ai+p*ak]) * float64(b[p*bk+j*bj])
			}
			if acc {
				sum += float64(c[i*ldc+j])
			}
			c[i*ldc+j] = float32(sum)
		}
	}
	if epi != nil && m > 0 {
		epi(0, m)
	}
}
