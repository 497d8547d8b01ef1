package actions

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/history"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// ItemOptions say what a file has about items.
type ItemOptions struct {
	Path      []string
	Delimiter string
	Names     []string // of the columns, for files without a header
	Latin1    bool     // the file is in ISO 8859-1, not in UTF-8
	Item      string   // column of the item
	Features  map[string]ItemFeature
	MaxLine   int // bytes of the longest line
}

// ItemFeature is what is known of an item by one name.
type ItemFeature struct {
	Columns   []string // one column of values; or several, of which those that are 1 are the item's values
	Separator string   // between the values of one column; empty: a cell is one value
	All       bool     // what is known of an item is the set of its values; otherwise the first one
}

// Read returns what is known of the items of a log, by the features' names in their order, and the files. Several lines of an item add up.
func (o ItemOptions) Read(ctx context.Context, l *history.Log, log *slog.Logger) ([]history.Side, []scan.FileSum, error) {
	files, err := scan.Expand(o.Path)
	if err != nil {
		return nil, nil, err
	}
	r := &itemReader{o: o, names: slices.Sorted(maps.Keys(o.Features)), number: make(map[string]int, len(l.Names))}
	if r.o.Delimiter == "tab" {
		r.o.Delimiter = "\t"
	}
	for i, name := range l.Names {
		r.number[name] = i
	}
	r.values = make([][][]string, len(r.names))
	for i := range r.values {
		r.values[i] = make([][]string, len(l.Names))
	}
	var sums []scan.FileSum
	for _, path := range files {
		sum, err := r.file(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		sums = append(sums, sum)
	}
	var sides []history.Side
	for k, name := range r.names {
		s := history.Side{Name: name, Value: make([]string, len(l.Names))}
		var without []string
		for i, values := range r.values[k] {
			switch {
			case len(values) == 0:
				without = append(without, l.Names[i])
			case o.Features[name].All:
				s.Value[i] = strings.Join(values, "|")
			default:
				s.Value[i] = values[0]
			}
		}
		if len(without) == len(l.Names) {
			return nil, nil, fmt.Errorf("data: %s: has no %s of any item of the log; are its items written in the same way?", files[0], name)
		}
		if len(without) > 0 {
			log.Warn("data: items of which nothing is known", "feature", name, "items", len(without), "of", len(l.Names), "such as", namelist.Show(without[:min(5, len(without))]))
		}
		sides = append(sides, s)
	}
	return sides, sums, nil
}

// itemReader reads files about items.
type itemReader struct {
	o      ItemOptions
	names  []string       // of the features
	number map[string]int // of items
	values [][][]string   // by feature and item
	cells  [][]byte
}

// file reads a file.
func (r *itemReader) file(ctx context.Context, path string) (scan.FileSum, error) {
	f := &lines{path: path, max: r.o.MaxLine, latin1: r.o.Latin1}
	var names []string
	item, at := -1, make([][]int, len(r.names)) // places of columns
	err := f.each(ctx, func(text []byte, bad *data.RowError) error {
		if bad != nil {
			return bad
		}
		if names == nil {
			if names = r.o.Names; len(names) == 0 {
				names = headerNames(text, r.o.Delimiter, false)
			}
			var err error
			if item, err = columnAt(f, names, r.o.Delimiter, "items.item", r.o.Item); err != nil {
				return err
			}
			for k, name := range r.names {
				for _, c := range r.o.Features[name].Columns {
					i, err := columnAt(f, names, r.o.Delimiter, "items.columns."+name, c)
					if err != nil {
						return err
					}
					at[k] = append(at[k], i)
				}
			}
			if len(r.o.Names) == 0 {
				return nil
			}
		}
		r.cells = split(r.cells[:0], text, r.o.Delimiter)
		if len(r.cells) != len(names) {
			return f.bad("", "%d cells, want %d: %s", len(r.cells), len(names), shown(names))
		}
		for i, c := range r.cells {
			r.cells[i] = bytes.Trim(bytes.TrimSpace(c), `"`)
		}
		n, ok := r.number[string(r.cells[item])]
		if !ok {
			return nil
		}
		for k, name := range r.names {
			if bad := r.add(f, &r.values[k][n], r.o.Features[name], at[k]); bad != nil {
				return bad
			}
		}
		return nil
	})
	if err == nil && names == nil {
		err = fmt.Errorf("data: %s: the file is empty", path)
	}
	return f.sum, err
}

// add adds an item's values of a feature from the cells of a line, each once.
func (r *itemReader) add(f *lines, to *[]string, feature ItemFeature, at []int) *data.RowError {
	one := func(v []byte) {
		if len(*to) > 0 && !feature.All || len(*to) > maxValues {
			return
		}
		if v = bytes.TrimSpace(v); len(v) > 0 && !slices.Contains(*to, string(v)) {
			*to = append(*to, string(v))
		}
	}
	switch {
	case len(at) > 1:
		for i, c := range at {
			switch v := string(r.cells[c]); v {
			case "0":
			case "1":
				one([]byte(feature.Columns[i]))
			default:
				return f.bad(feature.Columns[i], "%s is neither 0 nor 1, as the cells of a feature of several columns are", scan.Show(r.cells[c]))
			}
		}
	case feature.Separator != "":
		for v := range bytes.SplitSeq(r.cells[at[0]], []byte(feature.Separator)) {
			one(v)
		}
	default:
		one(r.cells[at[0]])
	}
	if len(*to) > maxValues {
		return f.bad(feature.Columns[0], "an item has more than %d values", maxValues)
	}
	return nil
}

// maxValues bounds the values of an item.
const maxValues = 1000
