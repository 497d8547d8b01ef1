package kernel

import "unsafe"

// gemm4x4 is the portable micro-kernel: c[i*ldc+j] (+)= sum over p < k of a[p*4+i] * b[p*4+j] for i, j < 4.
func gemm4x4(k int, a, b, c *float32, ldc int, acc bool) {
	av := unsafe.Slice((*[4]float32)(unsafe.Pointer(a)), k)
	bv := unsafe.Slice((*[4]float32)(unsafe.Pointer(b)), k)
	for i := 0; i < 4; i += 2 { // two rows at a time: 8 sums fit in 16 registers
		var r, s [4]float32
		r0, r1, r2, r3, s0, s1, s2, s3 := r[0], r[1], r[2], r[3], s[0], s[1], s[2], s[3]
		for p := range av {
			x, y, v := av[p][i&3], av[p][(i+1)&3], &bv[p]
			b0, b1, b2, b3 := v[0], v[1], v[2], v[3]
			r0 += x * b0
			r1 += x * b1
			r2 += x * b2
			r3 += x * b3
			s0 += y * b0
			s1 += y * b1
			s2 += y * b2
			s3 += y * b3
		}
		r, s = [4]float32{r0, r1, r2, r3}, [4]float32{s0, s1, s2, s3}
		top := (*[4]float32)(unsafe.Add(unsafe.Pointer(c), 4*i*ldc))
		bottom := (*[4]float32)(unsafe.Add(unsafe.Pointer(c), 4*(i+1)*ldc))
		if !acc {
			*top, *bottom = r, s
			continue
		}
		for j := range r {
			top[j] += r[j]
			bottom[j] += s[j]
		}
	}
}
