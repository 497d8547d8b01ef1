package data

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/data/rng"
)

// partWindow is how many rows of a part are shuffled together: the default of shuffle_buffer.
const partWindow = 1 << 20

// Part deals the rows of src at random: a share of them, in (0, 1), to part, the others to rest; each gets one row at least. The
// epochs of part are shuffled, whatever src does, so that a model can learn from some of the validation rows; rest is read in
// the order of src. Where a row goes depends on the seed and its number alone.
func Part(src Source, share float64, seed uint64) (part, rest Source, err error) {
	v, err := viewable(src, "a part of the rows")
	if err != nil {
		return nil, nil, err
	}
	if !(share > 0 && share < 1) {
		return nil, nil, fmt.Errorf("data: a part of %g of the rows, want one in (0, 1)", share)
	}
	rows := v.Rows()
	if rows < 2 {
		return nil, nil, fmt.Errorf("data: a part of %d rows: want at least 2 rows", rows)
	}
	n := min(rows-1, max(1, int64(math.Round(share*float64(rows)))))
	keep := random(rows, []int64{n, rows - n}, rng.Key(seed, "part"))
	p := v.view(keep[0], rng.Key(seed, "part", "order"))
	switch p := p.(type) {
	case *cached:
		p.window = max(p.window, partWindow)
	case *Memory:
		p.Shuffle = true
	case *textRows:
		p.shuffle = true
	}
	return p, v.view(keep[1], rng.Key(seed, "part", "rest")), nil
}
