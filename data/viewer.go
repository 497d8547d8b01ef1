package data

import (
	"context"
	"fmt"
	"math"
)

// Viewer is a Skipper that can show some of its rows as another source. Shard, Head, HoldOut and Reorder take any Viewer, so a
// source of another package can be dealt like those of this module.
type Viewer interface {
	Skipper
	// View returns some of the rows, or all in another order. A view shares the files and the memory of its source.
	View(o ViewOptions) Viewer
	// Shuffles reports whether epochs have orders of their own.
	Shuffles() bool
	// EachID calls do with the id of a categorical feature of one row after the other, in the order of the file. The feature is
	// one of Schema's.
	EachID(ctx context.Context, f *Feature, do func(id int32)) error
}

// Grouped is a Viewer whose rows belong to groups that need be no feature, such as the users of a log.
type Grouped interface {
	Viewer
	// Groups returns what a group is, such as "user", and the number of groups.
	Groups() (name string, n int)
	// GroupToken returns the token of a group.
	GroupToken(group int32) string
	// EachGroup calls do with the number of the group of one row after the other, in the order of the file.
	EachGroup(ctx context.Context, do func(group int32)) error
}

// ViewOptions say which rows a view shows, and in which order.
type ViewOptions struct {
	Keep   []uint32 // places of the rows among the source's, in ascending order; nil keeps all rows
	Seed   uint64   // of the order of each epoch
	Window int      // least number of rows to shuffle together; 0 to shuffle as the source does, or not at all
}

// Places returns the places of a view's rows among those of a file. kept are the places of the source's rows in the file, or nil if
// the source has all of them. keep are the places of the view's rows among the source's, or nil if the view has all of them.
func Places(kept, keep []uint32) []uint32 {
	if kept == nil {
		return keep
	}
	if keep == nil {
		return kept
	}
	out := make([]uint32, len(keep))
	for i, k := range keep {
		out[i] = kept[k]
	}
	return out
}

// viewable returns src as a Viewer, or says what it cannot do.
func viewable(src Source, what string) (Viewer, error) {
	v, ok := src.(Viewer)
	switch {
	case src == nil:
		return nil, fmt.Errorf("data: %s: there are no rows: the data set has no such part", what)
	case !ok:
		return nil, fmt.Errorf("data: %s: a %T cannot be taken apart; want a data.Viewer, such as rows that Dataset.Open or FromRows returned",
			what, src)
	case v.Rows() > math.MaxUint32:
		return nil, fmt.Errorf("data: %s: %d rows, at most %d can be taken apart", what, v.Rows(), uint32(math.MaxUint32))
	}
	return v, nil
}
