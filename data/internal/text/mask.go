package text

import (
	"math"
	"math/rand/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/rng"
)

// masker hides tokens of rows for a masked language model (Devlin et al. 2019, section 3.1, with new masks each epoch as in
// Liu et al. 2019, section 4.1). Of the n tokens of a row that are not special, max(1, round(rate·n)) are to be predicted: each
// becomes the mask token with probability .8, any token of the vocabulary with .1, and stays with .1.
type masker struct {
	rate    float64
	mask    int32
	vocab   int
	special map[int32]bool
}

func newMasker(t *data.TextMap) *masker {
	s := t.Tokenizer().Special()
	return &masker{
		rate: t.MaskRate, mask: s.Mask, vocab: t.Vocab,
		special: map[int32]bool{s.CLS: true, s.SEP: true, s.Pad: true, s.Unk: true, s.Mask: true},
	}
}

// row hides tokens of row i of b, as drawn from a stream.
func (m *masker) row(b *data.Batch, i int, key uint64) {
	t := b.Tokens
	most := len(t.At) / b.Size
	at, target := t.At[i*most:(i+1)*most], t.Target[i*most:(i+1)*most]
	for k := range at {
		at[k], target[k] = -1, -1
	}
	ids := t.IDs[i*t.L : i*t.L+int(t.Len[i])]
	n := 0
	for _, id := range ids {
		if !m.special[id] {
			n++
		}
	}
	want := min(max(1, int(math.Round(m.rate*float64(n)))), n, most)
	if want == 0 {
		return
	}
	r, k := rng.New(key), 0
	for j, id := range ids {
		if m.special[id] {
			continue
		}
		if r.IntN(n) < want-k { // selection sampling: every choice of so many is alike
			at[k], target[k] = int32(i*t.L+j), float32(id)
			ids[j] = m.hide(r, id)
			k++
		}
		n--
	}
}

// hide returns what stands for a token that is to be predicted.
func (m *masker) hide(r *rand.Rand, id int32) int32 {
	switch u := r.Float64(); {
	case u < .8:
		return m.mask
	case u < .9:
		return int32(r.IntN(m.vocab))
	}
	return id
}
