package ops

import "fmt"

// Tokens tells which positions of a batch of token sequences are live. It is shared by pointer with the ops that must skip
// padding. A matrix over tokens, [R, H], holds the positions of the first sequence, then those of the second, and so on. It has one of
// two layouts. Padded, each sequence has L rows, R = B*L. Packed, it has as many as it needs, and padding follows the last one.
// L, Batch and Rows are read when the graph is built, and the rest at each run.
type Tokens struct {
	L    int       // positions of a sequence; packed, of the longest
	Len  []int32   // [B]: sequence b has positions 0..Len[b]-1, and the others are padding; nil if all have L
	Mask []float32 // [R]: a position with 0 is hidden as if it were padding, wherever it stands; may be nil

	Batch int     // packed: the number of sequences; 0: padded
	Rows  int     // packed: R
	Start []int32 // packed: [B], the first row of each sequence, ascending from 0; rows between two are padding
}

// packed reports the layout.
func (t *Tokens) packed() bool { return t.Batch > 0 }

// rows is the number of rows of a matrix over the tokens of so many sequences.
func (t *Tokens) rows(batch int) int {
	if t.packed() {
		return t.Rows
	}
	return batch * t.L
}

// span returns the rows of sequence b, from at to the one before end. The padding after all sequences is the last one's.
func (t *Tokens) span(b int) (at, end int) {
	switch {
	case !t.packed():
		return b * t.L, (b + 1) * t.L
	case b+1 < t.Batch:
		return int(t.Start[b]), int(t.Start[b+1])
	}
	return int(t.Start[b]), t.Rows
}

// at returns the first row of sequence b.
func (t *Tokens) at(b int) int {
	if t.packed() {
		return int(t.Start[b])
	}
	return b * t.L
}

// live writes the number of positions of each sequence up to its last live one to n.
func (t *Tokens) live(n []int) error {
	if t.Len != nil && len(t.Len) != len(n) {
		return fmt.Errorf("%d lengths of sequences in a batch of %d", len(t.Len), len(n))
	}
	if t.Mask != nil && len(t.Mask) != t.rows(len(n)) {
		return fmt.Errorf("mask of %d positions in a batch of %d sequences of %d", len(t.Mask), len(n), t.L)
	}
	if t.packed() && (len(t.Start) != len(n) || len(t.Len) != len(n)) {
		return fmt.Errorf("%d starts and %d lengths of sequences in a batch of %d", len(t.Start), len(t.Len), len(n))
	}
	row := 0 // packed: where the next sequence may start
	for b := range n {
		n[b] = t.L
		if t.Len != nil {
			if n[b] = int(t.Len[b]); n[b] < 0 || n[b] > t.L {
				return fmt.Errorf("sequence %d has %d tokens, want 0 to %d", b, n[b], t.L)
			}
		}
		if t.packed() {
			at := int(t.Start[b])
			if at < row || b == 0 && at > 0 || at+n[b] > t.Rows {
				return fmt.Errorf("sequence %d has rows %d to %d, want them from %d on and below %d", b, at, at+n[b], row, t.Rows)
			}
			row = at + n[b]
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
	at, end := t.span(b)
	return t.Mask[at:end]
}

// tokens checks that rows are those of whole sequences and returns how many.
func (c *checker) tokens(name string, rows int, t *Tokens) (batch int) {
	switch {
	case c.err != nil:
		return 0
	case t == nil:
		c.fail("no tokens to tell the sequences apart")
	case t.L < 1:
		c.fail("sequences of %d, want 1 or more", t.L)
	case t.packed() && rows != t.Rows:
		c.fail("%s has %d rows, want %d", name, rows, t.Rows)
	case t.packed():
		return t.Batch
	case rows%t.L != 0:
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
