package kernel

// Add sets dst += x, for len(dst) elements.
func Add(dst, x []float32) {
	AddRef(dst, x)
}

// AddTo sets dst = a + b, for len(dst) elements.
func AddTo(dst, a, b []float32) {
	AddToRef(dst, a, b)
}

// Sub sets dst = a - b, for len(dst) elements.
func Sub(dst, a, b []float32) {
	SubRef(dst, a, b)
}

// Mul sets dst = a * b, for len(dst) elements.
func Mul(dst, a, b []float32) {
	MulRef(dst, a, b)
}

// MulAdd sets dst += a * b, for len(dst) elements. The product is rounded before it is added.
func MulAdd(dst, a, b []float32) {
	MulAddRef(dst, a, b)
}

// Axpy sets dst += a * x, for len(dst) elements. The product is rounded before it is added.
func Axpy(dst []float32, a float32, x []float32) {
	AxpyRef(dst, a, x)
}

// Scale sets dst = a * x, for len(dst) elements.
func Scale(dst, x []float32, a float32) {
	ScaleRef(dst, x, a)
}

// Fill sets every element of dst to v.
func Fill(dst []float32, v float32) {
	FillRef(dst, v)
}

// Cross is the end of a cross layer: z += b, then dst = x0 * z + x, for len(dst) elements (DCN v2, Wang et al. 2021,
// arXiv:2008.13535, eq. 1).
func Cross(dst, x0, z, x, b []float32) {
	CrossRef(dst, x0, z, x, b)
}
