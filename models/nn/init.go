package nn

import (
	"math"
	"math/rand/v2"

	"github.com/splice-ml/splice/data/rng"
)

// Init fills dst, a new parameter of the given shape, with initial values drawn from r.
type Init func(r *rand.Rand, shape []int, dst []float32)

// stream returns the parameter's own source of random numbers.
func (p *Params) stream(name string) *rand.Rand { return rng.New(rng.Key(p.Seed, "init", name)) }

// Zeros sets all values to 0.
func Zeros(_ *rand.Rand, _ []int, dst []float32) { clear(dst) }

// Ones sets all values to 1.
func Ones(r *rand.Rand, shape []int, dst []float32) { Constant(1)(r, shape, dst) }

// Constant returns an Init that sets all values to v.
func Constant(v float32) Init {
	return func(_ *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = v
		}
	}
}

// Normal returns an Init that draws values from N(0, std²).
func Normal(std float64) Init {
	return func(r *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32(r.NormFloat64() * std)
		}
	}
}

// Uniform returns an Init that draws values from U(-1/√size, 1/√size), as PyTorch's recurrent layers of that size do.
func Uniform(size int) Init {
	limit := 1 / math.Sqrt(float64(size))
	return func(r *rand.Rand, _ []int, dst []float32) {
		for i := range dst {
			dst[i] = float32((2*r.Float64() - 1) * limit)
		}
	}
}

// Unit draws values from U(0, 1), as PyTorch's uniform_ does.
func Unit(r *rand.Rand, _ []int, dst []float32) {
	for i := range dst {
		dst[i] = float32(r.Float64())
	}
}

// Sinusoid sets the rows of a table of places to waves of falling frequency, sin(p·10000^(−2i/D)) in column 2i and the cosine in the
// next one (Vaswani et al. 2017, section 3.5).
func Sinusoid(_ *rand.Rand, shape []int, dst []float32) {
	d := shape[1]
	for i := range dst {
		p, c := i/d, i%d
		sin, cos := math.Sincos(float64(p) * math.Pow(10000, -float64(c-c%2)/float64(d)))
		dst[i] = float32(sin)
		if c%2 == 1 {
			dst[i] = float32(cos)
		}
	}
}

// XavierNormal draws the values of a weight [out, in] from N(0, 2/(in+out)) (Glorot and Bengio 2010, eq. 16 with normal draws).
func XavierNormal(r *rand.Rand, shape []int, dst []float32) {
	in, out := fans(shape)
	Normal(math.Sqrt(2/float64(in+out)))(r, shape, dst)
}

func fans(shape []int) (in, out int) {
	if len(shape) == 1 {
		return shape[0], 1
	}
	in = 1
	for _, d := range shape[1:] {
		in *= d
	}
	return in, shape[0]
}
