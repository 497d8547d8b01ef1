package set

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/splice-ml/splice/data/rng"
)

// SynthVersion is the version of the generator: the rows of one seed change with it.
const SynthVersion = 1

// Synth generates rows that look like Criteo's display advertising log and whose true click probability is known.
//
// A row has the layout of Criteo's train.txt: label, 13 counts, 26 categories of 8 hexadecimal digits, tab separated,
// a missing value is blank. Categories follow Zipf's law with cardinalities from 3 to 100,000; counts are log-normal
// and share a factor of the row; blanks come in groups of columns. The label is 1 with probability sigmoid(z),
//
//	z = bias + Σ_f main_f(x_f) + Σ_{f<g} <v_f(x_f), v_g(x_g)>
//
// over categories and standardised logarithms of counts (a blank counts as 0), with low-rank factors v on a few fields
// and bends in the effect of some counts. The effect of a category shrinks with its frequency, so that little depends
// on ids a model hardly ever saw. The three parts of z (categories, counts, pairs) have the same variances, and a
// quarter of the rows are positive, for every seed.
type Synth struct {
	Rows int64  // rows to generate; fewer rows of one seed are the first ones of more
	Seed uint64 // of the effects, the rows and their labels
}

const (
	synthNums  = 13
	synthCats  = 26
	synthRank  = 2    // width of the factors v
	synthRate  = .25  // share of positive rows
	synthMain  = 1.1  // standard deviation of z due to single categories,
	synthCount = .65  // due to counts,
	synthPair  = .60  // and due to pairs
	synthRare  = .006 // frequency at which a category has half of the variance of a frequent one's effect
	synthPilot = 20000
)

// synthCat is a categorical column: its cardinality, the exponent of its Zipf law and its effects.
type synthCat struct {
	card   int
	zipf   float64
	blank  int     // group of columns that are missing together, or -1 for never
	main   float64 // strength of the single effect
	factor float64 // strength of the factors
}

// synthNum is a count column: the mean and deviation of its logarithm (of 1 + count, before rounding) and its effects.
type synthNum struct {
	mean, std float64
	blank     int
	slope     float64 // effect of the standardised logarithm
	bend      float64 // effect of its square
	factor    float64
}

// synthWorld is what a seed fixes before the first row: laws, effects, tokens.
type synthWorld struct {
	seed  uint64
	cats  [synthCats]catWorld
	nums  [synthNums][]float64 // factors
	bias  float64
	scale [3]float64 // gives the parts of z their variance
}

type catWorld struct {
	law    rng.Alias
	token  uint64      // key of the bijection from rank to token
	main   []float64   // by rank; the last one is the blank's
	factor [][]float64 // by rank, each [synthRank]; nil without factors
}

// synthRow is one generated row: ranks of categories and counts, -1 where blank, and the logarithms of the counts.
type synthRow struct {
	cats [synthCats]int
	nums [synthNums]int64
	logs [synthNums]float64 // standardised log(1 + count)
}

// newSynthWorld draws the effects of a seed and calibrates them on a pilot sample.
func newSynthWorld(seed uint64) *synthWorld {
	w := &synthWorld{seed: seed}
	for f, c := range synthCatCols {
		r := rng.New(rng.Key(seed, "synth", "category", f))
		cat := &w.cats[f]
		cat.token = rng.Key(seed, "synth", "token", f)
		p := make([]float64, c.card)
		var sum float64
		for i := range p {
			p[i] = math.Pow(float64(i+1), -c.zipf)
			sum += p[i]
		}
		cat.law = rng.NewAlias(p, sum)
		cat.main = make([]float64, c.card+1)
		if c.factor != 0 {
			cat.factor = make([][]float64, c.card+1)
		}
		for i := range cat.main {
			known := 1.
			if i < c.card {
				known = math.Sqrt(p[i] / (p[i] + synthRare*sum))
			}
			cat.main[i] = c.main * known * r.NormFloat64()
			if c.factor != 0 {
				cat.factor[i] = normals(r, c.factor*known)
			}
		}
	}
	for f, c := range synthNumCols {
		if c.factor != 0 {
			w.nums[f] = normals(rng.New(rng.Key(seed, "synth", "count", f)), c.factor)
		}
	}
	w.calibrate()
	return w
}

func normals(r *rand.Rand, scale float64) []float64 {
	v := make([]float64, synthRank)
	for k := range v {
		v[k] = scale * r.NormFloat64()
	}
	return v
}

// calibrate scales the parts of z to their deviations and sets the bias for a share synthRate of positives.
func (w *synthWorld) calibrate() {
	r := rng.New(rng.Key(w.seed, "synth", "pilot"))
	parts := make([][3]float64, synthPilot)
	var row synthRow
	var sum, sq [3]float64
	for i := range parts {
		w.draw(r, &row)
		parts[i] = w.parts(&row)
		for j, v := range parts[i] {
			sum[j] += v
			sq[j] += v * v
		}
	}
	n := float64(synthPilot)
	for j, want := range [3]float64{synthMain, synthCount, synthPair} {
		mean := sum[j] / n
		w.scale[j] = want / math.Sqrt(sq[j]/n-mean*mean)
	}
	lo, hi := -20., 20.
	for range 60 {
		w.bias = (lo + hi) / 2
		var p float64
		for _, v := range parts {
			p += w.prob(v)
		}
		if p/n < synthRate {
			lo = w.bias
		} else {
			hi = w.bias
		}
	}
}

// draw fills row with the next values of r.
func (w *synthWorld) draw(r *rand.Rand, row *synthRow) {
	var blank [len(synthBlanks)]bool
	for g, share := range synthBlanks {
		blank[g] = r.Float64() < share
	}
	common := r.NormFloat64()
	for f, c := range synthNumCols {
		z := .5*common + math.Sqrt(.75)*r.NormFloat64()
		if c.blank >= 0 && blank[c.blank] {
			row.nums[f] = -1
		} else {
			row.nums[f] = int64(max(0, math.Expm1(min(c.mean+c.std*z, 15))+.5))
		}
		row.logs[f] = (math.Log1p(float64(max(row.nums[f], 0))) - c.mean) / c.std
	}
	for f, c := range synthCatCols {
		row.cats[f] = w.cats[f].law.At(r.Uint64())
		if c.blank >= 0 && blank[c.blank] {
			row.cats[f] = -1
		}
	}
}

// parts returns the three unscaled parts of z: categories, counts, pairs.
func (w *synthWorld) parts(row *synthRow) (z [3]float64) {
	var sum, sq [synthRank]float64
	add := func(v []float64, x float64) {
		for k := range sum {
			sum[k] += v[k] * x
			sq[k] += v[k] * x * v[k] * x
		}
	}
	for f := range w.cats {
		cat, id := &w.cats[f], row.cats[f]
		if id < 0 {
			id = len(cat.main) - 1
		}
		z[0] += cat.main[id]
		if cat.factor != nil {
			add(cat.factor[id], 1)
		}
	}
	for f, c := range synthNumCols {
		x := row.logs[f]
		z[1] += c.slope*x + c.bend*(x*x-1)
		if c.factor != 0 {
			add(w.nums[f], x)
		}
	}
	for k := range sum {
		z[2] += (sum[k]*sum[k] - sq[k]) / 2
	}
	return z
}

// prob is the probability of a positive label given the parts of z.
func (w *synthWorld) prob(z [3]float64) float64 {
	return 1 / (1 + math.Exp(-(w.bias + w.scale[0]*z[0] + w.scale[1]*z[1] + w.scale[2]*z[2])))
}

// WriteTSV writes the rows to dst. If probs is not nil, the true probability of each row is written there, one a line.
func (s Synth) WriteTSV(dst, probs io.Writer) error {
	var pw *bufio.Writer
	if probs != nil {
		pw = bufio.NewWriterSize(probs, 1<<16)
	}
	err := s.write(dst, func(_ int64, _ bool, p float64) error {
		if pw == nil {
			return nil
		}
		_, err := pw.Write(append(strconv.AppendFloat(pw.AvailableBuffer(), p, 'g', 9, 64), '\n'))
		return err
	})
	if err == nil && pw != nil {
		err = pw.Flush()
	}
	if err != nil {
		return fmt.Errorf("data: synth: %w", err)
	}
	return nil
}

// write writes the rows to dst and shows each row's number, label and true probability to see.
func (s Synth) write(dst io.Writer, see func(i int64, label bool, p float64) error) error {
	if s.Rows < 0 {
		return fmt.Errorf("rows: %d, must not be negative", s.Rows)
	}
	w := newSynthWorld(s.Seed)
	r := rng.New(rng.Key(s.Seed, "synth", "rows"))
	out := bufio.NewWriterSize(dst, 1<<18)
	var row synthRow
	for i := range s.Rows {
		w.draw(r, &row)
		p := w.prob(w.parts(&row))
		label := r.Float64() < p
		if _, err := out.Write(w.appendRow(out.AvailableBuffer(), label, &row)); err != nil {
			return err
		}
		if err := see(i, label, p); err != nil {
			return err
		}
	}
	return out.Flush()
}

// appendRow appends the row as a line of Criteo's layout to buf.
func (w *synthWorld) appendRow(buf []byte, label bool, row *synthRow) []byte {
	const hex = "0123456789abcdef"
	if label {
		buf = append(buf, '1')
	} else {
		buf = append(buf, '0')
	}
	for _, n := range row.nums {
		buf = append(buf, '\t')
		if n >= 0 {
			buf = strconv.AppendInt(buf, n, 10)
		}
	}
	for f, id := range row.cats {
		buf = append(buf, '\t')
		if id < 0 {
			continue
		}
		token := scramble(uint32(id), w.cats[f].token)
		for shift := 28; shift >= 0; shift -= 4 {
			buf = append(buf, hex[token>>shift&15])
		}
	}
	return append(buf, '\n')
}

// scramble is a bijection on 32-bit words (the finaliser of MurmurHash3 between two keys), so that the tokens of a
// column are distinct and say nothing about frequency.
func scramble(x uint32, key uint64) uint32 {
	x ^= uint32(key)
	x ^= x >> 16
	x *= 0x85ebca6b
	x ^= x >> 13
	x *= 0xc2b2ae35
	x ^= x >> 16
	return x ^ uint32(key>>32)
}

// synthBlanks are the shares of rows in which a group of columns is missing, after the first rows of Criteo's log.
var synthBlanks = [...]float64{.45, .20, .25, .05, .77, .13, .03, .45, .80}

// synthNumCols are I1 to I13. Means, deviations and blanks are close to Criteo's.
var synthNumCols = [synthNums]synthNum{
	{mean: 0.9, std: 1.1, blank: 0, slope: .5},
	{mean: 2.1, std: 2.0, blank: -1, slope: .2, bend: -.3},
	{mean: 2.2, std: 1.3, blank: 1, slope: -.4},
	{mean: 1.8, std: 1.0, blank: 1},
	{mean: 7.3, std: 2.4, blank: 3, slope: -.6, factor: .5},
	{mean: 3.6, std: 1.8, blank: 2, slope: -.7, bend: .4},
	{mean: 1.5, std: 1.4, blank: 3, slope: .6, factor: .5},
	{mean: 2.0, std: 1.2, blank: -1, slope: -.2},
	{mean: 3.6, std: 1.7, blank: 3},
	{mean: 0.3, std: 0.5, blank: 0, slope: .3},
	{mean: 0.8, std: 0.8, blank: 3, slope: .4, bend: .3},
	{mean: 0.1, std: 0.6, blank: 4, slope: .2},
	{mean: 1.9, std: 1.1, blank: 1, slope: -.5, bend: .2},
}

// synthCatCols are C1 to C26.
var synthCatCols = [synthCats]synthCat{
	{card: 1460, zipf: 1.70, blank: -1, main: 1, factor: 1},
	{card: 583, zipf: 1.40, blank: -1, main: 1},
	{card: 100000, zipf: 1.55, blank: 6, main: .7},
	{card: 60000, zipf: 1.60, blank: 6, main: .7},
	{card: 305, zipf: 2.00, blank: -1, main: .6},
	{card: 24, zipf: 1.10, blank: 5, main: .8, factor: 1},
	{card: 12517, zipf: 1.50, blank: -1, main: .5},
	{card: 633, zipf: 1.80, blank: -1, main: .5},
	{card: 3, zipf: 2.50, blank: -1, main: .8},
	{card: 93145, zipf: 1.65, blank: -1, main: .5},
	{card: 5683, zipf: 1.50, blank: -1, main: .5},
	{card: 80000, zipf: 1.60, blank: 6, main: .5},
	{card: 3194, zipf: 1.55, blank: -1},
	{card: 27, zipf: 1.30, blank: -1, main: 1, factor: 1},
	{card: 14992, zipf: 1.55, blank: -1},
	{card: 70000, zipf: 1.60, blank: 6},
	{card: 10, zipf: 1.10, blank: -1, main: 1, factor: 1},
	{card: 5652, zipf: 1.55, blank: -1, main: .6},
	{card: 2173, zipf: 1.60, blank: 7, main: .5},
	{card: 4, zipf: .30, blank: 7, main: .8, factor: 1},
	{card: 90000, zipf: 1.60, blank: 6},
	{card: 18, zipf: 1.20, blank: 8, main: .5},
	{card: 15, zipf: 1.20, blank: -1, main: 1, factor: 1},
	{card: 40000, zipf: 1.65, blank: 6, main: .5},
	{card: 105, zipf: 1.65, blank: 7, main: .6},
	{card: 30000, zipf: 1.65, blank: 7, main: .5},
}
