package table

import (
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/splice-ml/splice/data"
)

// counter counts the tokens of one table. Counts only ever add up, so the order of rows does not matter.
type counter struct {
	mu    sync.Mutex
	hash  int
	slot  map[string]int32
	count []int64
}

func newCounter(hash int) *counter {
	c := &counter{hash: hash, slot: map[string]int32{}}
	if hash > 0 {
		c.count = make([]int64, hash)
	}
	return c
}

// add counts one token. The caller holds mu.
func (c *counter) add(token []byte) {
	if c.hash > 0 {
		c.count[xxhash.Sum64(token)%uint64(c.hash)]++
		return
	}
	if i, ok := c.slot[string(token)]; ok {
		c.count[i]++
		return
	}
	c.slot[string(token)] = int32(len(c.count))
	c.count = append(c.count, 1)
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
	for t, i := range c.slot {
		if c.count[i] >= minCount {
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
