package onnx

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/ops"
)

// layout is the positions of sequences.
type layout struct {
	of     models.Layout
	length string // [1]: positions of a sequence, padding included
	place  string // [length]: 0, 1 and so on
	lens   string // [batch]: live positions; of a text empty
	mask   string // [batch, length]: which positions are live; empty if all are
}

// hidden is what a score of padding is, so that its softmax is 0. It is finite: a sequence of padding alone has no NaN.
const hidden = -math.MaxFloat32

// layout returns what describes positions, which is made once.
func (b *builder) layout(of models.Layout) *layout {
	if l := b.layouts[of]; l != nil {
		return l
	}
	l := &layout{of: of}
	b.layouts[of] = l
	if of.Of == models.OfText {
		ids := b.text(InputIDs)
		l.length, l.place = b.lengthOf(ids, 0)
		l.mask = b.do("Not", b.do("Equal", b.text(AttentionMask), b.whole(0)))
		return l
	}
	ids, more := b.column(of.Feature), 0
	if of.Of == models.OfAppended {
		more = 1
	}
	l.length, l.place = b.lengthOf(ids, more)
	items := b.made("items "+ids, func() string { // the place behind the last id that is not padding
		_, place := b.lengthOf(ids, 0)
		behind := b.do("Where", b.do("Equal", ids, b.whole(data.PadID)), b.whole(0), b.do("Add", place, b.whole(1)))
		return b.add("ReduceMax", []string{behind}, attr{"axes", []int{1}}, attr{"keepdims", 0})
	})
	switch of.Of {
	case models.OfItems:
		l.lens = items
	case models.OfAppended:
		l.lens = b.do("Add", items, b.whole(1))
	default:
		l.lens = b.do("Max", items, b.whole(1))
	}
	l.mask = b.do("Less", l.place, b.unsqueeze(l.lens, 1))
	return l
}

// fixed returns what describes sequences of n positions without padding, such as the fields of each row.
func (b *builder) fixed(n int) *layout {
	place := make([]int, n)
	for i := range place {
		place[i] = i
	}
	return &layout{length: b.vector(n), place: b.vector(place...)}
}

// lengthOf returns how many columns a matrix has, and more, [1], and the numbers below that.
func (b *builder) lengthOf(x string, more int) (length, place string) {
	length = b.made(fmt.Sprint("length ", x, more), func() string {
		n := b.do("Slice", b.do("Shape", x), b.vector(1), b.vector(2))
		if more > 0 {
			n = b.do("Add", n, b.whole(more))
		}
		return n
	})
	place = b.made(fmt.Sprint("place ", x, more), func() string {
		return b.do("Range", b.whole(0), b.squeeze(length, 0), b.whole(1))
	})
	return length, place
}

// starts returns the rows of the first positions of sequences, [batch].
func (b *builder) starts(l *layout) string {
	return b.made(fmt.Sprint("starts ", l.length), func() string {
		n := b.squeeze(b.do("Shape", l.lens), 0)
		return b.do("Mul", b.do("Range", b.whole(0), n, b.whole(1)), l.length)
	})
}

// tokens returns the layout of an op's sequences.
func (c *call) tokens(t *ops.Tokens) (*layout, error) {
	of, ok := c.scoring.Layout(t)
	if !ok && t.Batch == 0 && t.Len == nil && t.Mask == nil {
		return c.fixed(t.L), nil
	}
	if !ok || t.Mask != nil {
		return nil, fmt.Errorf("the op %s is over sequences that no column of the data describes", c.name)
	}
	return c.layout(of), nil
}

// floats returns the mask as numbers, [batch, length].
func (b *builder) floats(l *layout) string {
	return b.made("floats "+l.mask, func() string { return b.cast(l.mask, floatElem) })
}

// blank sets rows of padding to zero: x [batch, length, width].
func (b *builder) blank(x string, l *layout) string {
	if l.mask == "" {
		return x
	}
	return b.do("Where", b.unsqueeze(l.mask, 2), x, b.number(0))
}

// attention: softmax(q·kᵀ/√d)·v for each head, over live positions.
func (c *call) attention() (string, error) {
	o := c.form.(ops.AttentionOptions)
	l, err := c.tokens(o.Tokens)
	if err != nil {
		return "", err
	}
	H := c.shape(0)[1]
	d := H / o.Heads
	heads := func(x string, perm ...int) string { return c.transpose(c.split(x, l, o.Heads, d), perm...) }
	q, k, v := heads(c.in[0], 0, 2, 1, 3), heads(c.in[1], 0, 2, 3, 1), heads(c.in[2], 0, 2, 1, 3)
	s := c.do("Mul", c.do("MatMul", q, k), c.number(float32(1/math.Sqrt(float64(d))))) // [batch, heads, length, length]
	if seen := c.made(fmt.Sprint("seen ", l.length, l.mask, o.Causal), func() string { return c.seen(l, o.Causal) }); seen != "" {
		s = c.do("Where", seen, s, c.number(hidden))
	}
	p := c.softmax(s)
	y := c.transpose(c.do("MatMul", p, v), 0, 2, 1, 3) // [batch, length, heads, d]
	return c.reshape(y, -1, H), nil
}

// seen says which keys each query sees; empty if all see all.
func (b *builder) seen(l *layout, causal bool) string {
	keys := ""
	if l.mask != "" {
		keys = b.unsqueeze(l.mask, 1, 2)
	}
	if !causal {
		return keys
	}
	at := b.unsqueeze(l.place, 1)
	before := b.do("LessOrEqual", l.place, at)
	if keys == "" {
		return before
	}
	return b.do("And", keys, before)
}

// weights are scores [batch, 1, length] of positions, 0 at padding, as they are or their softmax.
func (c *call) weights(s string, l *layout, softmax bool) string {
	if l.mask == "" {
		if softmax {
			return c.softmax(s)
		}
		return s
	}
	mask := c.unsqueeze(l.mask, 1)
	if softmax {
		s = c.softmax(c.do("Where", mask, s, c.number(hidden)))
	}
	return c.do("Where", mask, s, c.number(0))
}

// targetAttention: softmax(q·kᵀ/√D)·v with a query for each sequence.
func (c *call) targetAttention() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	last := len(c.in) - 1
	D, E := c.shape(0)[1], c.shape(last)[1]
	k := c.split(c.in[1], l, D)
	s := c.do("MatMul", c.unsqueeze(c.in[0], 1), c.transpose(k, 0, 2, 1)) // [batch, 1, length]
	p := c.weights(c.do("Mul", s, c.number(float32(1/math.Sqrt(float64(D))))), l, true)
	return c.squeeze(c.do("MatMul", p, c.split(c.in[last], l, E)), 1), nil
}

func (c *call) weightedPool() (string, error) {
	f := c.form.(ops.WeightedPoolForm)
	l, err := c.tokens(f.Tokens)
	if err != nil {
		return "", err
	}
	p := c.weights(c.transpose(c.split(c.in[0], l, 1), 0, 2, 1), l, f.Softmax)
	return c.squeeze(c.do("MatMul", p, c.split(c.in[1], l, c.shape(1)[1])), 1), nil
}

func (c *call) softmaxTokens() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	p := c.weights(c.transpose(c.split(c.in[0], l, 1), 0, 2, 1), l, true)
	return c.reshape(p, -1, 1), nil
}

func (c *call) sumTokens() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	return c.sum(c.blank(c.split(c.in[0], l, c.shape(0)[1]), l), 1, false), nil
}

func (c *call) meanTokens() (string, error) {
	sum, err := c.sumTokens()
	if err != nil {
		return "", err
	}
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	if l.mask == "" {
		return c.do("Div", sum, c.number(float32(c.form.(*ops.Tokens).L))), nil
	}
	return c.do("Div", sum, c.do("Max", c.sum(c.floats(l), 1, true), c.number(1))), nil
}

func (c *call) firstToken() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	return c.add("Gather", []string{c.split(c.in[0], l, c.shape(0)[1]), c.whole(0)}, attr{"axis", 1}), nil
}

// repeat: x [batch, D] → [batch·length, D].
func (c *call) repeat() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	D := c.shape(0)[1]
	shape := c.made("repeat "+l.length, func() string {
		return c.add("Concat", []string{c.vector(1), l.length, c.vector(1)}, attr{"axis", 0})
	})
	return c.reshape(c.do("Expand", c.unsqueeze(c.in[0], 1), shape), -1, D), nil
}

// append: x [batch·length, D], y [batch, D] → [batch·(length+1), D], y behind the live positions of x.
func (c *call) append() (string, error) {
	l, err := c.tokens(c.form.(*ops.Tokens))
	if err != nil {
		return "", err
	}
	if l.of.Feature == nil {
		return "", fmt.Errorf("the op %s is behind sequences of no column, which has no translation to ONNX", c.name)
	}
	D := c.shape(0)[1]
	more := c.layout(models.Layout{Of: models.OfAppended, Feature: l.of.Feature})
	y := c.unsqueeze(c.in[1], 1)
	x := c.add("Concat", []string{c.split(c.in[0], l, D), y}, attr{"axis", 1}) // [batch, length+1, D]
	own := c.do("Equal", more.place, c.unsqueeze(l.lens, 1))
	x = c.do("Where", c.unsqueeze(own, 2), y, x)
	return c.reshape(c.blank(x, more), -1, D), nil
}

// pickRows picks a row for each row of the batch.
func (c *call) pickRows() (string, error) {
	list, ok := c.scoring.List(c.form.(*[]int32))
	if !ok {
		return "", fmt.Errorf("the op %s picks the tokens that a training masks, which has no translation to ONNX", c.name)
	}
	return c.do("Gather", c.in[0], c.list(list)), nil
}

// lookup is the sum of rows of tables.
func (c *call) lookup() (string, error) {
	y := ""
	for i, ids := range c.form.([]*[]int32) {
		list, ok := c.scoring.List(ids)
		if !ok {
			return "", fmt.Errorf("the op %s is by ids that no row has", c.name)
		}
		x := c.do("Gather", c.in[i], c.list(list))
		if y == "" {
			y = x
		} else {
			y = c.do("Add", y, x)
		}
	}
	return y, nil
}
