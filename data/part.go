package data

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// Part is one of the parts of a data set.
type Part uint8

// The parts of a data set. Lists of three are in this order.
const (
	TrainPart Part = iota
	ValidPart
	TestPart
)

// String returns train, valid or test.
func (p Part) String() string { return [...]string{"train", "valid", "test"}[p] }

// PathKey returns the option that names the files of a part.
func (p Part) PathKey() string { return [...]string{"path", "valid_path", "test_path"}[p] }

// SourceFile is a file that rows were read from, as it was then.
type SourceFile struct {
	Key  string `json:"key"` // the option that names it, such as path or valid_path
	Path string `json:"path"`
	Size int64  `json:"size"` // bytes on disk
	Hash string `json:"hash"` // xxhash of these bytes
}

// same reports whether both have the same content for the same purpose, wherever they lie.
func (f SourceFile) same(g SourceFile) bool {
	return f.Key == g.Key && f.Size == g.Size && f.Hash == g.Hash
}

// Origin says what the parts of a data set were made from. A training can go on only with rows of the same origin.
type Origin struct {
	Map     string       `json:"feature_map"` // digest; empty without one
	Rows    [3]int64     `json:"rows"`        // of the parts; -1 for those that are unknown
	Sources []SourceFile `json:"sources"`
}

// Origin returns what the rows of s were made from.
func (s *Splits) Origin() Origin {
	o := Origin{Sources: s.Sources}
	if s.Map != nil {
		o.Map = s.Map.Digest()
	}
	for part, src := range [...]Source{s.Train, s.Valid, s.Test} {
		if src != nil {
			o.Rows[part] = src.Rows()
		}
	}
	return o
}

// Digest returns a digest of the origin, in which the places of files do not count.
func (o Origin) Digest() string {
	h := sha256.New()
	fmt.Fprintln(h, o.Map, o.Rows) // a hash has no errors
	for _, f := range o.Sources {
		fmt.Fprintln(h, f.Key, f.Size, f.Hash)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Changes returns what differs in now, a line for each difference. There are none if the rows are the same: a file that was moved or
// copied is no difference.
func (o Origin) Changes(now Origin) []string {
	lines := changedFiles(o.Sources, now.Sources)
	switch {
	case o.Map == now.Map:
	case len(lines) > 0:
		lines = append(lines, "so the feature map is another one: the ids of tokens would not be those that the model knows")
	default:
		lines = append(lines, fmt.Sprintf("the feature map is another one (digest %.12s, was %.12s), though the files are the same", now.Map, o.Map))
	}
	if len(lines) > 0 {
		return lines
	}
	for part, n := range now.Rows {
		if was := o.Rows[part]; n != was {
			lines = append(lines, fmt.Sprintf("there are %d %s rows, there were %d", n, Part(part), was))
		}
	}
	return lines
}

// changedFiles returns how files differ from those that were.
func changedFiles(was, now []SourceFile) []string {
	if slices.EqualFunc(was, now, SourceFile.same) {
		return nil
	}
	gone, fresh := without(was, now), without(now, was)
	var lines []string
	for _, f := range gone {
		at := slices.IndexFunc(fresh, func(g SourceFile) bool { return f.Key == g.Key && f.Path == g.Path })
		switch {
		case at < 0:
			lines = append(lines, fmt.Sprintf("%s of %s (%d bytes) is not there any more", f.Path, f.Key, f.Size))
			continue
		case f.Size == fresh[at].Size:
			lines = append(lines, fmt.Sprintf("%s has other content of the same size, %d bytes (hash %s, was %s)", f.Path, f.Size,
				fresh[at].Hash, f.Hash))
		default:
			lines = append(lines, fmt.Sprintf("%s has %d bytes (hash %s), had %d (hash %s)", f.Path, fresh[at].Size, fresh[at].Hash, f.Size,
				f.Hash))
		}
		fresh = slices.Delete(fresh, at, at+1)
	}
	for _, f := range fresh {
		lines = append(lines, fmt.Sprintf("%s of %s (%d bytes) was not there", f.Path, f.Key, f.Size))
	}
	if len(lines) == 0 {
		lines = append(lines, "the files are the same, but in another order")
	}
	return lines
}

// without returns the files of list that are not in others, those of the same content counted.
func without(list, others []SourceFile) (left []SourceFile) {
	others = slices.Clone(others)
	for _, f := range list {
		if i := slices.IndexFunc(others, f.same); i >= 0 {
			others = slices.Delete(others, i, i+1)
		} else {
			left = append(left, f)
		}
	}
	return left
}
