package dist

import (
	"cmp"
	"fmt"
	"strings"
)

// Fact is something that all ranks must have alike.
type Fact struct{ Name, Value, Help string }

// Agree compares facts of all ranks, and whether they have an error. The result is the same kind of error on all of them: if they have
// all the same error, a [Common] one of it; if their facts differ, a Common one that names the rank, the fact and both values. A rank whose
// error others have not returns it as it is, and these return nothing of their own to print but that the rank ended.
func Agree(g Group, err error, facts []Fact) error {
	if g.Size() == 1 {
		return err
	}
	const field, record = "\x1f", "\x1e"
	lines := []string{""}
	if err != nil {
		lines[0] = err.Error()
	}
	for _, f := range facts {
		lines = append(lines, f.Name+field+f.Value+field+f.Help)
	}
	all, lost := Gather(g, strings.Join(lines, record))
	if lost != nil {
		return cmp.Or(err, lost)
	}
	var texts [][]string
	failed, differ := -1, false
	for r, t := range all {
		texts = append(texts, strings.Split(t, record))
		if texts[r][0] != "" && failed < 0 {
			failed = r
		}
		differ = differ || texts[r][0] != texts[0][0]
	}
	switch {
	case failed >= 0 && !differ:
		return &Common{err}
	case err != nil:
		return err
	case failed >= 0:
		return fmt.Errorf("%w: rank %d of %d ended", ErrLost, failed, g.Size())
	}
	for r, theirs := range texts {
		for i := 1; i < max(len(theirs), len(texts[0])); i++ {
			if i >= len(theirs) || i >= len(texts[0]) || theirs[i] != texts[0][i] {
				return &Common{differs(r, theirs, texts[0], i, g.Size())}
			}
		}
	}
	return nil
}

// differs describes the i-th fact of rank r, which differs from that of rank 0.
func differs(r int, theirs, first []string, i, size int) error {
	const field = "\x1f"
	value := func(list []string) (name, value, help string) {
		if i >= len(list) {
			return "", "none", ""
		}
		parts := strings.SplitN(list[i], field, 3)
		return parts[0], parts[1], parts[2]
	}
	name, have, help := value(theirs)
	n0, want, h0 := value(first)
	return fmt.Errorf("the ranks of the training are not alike: %s of rank %d of %d is %s, that of rank 0 is %s: %s",
		cmp.Or(n0, name), r, size, have, want, cmp.Or(h0, help))
}
