package main

import (
	"strings"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// routine describes a function over n elements, n > 0 being a multiple of the lanes, and its dispatcher.
type routine struct {
	name    string
	ptrs    string // slices, advanced together: "dst x"
	rest    string // the other parameters: "a float32, b uint32"
	doc     string
	reduces bool // writes one vector of partial results to out
	emit    func(g *gen, k routine)
}

// signature is the parameter list of the assembly function.
func (k routine) signature() string {
	s := "n int, " + strings.ReplaceAll(k.ptrs, " ", ", ") + " *float32"
	if k.rest != "" {
		s += ", " + k.rest
	}
	return s
}

// mem holds an element-wise kernel's operands at the current position, by name.
type mem map[string]operand.Mem

// each opens the function, runs prep once and body for each vector, and closes the function.
func each(unroll int, prep func(g *gen) func(u int, p mem)) func(*gen, routine) {
	return eachThen(unroll, prep, nil)
}

func eachThen(unroll int, prep func(g *gen) func(u int, p mem), then func(g *gen)) func(*gen, routine) {
	return func(g *gen, k routine) {
		g.begin(k.name, "("+k.signature()+")", k.doc)
		n := g.gp("n")
		names := strings.Fields(k.ptrs)
		ptr := map[string]reg.Register{}
		for _, name := range names {
			ptr[name] = g.gp(name)
		}
		body := prep(g)
		g.loop(n, unroll, func(u int, at func(reg.Register) operand.Mem) {
			p := mem{}
			for _, name := range names {
				p[name] = at(ptr[name])
			}
			body(u, p)
		})
		if then != nil {
			then(g)
		}
		g.end()
	}
}

// load returns a new vector with the contents of m.
func (g *gen) load(m operand.Mem) reg.VecVirtual {
	v := g.vec()
	g.VMOVUPS(m, v)
	return v
}

var kernels = []routine{
	{name: "add", ptrs: "dst x", doc: "dst += x.", emit: each(4, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			v := g.load(p["dst"])
			g.VADDPS(p["x"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "addTo", ptrs: "dst a b", doc: "dst = a + b.", emit: each(4, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			v := g.load(p["a"])
			g.VADDPS(p["b"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "sub", ptrs: "dst a b", doc: "dst = a - b.", emit: each(4, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			v := g.load(p["a"])
			g.VSUBPS(p["b"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "mul", ptrs: "dst a b", doc: "dst = a * b.", emit: each(4, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			v := g.load(p["a"])
			g.VMULPS(p["b"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "mulAdd", ptrs: "dst a b", doc: "dst += a * b.", emit: each(4, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			v := g.load(p["a"])
			g.VMULPS(p["b"], v, v)
			g.VADDPS(p["dst"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "axpy", ptrs: "dst x", rest: "a float32", doc: "dst += a * x.", emit: each(4, func(g *gen) func(int, mem) {
		a := g.broadcast("a")
		return func(_ int, p mem) {
			v := g.vec()
			g.VMULPS(p["x"], a, v)
			g.VADDPS(p["dst"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "scale", ptrs: "dst x", rest: "a float32", doc: "dst = a * x.", emit: each(4, func(g *gen) func(int, mem) {
		a := g.broadcast("a")
		return func(_ int, p mem) {
			v := g.vec()
			g.VMULPS(p["x"], a, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "roundPart", ptrs: "dst x", doc: "dst = x rounded to bf16.", emit: each(4, func(g *gen) func(int, mem) {
		round := g.rounder()
		return func(_ int, p mem) { g.VMOVUPS(round(g.load(p["x"])), p["dst"]) }
	})},
	{name: "roundParts", ptrs: "dst x", doc: "dst = x rounded to bf16, plus what is left rounded to bf16.", emit: each(4, func(g *gen) func(int, mem) {
		round := g.rounder()
		return func(_ int, p mem) {
			v := g.load(p["x"])
			high := round(v)
			g.VSUBPS(high, v, v)
			g.VADDPS(round(v), high, high)
			g.VMOVUPS(high, p["dst"])
		}
	})},
	{name: "fill", ptrs: "dst", rest: "a float32", doc: "dst = a.", emit: each(4, func(g *gen) func(int, mem) {
		a := g.broadcast("a")
		return func(_ int, p mem) { g.VMOVUPS(a, p["dst"]) }
	})},
	{name: "relu", ptrs: "dst x", doc: "dst = 0 > x ? 0 : x.", emit: each(4, func(g *gen) func(int, mem) {
		zero := g.vec()
		g.zero(zero)
		return func(_ int, p mem) {
			v := g.vec()
			g.VMAXPS(p["x"], zero, v) // the second source where one is NaN
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "biasReLU", ptrs: "dst bias", doc: "dst += bias; dst = 0 > dst ? 0 : dst.", emit: each(4, func(g *gen) func(int, mem) {
		zero := g.vec()
		g.zero(zero)
		return func(_ int, p mem) {
			v := g.load(p["dst"])
			g.VADDPS(p["bias"], v, v)
			g.VMAXPS(v, zero, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "reluGrad", ptrs: "dst y dy", doc: "dst = y <= 0 ? 0 : dy.", emit: each(4, func(g *gen) func(int, mem) {
		zero, abs := g.vec(), g.bits(1<<31-1)
		g.zero(zero)
		return func(_ int, p mem) {
			v := g.vec()
			g.VMAXPS(p["y"], zero, v)
			g.and(abs, v, v) // as an integer: 0 where y <= 0, else positive
			g.VPSUBD(v, zero, v)
			g.VPSRAD(operand.U8(31), v, v)
			g.and(p["dy"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "tanhGrad", ptrs: "dst y dy", doc: "dst = dy * (1 - y*y).", emit: each(2, func(g *gen) func(int, mem) {
		one := g.num(1)
		return func(_ int, p mem) {
			y := g.load(p["y"])
			g.VMULPS(y, y, y)
			g.VSUBPS(y, one, y)
			g.VMULPS(p["dy"], y, y)
			g.VMOVUPS(y, p["dst"])
		}
	})},
	{name: "sigmoidGrad", ptrs: "dst y dy", doc: "dst = dy * (y * (1 - y)).", emit: each(2, func(g *gen) func(int, mem) {
		one := g.num(1)
		return func(_ int, p mem) {
			y, v := g.load(p["y"]), g.vec()
			g.VSUBPS(y, one, v)
			g.VMULPS(y, v, v)
			g.VMULPS(p["dy"], v, v)
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "cross", ptrs: "dst x0 z x b", doc: "z += b; dst = x0*z + x.", emit: each(2, func(g *gen) func(int, mem) {
		return func(_ int, p mem) {
			z, v := g.load(p["z"]), g.vec()
			g.VADDPS(p["b"], z, z)
			g.VMULPS(p["x0"], z, v)
			g.VADDPS(p["x"], v, v)
			g.VMOVUPS(z, p["z"])
			g.VMOVUPS(v, p["dst"])
		}
	})},
	{name: "adam", ptrs: "w grad m v", rest: "s *float32", doc: "one update; see AdamRef.", emit: each(1, func(g *gen) func(int, mem) {
		s := g.gp("s")
		arg := g.vecs(7) // keep, a1, b2, a2, c2, eps, step
		for i, v := range arg {
			g.VBROADCASTSS(operand.Mem{Base: s, Disp: 4 * i}, v)
		}
		return func(_ int, p mem) {
			gr, m, v, t := g.load(p["grad"]), g.load(p["m"]), g.vec(), g.vec()
			g.VSUBPS(m, gr, t)
			g.VMULPS(arg[1], t, t)
			g.VADDPS(t, m, m)
			g.VMULPS(p["v"], arg[2], v)
			g.VMULPS(arg[3], gr, t)
			g.VMULPS(gr, t, t)
			g.VADDPS(t, v, v)
			g.VMOVUPS(m, p["m"])
			g.VMOVUPS(v, p["v"])
			g.VSQRTPS(v, v)
			g.VDIVPS(arg[4], v, v)
			g.VADDPS(arg[5], v, v)
			g.VMULPS(arg[6], m, m)
			g.VDIVPS(v, m, m)
			g.VMULPS(p["w"], arg[0], t)
			g.VSUBPS(m, t, t)
			g.VMOVUPS(t, p["w"])
		}
	})},
	{
		name: "adagrad", ptrs: "w grad acc", rest: "step, eps float32",
		doc: "one update; see AdagradRef.",
		emit: each(1, func(g *gen) func(int, mem) {
			step, eps := g.broadcast("step"), g.broadcast("eps")
			return func(_ int, p mem) {
				gr, a := g.load(p["grad"]), g.vec()
				g.VMULPS(gr, gr, a)
				g.VADDPS(p["acc"], a, a)
				g.VMOVUPS(a, p["acc"])
				rootStep(g, p["w"], gr, a, step, eps)
			}
		}),
	},
	{
		name: "rmsprop", ptrs: "w grad sq", rest: "step, alpha, beta, eps float32",
		doc: "one update; see RMSPropRef.",
		emit: each(1, func(g *gen) func(int, mem) {
			step, eps, alpha, beta := g.broadcast("step"), g.broadcast("eps"), g.broadcast("alpha"), g.broadcast("beta")
			return func(_ int, p mem) {
				gr, a, t := g.load(p["grad"]), g.vec(), g.vec()
				g.VMULPS(p["sq"], alpha, a)
				g.VMULPS(beta, gr, t)
				g.VMULPS(gr, t, t)
				g.VADDPS(t, a, a)
				g.VMOVUPS(a, p["sq"])
				rootStep(g, p["w"], gr, a, step, eps)
			}
		}),
	},
	{
		name: "sgd", ptrs: "w grad buf", rest: "step, momentum float32",
		doc: "buf = momentum*buf + g; w -= step*buf.",
		emit: each(2, func(g *gen) func(int, mem) {
			step, mo := g.broadcast("step"), g.broadcast("momentum")
			return func(_ int, p mem) {
				b, w := g.vec(), g.load(p["w"])
				g.VMULPS(p["buf"], mo, b)
				g.VADDPS(p["grad"], b, b)
				g.VMOVUPS(b, p["buf"])
				g.VMULPS(b, step, b)
				g.VSUBPS(b, w, w)
				g.VMOVUPS(w, p["w"])
			}
		}),
	},
	{
		name: "axpy4", ptrs: "dst x", rest: "ld int, a *float32",
		doc: "dst += a[0]*x + a[1]*x[ld:] + a[2]*x[2*ld:] + a[3]*x[3*ld:], fused.", emit: axpy4,
	},
	{name: "dot", ptrs: "a b", rest: "out *float32", reduces: true, doc: "a vector of partial sums of a*b, fused, to out.", emit: dot},
	{name: "sum", ptrs: "x", rest: "out *float64", reduces: true, doc: "a vector of partial sums of x to out.", emit: sumTo(false)},
	{name: "sumSq", ptrs: "x", rest: "out *float64", reduces: true, doc: "a vector of partial sums of x*x to out.", emit: sumTo(true)},
	{
		name: "maxAbs", ptrs: "x", rest: "out *float32", reduces: true,
		doc:  "a vector of maxima of x to out, and behind it one of maxima of |x| compared as integers, which are above Inf for NaN.",
		emit: maxAbs,
	},
	{name: "exp", ptrs: "dst x", doc: "dst = exp(x).", emit: each(2, expKernel)},
	{name: "sigmoid", ptrs: "dst x", doc: "dst = 1/(1+exp(-x)).", emit: each(2, sigmoidKernel)},
	{name: "tanh", ptrs: "dst x", doc: "dst = tanh(x).", emit: each(2, tanhKernel)},
	{name: "gelu", ptrs: "y d z", doc: "y = z*Phi(z), d = Phi(z) + z*phi(z).", emit: each(1, geluKernel)},
	{
		name: "gruCell", ptrs: "r z hn new h y xr xz xn br bz bn",
		doc: "r = sigmoid(r+br+xr), z = sigmoid(z+bz+xz), hn += bn, new = tanh(r*hn+xn), h = y = (h-new)*z + new.", emit: each(1, gruCell),
	},
	{
		name: "gruCellGrad", ptrs: "dh dr dz dhn xr xz xn r z hn new h dy",
		doc: "dh += dy, u = dh*(1-z), xn = u*(1-new*new), xz = dz = dh*(h-new)*z*(1-z), xr = dr = xn*hn*r*(1-r), dhn = xn*r, dh -= u.", emit: each(1, gruCellGrad),
	},
	{
		name: "dropout", ptrs: "dst x", rest: "counter, k0, k1, thr uint32, scale float32",
		doc: "dst = hash(counter+i)>>1 < thr ? 0 : x*scale; see dropHash.", emit: each(1, dropout),
	},
}

// rootStep is w -= step*g / (sqrt(a) + eps). It overwrites g and a.
func rootStep(g *gen, wm operand.Mem, gr, a, step, eps reg.VecVirtual) {
	g.VSQRTPS(a, a)
	g.VADDPS(eps, a, a)
	g.VMULPS(step, gr, gr)
	g.VDIVPS(a, gr, gr)
	w := g.load(wm)
	g.VSUBPS(gr, w, w)
	g.VMOVUPS(w, wm)
}

func axpy4(g *gen, k routine) {
	g.begin(k.name, "("+k.signature()+")", k.doc)
	n, dst, ld := g.gp("n"), g.gp("dst"), g.gp("ld")
	ap := g.gp("a")
	x := []reg.GPVirtual{g.gp("x"), g.GP64(), g.GP64(), g.GP64()}
	a := g.vecs(4)
	for i := range x {
		g.VBROADCASTSS(operand.Mem{Base: ap, Disp: 4 * i}, a[i])
		if i > 0 {
			g.LEAQ(operand.Mem{Base: x[i-1], Index: ld, Scale: 4}, x[i])
		}
	}
	g.loop(n, 2, func(_ int, at func(reg.Register) operand.Mem) {
		v := g.load(at(dst))
		for i := range x {
			g.VFMADD231PS(at(x[i]), a[i], v)
		}
		g.VMOVUPS(v, at(dst))
	})
	g.end()
}

func dot(g *gen, k routine) {
	sum := make([]reg.VecVirtual, 4)
	eachThen(4, func(g *gen) func(int, mem) {
		for i := range sum {
			sum[i] = g.vec()
			g.zero(sum[i])
		}
		return func(u int, p mem) {
			v := g.load(p["a"])
			g.VFMADD231PS(p["b"], v, sum[u])
		}
	}, func(g *gen) {
		g.VADDPS(sum[1], sum[0], sum[0])
		g.VADDPS(sum[3], sum[2], sum[2])
		g.VADDPS(sum[2], sum[0], sum[0])
		g.VMOVUPS(sum[0], operand.Mem{Base: g.gp("out")})
	})(g, k)
}

// sumTo adds up in float64: a vector of floats makes two of doubles.
func sumTo(square bool) func(*gen, routine) {
	return func(g *gen, k routine) {
		sum := make([]reg.VecVirtual, 8)
		eachThen(4, func(g *gen) func(int, mem) {
			for i := range sum {
				sum[i] = g.vec()
				g.zero(sum[i])
			}
			return func(u int, p mem) {
				for h := range 2 {
					v := g.vec()
					g.VCVTPS2PD(p["x"].Offset(h*g.bytes()/2), v)
					if square {
						g.VFMADD231PD(v, v, sum[2*u+h])
					} else {
						g.VADDPD(v, sum[2*u+h], sum[2*u+h])
					}
				}
			}
		}, func(g *gen) {
			for s := 4; s > 0; s /= 2 {
				for i := range s {
					g.VADDPD(sum[i+s], sum[i], sum[i])
				}
			}
			g.VMOVUPD(sum[0], operand.Mem{Base: g.gp("out")})
		})(g, k)
	}
}

func maxAbs(g *gen, k routine) {
	var top, big reg.VecVirtual
	eachThen(2, func(g *gen) func(int, mem) {
		abs := g.bits(1<<31 - 1)
		top, big = g.bits(0xff800000), g.vec() // -Inf, 0
		g.zero(big)
		return func(_ int, p mem) {
			v, t := g.load(p["x"]), g.vec()
			g.VMAXPS(v, top, top)
			g.and(abs, v, t)
			g.VPMAXUD(t, big, big)
		}
	}, func(g *gen) {
		out := g.gp("out")
		g.VMOVUPS(top, operand.Mem{Base: out})
		g.VMOVUPS(big, operand.Mem{Base: out, Disp: g.bytes()})
	})(g, k)
}

// rounder returns a function that rounds a vector to bf16, ties to even, in a new vector. Inf becomes NaN.
func (g *gen) rounder() func(v reg.VecVirtual) reg.VecVirtual {
	one, half, upper := g.bits(1), g.bits(0x7fff), g.bits(0xffff0000)
	return func(v reg.VecVirtual) reg.VecVirtual {
		up, nan := g.vec(), g.vec()
		g.VPSRLD(operand.U8(16), v, up)
		g.and(one, up, up)
		g.VPADDD(half, up, up)
		g.VPADDD(v, up, up)
		g.and(upper, up, up)
		g.VSUBPS(v, v, nan)
		g.VADDPS(nan, up, up)
		return up
	}
}
