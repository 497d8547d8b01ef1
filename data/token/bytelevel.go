package token

import (
	"container/heap"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sugarme/tokenizer/pretokenizer"
)

// bytePieces is byte-level BPE (Radford et al. 2019, section 2.2; merges as in Sennrich et al. 2016): text is cut into words
// with the space before them, a word into bytes, and then the pair of neighbours with the lowest rank is merged, of equal
// ones the leftmost, until no pair has a rank.
type bytePieces struct {
	bytes       [256]int32         // ids of single bytes, None where the vocabulary has none
	merges      map[[2]int32]merge // by the ids of the pair
	whole       map[string]int32   // words taken whole if they are in the vocabulary; nil if merges alone decide
	unk         int32              // stands for a byte without an id, None: such a byte is dropped
	prefixSpace bool               // a text that does not start with a space gets one
	cache       cache
}

type merge struct{ rank, id int32 }

// byteTexts are the printable characters that stand for the bytes in vocabularies, as the library lists them.
var byteTexts = pretokenizer.GenerateBytesChar()

func (p *bytePieces) appendIDs(dst []int32, prepared []byte) ([]int32, error) {
	text := string(prepared)
	if p.prefixSpace && text[0] != ' ' {
		text = " " + text
	}
	for len(text) > 0 {
		n := wordLen(text)
		word := []byte(text[:n])
		text = text[n:]
		ids, ok := p.cache.get(word)
		if !ok {
			ids = p.cut(word)
			p.cache.put(word, ids)
		}
		dst = append(dst, ids...)
	}
	return dst, nil
}

// wordLen is the length of the match of this expression at the start of text, of which no byte is left out:
//
//	's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func wordLen(text string) int {
	if text[0] == '\'' && len(text) > 1 {
		switch text[1] {
		case 's', 't', 'm', 'd':
			return 2
		case 'r', 'v', 'l':
			if len(text) > 2 && (text[1:3] == "re" || text[1:3] == "ve" || text[1:3] == "ll") {
				return 3
			}
		}
	}
	r, n := utf8.DecodeRuneInString(text)
	class := classOf(r)
	if r == ' ' && len(text) > n {
		next, width := utf8.DecodeRuneInString(text[n:])
		if c := classOf(next); c != spaces {
			class = c
			n += width
		}
	}
	last := n
	for n < len(text) {
		next, width := utf8.DecodeRuneInString(text[n:])
		if classOf(next) != class {
			if class == spaces && n > last {
				return n - last // the last white space stays with what follows
			}
			return n
		}
		if class == spaces {
			last = width
		}
		n += width
	}
	return n
}

type class byte

const (
	others class = iota
	letters
	numbers
	spaces
)

func classOf(r rune) class {
	if r < utf8.RuneSelf {
		switch {
		case 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z':
			return letters
		case r == ' ' || '\t' <= r && r <= '\r':
			return spaces
		case '0' <= r && r <= '9':
			return numbers
		}
		return others
	}
	switch {
	case unicode.Is(letterTable, r):
		return letters
	case unicode.Is(spaceTable, r):
		return spaces
	case unicode.Is(numberTable, r):
		return numbers
	}
	return others
}

// cut returns the ids of a word.
func (p *bytePieces) cut(word []byte) []int32 {
	if p.whole != nil {
		var text strings.Builder
		for _, b := range word {
			text.WriteString(byteTexts[b])
		}
		if id, ok := p.whole[text.String()]; ok {
			return []int32{id}
		}
	}
	ids := make([]int32, 0, len(word))
	for _, b := range word {
		id := p.bytes[b]
		if id == None {
			id = p.unk
		}
		if id != None {
			ids = append(ids, id)
		}
	}
	if len(ids) > 48 { // about where the queue gets faster
		return p.mergeQueue(ids)
	}
	return p.mergeScan(ids)
}

// mergeScan merges in place, by looking at all pairs each time.
func (p *bytePieces) mergeScan(ids []int32) []int32 {
	for {
		best, at := merge{}, -1
		for i := range len(ids) - 1 {
			if m, ok := p.merges[[2]int32{ids[i], ids[i+1]}]; ok && (at < 0 || m.rank < best.rank) {
				best, at = m, i
			}
		}
		if at < 0 {
			return ids
		}
		ids[at] = best.id
		ids = append(ids[:at+1], ids[at+2:]...)
	}
}

// mergeQueue does what mergeScan does, in a time of n log n.
func (p *bytePieces) mergeQueue(ids []int32) []int32 {
	var q queue
	prev, next := make([]int, len(ids)), make([]int, len(ids))
	look := func(i int) {
		if i < 0 || next[i] == len(ids) {
			return
		}
		pair := [2]int32{ids[i], ids[next[i]]}
		if m, ok := p.merges[pair]; ok {
			heap.Push(&q, candidate{m, pair, i})
		}
	}
	for i := range ids {
		prev[i], next[i] = i-1, i+1
	}
	for i := range ids {
		look(i)
	}
	for len(q) > 0 {
		c := heap.Pop(&q).(candidate)
		j := next[c.at]
		if ids[c.at] != c.pair[0] || j == len(ids) || ids[j] != c.pair[1] {
			continue // a neighbour was merged since
		}
		ids[c.at], ids[j] = c.id, None
		next[c.at] = next[j]
		if next[j] < len(ids) {
			prev[next[j]] = c.at
		}
		look(c.at)
		look(prev[c.at])
	}
	out := ids[:0]
	for _, id := range ids {
		if id != None {
			out = append(out, id)
		}
	}
	return out
}

type candidate struct {
	merge
	pair [2]int32
	at   int
}

type queue []candidate

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].rank < q[j].rank || q[i].rank == q[j].rank && q[i].at < q[j].at
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(candidate)) }
func (q *queue) Pop() any {
	old := *q
	c := old[len(old)-1]
	*q = old[:len(old)-1]
	return c
}
