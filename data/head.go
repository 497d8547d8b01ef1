package data

import (
	"errors"
	"fmt"
	"math"

	"github.com/splice-ml/splice/data/rng"
)

// Head returns a random share of the rows of src. share is in (0, 1]; the number of rows is rounded, and at least one. The trunk that
// all parents of a merge start from is trained on such a share.
func Head(src Source, share float64, seed uint64) (Source, error) {
	v, err := viewable(src, "a share of the rows")
	if err != nil {
		return nil, err
	}
	if !(share > 0 && share <= 1) {
		return nil, fmt.Errorf("data: a share of %g of the rows, want one in (0, 1]", share)
	}
	rows := v.Rows()
	if rows < 1 {
		return nil, fmt.Errorf("data: a share of %g of the rows: there are none", share)
	}
	n := min(rows, max(1, int64(math.Round(share*float64(rows)))))
	var keep []uint32
	if n < rows {
		keep = Deal(rows, []int64{n, rows - n}, rng.Key(seed, "head"))[0]
	}
	return v.View(ViewOptions{Keep: keep, Seed: rng.Key(seed, "head", "order")}), nil
}

// Reorder returns the rows of src, whose epochs have the orders of another seed. A source that does not shuffle, such as a validation
// part, is an error.
func Reorder(src Source, seed uint64) (Source, error) {
	v, err := viewable(src, "another order of the rows")
	if err != nil {
		return nil, err
	}
	if !v.Shuffles() {
		return nil, errors.New("data: another order of the rows: they are read in the order of the file, only training rows are shuffled")
	}
	return v.View(ViewOptions{Seed: seed}), nil
}
