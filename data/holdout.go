package data

import (
	"fmt"
	"math"

	"github.com/splice-ml/splice/data/rng"
)

// holdOutWindow is how many of the chosen rows are shuffled together: the default of shuffle_buffer.
const holdOutWindow = 1 << 20

// HoldOut deals the rows of src at random into a share of them, chosen, and the others, rest. share is in (0, 1), and each part gets at
// least one row. The epochs of chosen are shuffled even if src is not, so that a model can learn from some of the validation rows. rest
// is read in the order of src. The part of a row depends only on the seed and the row's number.
func HoldOut(src Source, share float64, seed uint64) (chosen, rest Source, err error) {
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
	keep := Deal(rows, []int64{n, rows - n}, rng.Key(seed, "part"))
	chosen = v.View(ViewOptions{Keep: keep[0], Seed: rng.Key(seed, "part", "order"), Window: holdOutWindow})
	return chosen, v.View(ViewOptions{Keep: keep[1], Seed: rng.Key(seed, "part", "rest")}), nil
}
