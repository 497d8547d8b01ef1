package history

import (
	"math"
	"strconv"

	"github.com/splice-ml/splice/data/rng"
)

const (
	followers = 4   // items that often follow an item
	followed  = .6  // how often one of them does
	zipf      = 1.5 // others are popular by a power of a number in [0, 1)
)

// Generate returns a log of users who have 3 to 2·mean − 3 actions each. After an item comes one of its 4 followers with probability 0.6,
// or else any item, the first ones oftener. The log depends on the numbers and the seed alone.
func Generate(users, items, mean int, seed uint64) (*Log, error) {
	b := &Builder{Timed: true}
	next := make([]int, items*followers)
	for i := range next {
		next[i] = int(rng.Float(rng.Key(seed, "followers"), int64(i)) * float64(items))
	}
	for u := range users {
		r := rng.New(rng.Key(seed, "user", u))
		item, name := -1, []byte("u"+strconv.Itoa(u))
		for t := range 3 + r.IntN(max(1, 2*mean-5)) {
			if item >= 0 && r.Float64() < followed {
				item = next[item*followers+r.IntN(followers)]
			} else {
				item = int(math.Pow(r.Float64(), zipf) * float64(items))
			}
			if err := b.Add(Action{User: name, Item: []byte("i" + strconv.Itoa(item)), Time: float64(t*users + u)}); err != nil {
				return nil, err
			}
		}
	}
	return b.Log(), nil
}
