package table

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/dictionary"
)

// counter counts the tokens of one table. Counts only ever add up, so the order of rows does not matter.
type counter struct {
	mu    sync.Mutex
	hash  int
	seen  dictionary.Dictionary
	count []int64 // by bucket, or by number of the token
}

func newCounter(hash int) *counter {
	c := &counter{hash: hash}
	if hash > 0 {
		c.count = make([]int64, hash)
	}
	return c
}

// add returns the number of a token, which it counts n times. The caller holds mu.
func (c *counter) add(token []byte, n int64) int32 {
	i := 0
	if c.hash > 0 {
		i = int(xxhash.Sum64(token) % uint64(c.hash))
	} else if i = c.seen.Add(token); i == len(c.count) {
		c.count = append(c.count, 0)
	}
	c.count[i] += n
	return int32(i)
}

// vocabulary returns the table of what was counted.
func (c *counter) vocabulary(name string, minCount int64, maxSize int) *data.Vocabulary {
	v := &data.Vocabulary{Name: name, Hash: c.hash}
	if c.hash > 0 {
		v.Counts = append(make([]int64, data.FirstID, data.FirstID+c.hash), c.count...)
		return v
	}
	type entry struct {
		token string
		count int64
	}
	var rare int64
	var kept []entry
	for i, t := range c.seen.Tokens {
		if c.count[i] >= max(minCount, 1) { // those that no train row has are 0
			kept = append(kept, entry{t, c.count[i]})
		} else {
			rare += c.count[i]
		}
	}
	slices.SortFunc(kept, func(a, b entry) int {
		return cmp.Or(cmp.Compare(b.count, a.count), strings.Compare(a.token, b.token))
	})
	if maxSize > 0 && len(kept) > maxSize {
		for _, e := range kept[maxSize:] {
			rare += e.count
		}
		kept = kept[:maxSize]
	}
	v.Tokens = make([]string, len(kept))
	v.Counts = make([]int64, data.FirstID+len(kept))
	v.Counts[data.OOVID] = rare
	for i, e := range kept {
		v.Tokens[i], v.Counts[data.FirstID+i] = e.token, e.count
	}
	return v
}
