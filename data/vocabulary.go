package data

import (
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data/internal/dictionary"
)

// Vocabulary holds the ids of one embedding table: those of listed tokens, or of hash buckets.
type Vocabulary struct {
	Name string `json:"name"`
	Hash int    `json:"hash,omitempty"` // buckets; 0 for a vocabulary
	// Tokens[i] has id i+2, each once; when fitted by falling count, then by rising text, and a Union appends others
	Tokens []string `json:"tokens,omitempty"`
	Counts []int64  `json:"counts"` // by id: how often it was met when fitted, by all maps of a Union together
	// of a table of what is known of the tokens of another one, such as the categories of items: by id of that one, the id here
	Of []int32 `json:"of,omitempty"`

	once  sync.Once
	index *dictionary.Dictionary // of Tokens
}

// Size returns the number of ids, the reserved ones included.
func (v *Vocabulary) Size() int { return FirstID + max(v.Hash, len(v.Tokens)) }

// ID returns the id of a token.
func (v *Vocabulary) ID(token []byte) int32 {
	if v.Hash > 0 {
		return FirstID + int32(xxhash.Sum64(token)%uint64(v.Hash))
	}
	v.once.Do(v.build)
	if i := v.index.Find(token); i >= 0 {
		return int32(FirstID + i)
	}
	return OOVID
}

func (v *Vocabulary) build() { v.index = dictionary.New(v.Tokens) }

func (v *Vocabulary) check() error {
	if v.Hash < 0 || v.Hash > maxVocab || v.Hash > 0 && len(v.Tokens) > 0 {
		return fmt.Errorf("%d buckets, %d tokens", v.Hash, len(v.Tokens))
	}
	if len(v.Counts) != v.Size() {
		return fmt.Errorf("%d counts of %d ids", len(v.Counts), v.Size())
	}
	for id, of := range v.Of {
		if of < 0 || int(of) >= v.Size() || (id == PadID) != (of == PadID) {
			return fmt.Errorf("id %d of what it is of has %d of %d ids", id, of, v.Size())
		}
	}
	v.once.Do(v.build)
	if v.index.Distinct() != len(v.Tokens) {
		return fmt.Errorf("a token is there twice")
	}
	return nil
}
