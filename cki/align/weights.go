package align

import (
	"context"
	"slices"

	"github.com/splice-ml/splice/data/rng"
	"github.com/splice-ml/splice/models/nn"
)

// WeightsOptions says how weights are matched.
type WeightsOptions struct {
	Iterations int    // sweeps over all groups, at most, or 0 to go on until nothing changes
	Seed       uint64 // seed of the order of the groups in a sweep
	// Unscaled compares weights as they are, as the paper does, and not in units of their parameter's root mean square.
	Unscaled bool
	Free     func(nn.Group) bool // reports whether a group may move; nil if all may
	Rotate   func(nn.Group) bool // reports whether an orthogonal group is rotated, and not permuted; nil if none is
}

// Weights returns how the units of b are moved to lie close to those of a: one map for each group, to be applied in the groups' order.
//
// It maximises Σ a·b, which minimises the distance |a - b|. Unless Unscaled is set, each parameter is in units of its root mean
// square in either model, so that large parameters do not decide alone. It does so by coordinate descent (Ainsworth, Hayase and
// Srinivasa 2023, "Git Re-Basin", algorithm 1). For one group after another, in a random order, it takes the best permutation by the
// inner products of all pairs of units over all uses of the group, with the other groups as they are, until nothing changes.
//
// It descends twice and takes the better end. One descent starts from b as it is. The other starts with a sweep from the inputs to the
// outputs that leaves out the weights to groups not yet matched. For a group along both axes of a weight, where the assignment is only
// an approximation, a step counts if the sum really grows. Heads are matched together with the units within them.
func Weights(ctx context.Context, a, b *nn.Params, groups []nn.Group, o WeightsOptions) ([]Map, error) {
	m, err := newMatcher(a, b, groups, o)
	if err != nil {
		return nil, err
	}
	onward := m.clone()
	if err := onward.sweep(ctx); err != nil {
		return nil, err
	}
	for _, m := range []*matcher{m, onward} {
		if err := m.descend(ctx, o.Iterations, o.Seed); err != nil {
			return nil, err
		}
	}
	if onward.total() > m.total() {
		m = onward
	}
	return m.maps, nil
}

// sweep matches one group after another, from the inputs on, by what is known of those before.
func (m *matcher) sweep(ctx context.Context) error {
	seen := make([]bool, len(m.groups))
	for i := range seen {
		seen[i] = true // unless it will move
	}
	for _, c := range m.coords {
		for _, i := range c.all() {
			seen[i] = false
		}
	}
	for _, c := range m.coords {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := m.step(c, seen); err != nil {
			return err
		}
		for _, i := range c.all() {
			seen[i] = true
		}
	}
	return nil
}

// descend sweeps over the groups in random order until nothing changes.
func (m *matcher) descend(ctx context.Context, iterations int, seed uint64) error {
	r := rng.New(rng.Key(seed, "align", "order"))
	for it := 0; iterations == 0 || it < iterations; it++ {
		changed := false
		for _, i := range r.Perm(len(m.coords)) {
			if err := ctx.Err(); err != nil {
				return err
			}
			ok, err := m.step(m.coords[i], nil)
			if err != nil {
				return err
			}
			changed = changed || ok
		}
		if !changed {
			break
		}
	}
	return nil
}

// Gains below these shares of |a|·|b| are rounding.
const (
	leastGain = 1e-9
	leastTurn = 1e-6 // a rotation can always turn a little further
)

// step moves one coordinate to its best place, if that is better than where it is; seen is that of products.
func (m *matcher) step(c coord, seen []bool) (bool, error) {
	var by []Map // of c.all()
	var gain float64
	scale := m.scale[c.group]
	if m.seen[c.group] != nil {
		scale = 1
	}
	least := leastGain * scale
	switch {
	case c.inner != nil:
		h, err := matchHeads(m.headProducts(c, seen))
		if err != nil {
			return false, err
		}
		gain = h.sum - h.now
		by = []Map{{Perm: h.perm}}
		for _, u := range h.inner {
			by = append(by, u...)
		}
	default:
		p := m.products(c.group, seen)
		now := 0.0
		for i := range m.groups[c.group].Size {
			now += p.At(i, i)
		}
		if m.turn[c.group] {
			r, sum, ok := procrustes(p)
			if !ok {
				return false, nil
			}
			gain, by, least = sum-now, []Map{{Rotation: r}}, leastTurn*scale
			break
		}
		perm, sum, err := largest(p)
		if err != nil {
			return false, err
		}
		gain, by = sum-now, []Map{{Perm: perm}}
	}
	if gain <= least {
		return false, nil
	}
	groups := c.all()
	square := slices.ContainsFunc(groups, func(i int) bool { return m.square[i] })
	if !square || seen != nil {
		m.moveAll(groups, by)
		return true, nil
	}
	before := m.value(c)
	m.moveAll(groups, by)
	if m.value(c) > before+least {
		return true, nil
	}
	for k, i := range slices.Backward(groups) {
		m.move(i, by[k].inverse())
	}
	return false, nil
}

func (m *matcher) moveAll(groups []int, by []Map) {
	for k, i := range groups {
		m.move(i, by[k])
	}
}
