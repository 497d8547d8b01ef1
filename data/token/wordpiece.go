package token

import (
	"fmt"
	"sync"

	"github.com/cespare/xxhash/v2"
	"github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordpiece"
)

// wordPieces cuts each word, from its left, into the longest pieces of the vocabulary; a word that cannot be cut so, or has
// more than maxRunes characters, is one unknown token (Devlin et al. 2019; Wu et al. 2016, section 4.1).
type wordPieces struct {
	splitter splitter
	model    wordpiece.WordPiece
	cache    cache
}

func newWordPieces(v *vocabulary, s splitter, unk, prefix string, maxRunes int) *wordPieces {
	ids := make(model.Vocab, len(v.index))
	for t, id := range v.index {
		ids[t] = int(id)
	}
	b := wordpiece.NewWordPieceBuilder().Vocab(&ids).UnkToken(unk).ContinuingSubwordPrefix(prefix).MaxInputCharsPerWord(maxRunes)
	return &wordPieces{splitter: s, model: b.Build()}
}

func (w *wordPieces) appendIDs(dst []int32, text []byte) (_ []int32, err error) {
	w.splitter(text, func(word []byte) bool {
		ids, ok := w.cache.get(word)
		if !ok {
			if ids, err = w.cut(word); err != nil {
				return false
			}
			w.cache.put(word, ids)
		}
		dst = append(dst, ids...)
		return true
	})
	return dst, err
}

// cut asks the library. It only reads the vocabulary that it was built with, so many goroutines may ask at once; its one error is a
// vocabulary without the unknown token, which opening refuses.
func (w *wordPieces) cut(word []byte) ([]int32, error) {
	tokens, err := w.model.Tokenize(string(word))
	if err != nil {
		return nil, fmt.Errorf("token: word %q: %w", word, err)
	}
	ids := make([]int32, len(tokens))
	for i, t := range tokens {
		ids[i] = int32(t.Id)
	}
	return ids, nil
}

const (
	cacheShards = 32
	cacheWords  = 1 << 12 // words a shard
	cacheBytes  = 64      // longer words are not kept
)

// cache keeps the ids of the words met first. What it holds changes no result.
type cache [cacheShards]struct {
	mu    sync.RWMutex
	words map[string][]int32
}

func (c *cache) get(word []byte) ([]int32, bool) {
	if len(word) > cacheBytes {
		return nil, false
	}
	s := &c[xxhash.Sum64(word)%cacheShards]
	s.mu.RLock()
	ids, ok := s.words[string(word)]
	s.mu.RUnlock()
	return ids, ok
}

func (c *cache) put(word []byte, ids []int32) {
	if len(word) > cacheBytes {
		return
	}
	s := &c[xxhash.Sum64(word)%cacheShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil {
		s.words = map[string][]int32{}
	}
	if len(s.words) < cacheWords {
		s.words[string(word)] = ids
	}
}
