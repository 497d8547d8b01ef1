package ops

import "fmt"

// Tokens tells which positions of a batch of token sequences are live. It is shared by pointer with the ops that must skip
// padding. A matrix over tokens, [B*L, H], holds the L positions of the first sequence, then those of the second, and so
// on. L is read when the graph is built, and Len and Mask at each run.
type Tokens struct {
	L    int       // positions of a sequence
	Len  []int32   // [B]: sequence b has positions 0..Len[b]-1, and the others are padding; nil if all have L
	Mask []float32 // [B*L]: a position with 0 is hidden as if it were padding, wherever it stands; may be nil
}

// live writes the number of positions of each sequence up to its last live one to n.
func (t *Tokens) live(n []int) error {
	if t.Len != nil && len(t.Len) != len(n) {
		return fmt.Errorf("%d lengths of sequences in a batch of %d", len(t.Len), len(n))
	}
	if t.Mask != nil && len(t.Mask) != len(n)*t.L {
		return fmt.Errorf("mask of %d positions in a batch of %d sequences of %d", len(t.Mask), len(n), t.L)
	}
	for b := range n {
		n[b] = t.L
		if t.Len != nil {
			if n[b] = int(t.Len[b]); n[b] < 0 || n[b] > t.L {
				return fmt.Errorf("sequence %d has %d tokens, want 0 to %d", b, n[b], t.L)
			}
		}
		if m := t.mask(b); m != nil {
			for n[b] > 0 && m[n[b]-1] == 0 {
				n[b]--
			}
		}
	}
	return nil
}

// mask returns the mask of sequence b, or nil if there is none.
func (t *Tokens) mask(b int) []float32 {
	if t.Mask == nil {
		return nil
	}
	return t.Mask[b*t.L : (b+1)*t.L]
}

// tokens checks that rows are those of whole sequences and returns how many.
func (c *checker) tokens(name string, rows int, t *Tokens) (batch int) {
	switch {
	case c.err != nil:
		return 0
	case t == nil:
		c.fail("no tokens to tell the sequences apart")
	case t.L < 1 || rows%t.L != 0:
		c.fail("%s has %d rows, want sequences of %d", name, rows, t.L)
	default:
		return rows / t.L
	}
	return 0
}

// sequences is tokens for a matrix over tokens that needs as many sequences as other has rows.
func (c *checker) sequences(name string, rows int, t *Tokens, other string, batch int) {
	if n := c.tokens(name, rows, t); c.err == nil && n != batch {
		c.fail("%s has %d rows, the positions of %d sequences, and %s has %d rows, want one for each", name, rows, n, other, batch)
	}
}
