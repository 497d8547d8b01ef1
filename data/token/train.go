package token

import (
	"cmp"
	"container/heap"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// TrainOptions say which vocabulary Train makes.
type TrainOptions struct {
	Size     int  // the most tokens that the vocabulary may have, with the five special ones and single characters
	MinCount int  // how often a pair must occur to be merged; 0 stands for 2
	Alphabet int  // characters kept, the most frequent ones; words with others are left out; 0 stands for 1000
	Cased    bool // upper case and accents are kept
}

// Train makes a WordPiece tokenizer from the lines of a corpus, in the layout of BERT: Save writes its vocab.txt.
//
// The vocabulary is the special tokens, the characters by code point, at the start of a word and then inside one (##), and
// then merges: the most frequent pair of neighbours becomes a token, of equally frequent ones that with the smaller ids,
// until there are Size tokens or no pair is there MinCount times. So does the trainer of Hugging Face's tokenizers
// (Sennrich et al. 2016, algorithm 1, with the marks of Schuster & Nakajima 2012), of which the ties are left to chance.
//
// The same lines in any order give the same vocabulary. An error of lines ends the training.
func Train(ctx context.Context, lines iter.Seq2[string, error], o TrainOptions) (Tokenizer, error) {
	counts, err := countWords(ctx, lines, o.Cased)
	if err != nil {
		return nil, err
	}
	if len(counts) == 0 {
		return nil, fmt.Errorf("token: train: no words in the corpus: want lines of text")
	}
	t := trainer{index: map[string]int32{}, pairs: map[[2]int32]int64{}, where: map[[2]int32][]int32{}}
	for _, name := range []string{bertNames[2], bertNames[3], bertNames[0], bertNames[1], bertNames[4]} { // [PAD] is 0
		t.id(name)
	}
	t.alphabet(counts, cmp.Or(o.Alphabet, 1000))
	if len(t.tokens) > o.Size {
		return nil, fmt.Errorf("token: train: a vocabulary of %d has no room for %d special tokens and single characters: "+
			"want that many or more, or a smaller alphabet", o.Size, len(t.tokens))
	}
	if err := t.merge(ctx, o.Size, int64(cmp.Or(o.MinCount, 2))); err != nil {
		return nil, err
	}
	lower := !o.Cased
	settings := fmt.Sprintf("{\n  \"tokenizer_class\": \"BertTokenizer\",\n  \"do_lower_case\": %v\n}\n", lower)
	e, err := fromText(fileText, []byte(strings.Join(t.tokens, "\n")+"\n"), &beside{
		config: config{Lower: &lower}, files: []file{{fileConfig, []byte(settings)}},
	})
	if err != nil {
		return nil, fmt.Errorf("token: train: %w", err)
	}
	return e, nil
}

// countWords counts the words that Encode would look up in pieces.
func countWords(ctx context.Context, lines iter.Seq2[string, error], cased bool) (map[string]int64, error) {
	n := normalizer{clean: true, chinese: true, strip: !cased, lower: !cased}
	counts, buf, at := map[string]int64{}, []byte(nil), 0
	for line, err := range lines {
		at++
		if err != nil {
			return nil, fmt.Errorf("token: train: line %d: %w", at, err)
		}
		if at%1024 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		buf = n.append(buf[:0], string([]rune(line)))
		words(buf, func(word []byte) bool {
			if utf8.RuneCount(word) <= 100 {
				counts[string(word)]++
			}
			return true
		})
	}
	return counts, nil
}

// trainer holds the words of a corpus as tokens.
type trainer struct {
	tokens []string
	index  map[string]int32
	words  []trainWord
	pairs  map[[2]int32]int64   // how often a pair stands in the corpus
	where  map[[2]int32][]int32 // words that have the pair, or had it; some of them twice
	queue  pairQueue
}

type trainWord struct {
	ids   []int32
	count int64
}

// id returns the id of a token, which it adds if it is new.
func (t *trainer) id(token string) int32 {
	id, ok := t.index[token]
	if !ok {
		id = int32(len(t.tokens))
		t.index[token] = id
		t.tokens = append(t.tokens, token)
	}
	return id
}

// alphabet makes tokens of single characters and words of the corpus from them.
func (t *trainer) alphabet(counts map[string]int64, most int) {
	chars := map[rune]int64{}
	for word, n := range counts {
		for _, r := range word {
			chars[r] += n
		}
	}
	kept := slices.SortedFunc(maps.Keys(chars), func(a, b rune) int {
		return cmp.Or(cmp.Compare(chars[b], chars[a]), cmp.Compare(a, b))
	})
	kept = kept[:min(len(kept), max(most, 0))]
	slices.Sort(kept)
	for _, r := range kept {
		t.id(string(r))
	}
	var texts []string
	inside := map[rune]bool{}
	for word := range counts {
		if strings.ContainsFunc(word, func(r rune) bool { _, ok := slices.BinarySearch(kept, r); return !ok }) {
			continue
		}
		texts = append(texts, word)
		for i, r := range word {
			inside[r] = inside[r] || i > 0
		}
	}
	for _, r := range kept {
		if inside[r] {
			t.id("##" + string(r))
		}
	}
	slices.Sort(texts)
	for _, text := range texts {
		w := trainWord{count: counts[text]}
		for i, r := range text {
			piece := string(r)
			if i > 0 {
				piece = "##" + piece
			}
			w.ids = append(w.ids, t.index[piece])
		}
		t.words = append(t.words, w)
		t.count(int32(len(t.words)-1), 1, None)
	}
	for pair, n := range t.pairs {
		heap.Push(&t.queue, pairCount{pair, n})
	}
}

// count adds the pairs of a word to the counts, or takes them away with sign -1. The word is listed for its pairs with the
// token fresh, for all pairs where that is None.
func (t *trainer) count(word int32, sign int64, fresh int32) {
	w := t.words[word]
	for i := range len(w.ids) - 1 {
		pair := [2]int32{w.ids[i], w.ids[i+1]}
		t.pairs[pair] += sign * w.count
		if sign < 0 || fresh != None && pair[0] != fresh && pair[1] != fresh {
			continue
		}
		if at := t.where[pair]; len(at) == 0 || at[len(at)-1] != word {
			t.where[pair] = append(at, word)
		}
	}
}

// merge adds tokens until there are so many.
func (t *trainer) merge(ctx context.Context, size int, minCount int64) error {
	for len(t.tokens) < size && len(t.queue) > 0 {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		top := heap.Pop(&t.queue).(pairCount)
		if n := t.pairs[top.pair]; n != top.count {
			continue // counted anew since, and queued with that count
		}
		if top.count < max(minCount, 1) {
			return nil
		}
		a, b := top.pair[0], top.pair[1]
		both := t.id(t.tokens[a] + strings.TrimPrefix(t.tokens[b], "##"))
		changed := map[[2]int32]bool{}
		at := t.where[top.pair]
		slices.Sort(at)
		for _, word := range slices.Compact(at) {
			w := &t.words[word]
			old := w.ids
			merged := mergePair(old, top.pair, both)
			if len(merged) == len(old) {
				continue
			}
			t.count(word, -1, None)
			w.ids = merged
			t.count(word, 1, both)
			for _, ids := range [][]int32{old, merged} {
				for i := range len(ids) - 1 {
					changed[[2]int32{ids[i], ids[i+1]}] = true
				}
			}
		}
		delete(t.where, top.pair)
		for pair := range changed {
			if n := t.pairs[pair]; n > 0 {
				heap.Push(&t.queue, pairCount{pair, n})
			} else {
				delete(t.pairs, pair)
			}
		}
	}
	return nil
}

// mergePair returns a copy of ids with each pair, from the left, become one id.
func mergePair(ids []int32, pair [2]int32, both int32) []int32 {
	out := make([]int32, 0, len(ids))
	for i := 0; i < len(ids); i++ {
		if i+1 < len(ids) && ids[i] == pair[0] && ids[i+1] == pair[1] {
			out = append(out, both)
			i++
			continue
		}
		out = append(out, ids[i])
	}
	return out
}

type pairCount struct {
	pair  [2]int32
	count int64
}

// pairQueue gives the most frequent pair first, of equally frequent ones that with the smaller ids.
type pairQueue []pairCount

func (q pairQueue) Len() int { return len(q) }
func (q pairQueue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	return slices.Compare(q[i].pair[:], q[j].pair[:]) < 0
}
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *pairQueue) Push(x any)   { *q = append(*q, x.(pairCount)) }
func (q *pairQueue) Pop() any {
	old := *q
	c := old[len(old)-1]
	*q = old[:len(old)-1]
	return c
}
