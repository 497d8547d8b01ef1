package optim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/ckpt"
)

// The keys of a state's Meta.
const (
	metaType = "optimizer"
	metaStep = "step"
)

// Slots returns the state of a parameter of n elements: an array of n for each of the optimizer's states, in a fixed order. They are made
// if no step has made them. They are the optimizer's memory: what is written there is the state of the next step.
func (o *Optimizer) Slots(name string, n int) [][]float32 {
	p := o.params[name]
	if p == nil {
		p = o.add(name, n)
	}
	return p.s[:len(o.names):len(o.names)]
}

// State returns the optimizer's state. Its tensors are called `<param>.exp_avg` and so on, and its Meta holds the optimizer's type and
// step. The tensors share the optimizer's memory, so they must be written before the next step.
func (o *Optimizer) State() *ckpt.Checkpoint {
	c := &ckpt.Checkpoint{Meta: map[string]string{metaType: o.kind, metaStep: strconv.FormatInt(o.t, 10)}}
	for name, p := range o.params {
		for k, slot := range o.names {
			c.Tensors = append(c.Tensors, ckpt.Tensor{Name: name + "." + slot, Shape: []int{len(p.s[k])}, Data: p.s[k]})
		}
	}
	slices.SortFunc(c.Tensors, func(a, b ckpt.Tensor) int { return strings.Compare(a.Name, b.Name) })
	return c
}

// Load replaces the state by what State returned. sizes holds the number of elements of each parameter. The state must be of the
// same type of optimizer and have exactly the tensors of those parameters, or none if no step has begun. Otherwise the error lists
// all that is wrong, and the optimizer is unchanged. After Load each step has the same bits as if the run had not stopped.
func (o *Optimizer) Load(c *ckpt.Checkpoint, sizes map[string]int) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("optim: load: "+format, args...)) }
	if kind := c.Meta[metaType]; kind != o.kind {
		bad("state of optimizer %q, this is %q", kind, o.kind)
		return errs[0]
	}
	t, err := strconv.ParseInt(c.Meta[metaStep], 10, 64)
	if err != nil || t < 0 {
		bad("step %q is not a number of steps", c.Meta[metaStep])
	}
	have := make(map[string]*ckpt.Tensor, len(c.Tensors))
	for i := range c.Tensors {
		have[c.Tensors[i].Name] = &c.Tensors[i]
	}
	names := make([]string, 0, len(sizes))
	for name := range sizes {
		names = append(names, name)
	}
	slices.Sort(names)
	if t == 0 && len(c.Tensors) == 0 {
		names = nil
	}
	params := make(map[string]*param, len(names))
	for _, name := range names {
		var s slots
		for k, slot := range o.names {
			full := name + "." + slot
			x := have[full]
			delete(have, full)
			switch {
			case x == nil:
				bad("%s: missing", full)
			case len(x.Data) != sizes[name]:
				bad("%s: has %d elements, the parameter %d", full, len(x.Data), sizes[name])
			default:
				s[k] = slices.Clone(x.Data)
			}
		}
		params[name] = &param{s: s}
	}
	for i := range c.Tensors {
		if name := c.Tensors[i].Name; have[name] != nil {
			bad("%s: unexpected: of no parameter that is trained", name)
		}
	}
	if len(errs) > 0 {
		return bound.Join(errs...)
	}
	for name, p := range params {
		o.decayOf(name, p)
	}
	o.t, o.params = t, params
	return nil
}
