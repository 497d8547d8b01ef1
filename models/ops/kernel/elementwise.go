package kernel

import "unsafe"

// Add sets dst += x, for len(dst) elements.
func Add(dst, x []float32) {
	x = x[:len(dst)]
	i := addVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x))
	AddRef(dst[i:], x[i:])
}

// AddTo sets dst = a + b, for len(dst) elements.
func AddTo(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := addToVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b))
	AddToRef(dst[i:], a[i:], b[i:])
}

// Sub sets dst = a - b, for len(dst) elements.
func Sub(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := subVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b))
	SubRef(dst[i:], a[i:], b[i:])
}

// Mul sets dst = a * b, for len(dst) elements.
func Mul(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := mulVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b))
	MulRef(dst[i:], a[i:], b[i:])
}

// MulAdd sets dst += a * b, for len(dst) elements. The product is rounded before it is added.
func MulAdd(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	i := mulAddVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(a), unsafe.SliceData(b))
	MulAddRef(dst[i:], a[i:], b[i:])
}

// Axpy sets dst += a * x, for len(dst) elements. The product is rounded before it is added.
func Axpy(dst []float32, a float32, x []float32) {
	x = x[:len(dst)]
	i := axpyVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), a)
	AxpyRef(dst[i:], a, x[i:])
}

// Scale sets dst = a * x, for len(dst) elements.
func Scale(dst, x []float32, a float32) {
	x = x[:len(dst)]
	i := scaleVec(len(dst), unsafe.SliceData(dst), unsafe.SliceData(x), a)
	ScaleRef(dst[i:], x[i:], a)
}

// Fill sets every element of dst to v.
func Fill(dst []float32, v float32) {
	i := fillVec(len(dst), unsafe.SliceData(dst), v)
	FillRef(dst[i:], v)
}

// Cross is the end of a cross layer: z += b, then dst = x0 * z + x, for len(dst) elements (DCN v2, Wang et al. 2021,
// arXiv:2008.13535, eq. 1).
func Cross(dst, x0, z, x, b []float32) {
	n := len(dst)
	x0, z, x, b = x0[:n], z[:n], x[:n], b[:n]
	i := crossVec(n, unsafe.SliceData(dst), unsafe.SliceData(x0), unsafe.SliceData(z), unsafe.SliceData(x), unsafe.SliceData(b))
	CrossRef(dst[i:], x0[i:], z[i:], x[i:], b[i:])
}
