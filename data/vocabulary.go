package data

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"
)

// Vocabulary is the ids of one embedding table: those of listed tokens, or of hash buckets.
type Vocabulary struct {
	Name   string   `json:"name"`
	Hash   int      `json:"hash,omitempty"`   // buckets; 0 for a vocabulary
	Tokens []string `json:"tokens,omitempty"` // Tokens[i] has id i+2, each once; when fitted by falling count, then by rising text, and a Union appends others
	Counts []int64  `json:"counts"`           // by id: how often it was met when fitted, by all maps of a Union together

	once  sync.Once
	index map[string]int32
}

// Size returns the number of ids, the reserved ones included.
func (v *Vocabulary) Size() int { return firstID + max(v.Hash, len(v.Tokens)) }

// ID returns the id of a token.
func (v *Vocabulary) ID(token []byte) int32 {
	if v.Hash > 0 {
		return firstID + int32(xxhash.Sum64(token)%uint64(v.Hash))
	}
	v.once.Do(v.build)
	if id, ok := v.index[string(token)]; ok {
		return id
	}
	return OOVID
}

func (v *Vocabulary) build() {
	v.index = make(map[string]int32, len(v.Tokens))
	for i, t := range v.Tokens {
		v.index[t] = int32(i + firstID)
	}
}

func (v *Vocabulary) check() error {
	if v.Hash < 0 || v.Hash > maxVocab || v.Hash > 0 && len(v.Tokens) > 0 {
		return fmt.Errorf("%d buckets, %d tokens", v.Hash, len(v.Tokens))
	}
	if len(v.Counts) != v.Size() {
		return fmt.Errorf("%d counts of %d ids", len(v.Counts), v.Size())
	}
	if v.once.Do(v.build); len(v.index) != len(v.Tokens) {
		return fmt.Errorf("a token is there twice")
	}
	return nil
}

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
func (c *counter) vocabulary(name string, minCount int64, maxSize int) *Vocabulary {
	v := &Vocabulary{Name: name, Hash: c.hash}
	if c.hash > 0 {
		v.Counts = append(make([]int64, firstID, firstID+c.hash), c.count...)
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
	v.Counts = make([]int64, firstID+len(kept))
	v.Counts[OOVID] = rare
	for i, e := range kept {
		v.Tokens[i], v.Counts[firstID+i] = e.token, e.count
	}
	return v
}
