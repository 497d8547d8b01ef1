package actions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"unicode"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/history"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/scan"
)

// Options say what files have.
type Options struct {
	Path      []string // files and globs
	Layout    string   // one of Layouts
	User      string   // columns of the layout log; Time and Rating may be empty
	Item      string
	Time      string
	Rating    string
	Delimiter string   // of the layout log
	Names     []string // of its columns, for files without a header

	MinRating        *float64 // actions of a lower rating are left out; nil: ratings are not read
	MinUser, MinItem int      // the k-core
	Bad              scan.BadRows
	MaxLine          int // bytes of the longest line
}

// reader reads files of a layout.
type reader struct {
	o     Options
	l     layout
	b     *history.Builder
	bad   scan.BadRows
	kind  string // how times are written
	lines int64
	cells [][]byte // of a line
}

// Read returns the log of the files, and what they were.
func (o Options) Read(ctx context.Context, log *slog.Logger) (*history.Log, []scan.FileSum, error) {
	files, err := scan.Expand(o.Path)
	if err != nil {
		return nil, nil, err
	}
	r := &reader{o: o, l: o.layout(), bad: o.Bad}
	if o.MinRating == nil {
		r.l.rating = ""
	}
	r.b = &history.Builder{Timed: r.l.time != ""}
	var sums []scan.FileSum
	for _, path := range files {
		sum, err := r.file(ctx, path)
		if err != nil {
			return nil, nil, err
		}
		sums = append(sums, sum)
	}
	scan.Report(log, r.bad.Count, r.lines, r.bad.First)
	before := r.b.Len()
	r.b.Core(o.MinUser, o.MinItem)
	switch {
	case before == 0 && o.MinRating != nil:
		return nil, nil, fmt.Errorf("data: %s: no action has a rating of %g or more (min_rating)", files[0], *o.MinRating)
	case before == 0:
		return nil, nil, fmt.Errorf("data: %s: has no actions", files[0])
	case r.b.Len() == 0:
		return nil, nil, fmt.Errorf("data: %s: min_user %d and min_item %d leave none of %d actions; lower them", files[0], o.MinUser, o.MinItem, before)
	}
	l := r.b.Log()
	if r.kind == scan.NumberTime {
		if fault := scan.OneUnit(slices.Values(l.Time)); fault != "" {
			return nil, nil, fmt.Errorf("data: %s: column %s: %s; write all times in one format, since actions are ordered by them", files[0], r.l.time, fault)
		}
	}
	return l, sums, nil
}

// file reads a file.
func (r *reader) file(ctx context.Context, path string) (scan.FileSum, error) {
	f := &lines{path: path, max: r.o.MaxLine, skip: r.o.Bad.Skip}
	var c *columns
	err := f.each(ctx, func(text []byte, bad *data.RowError) error {
		if r.l.delimiter != "" && c == nil {
			if bad != nil {
				return bad
			}
			var err error
			if c, err = r.header(f, text); err != nil || len(r.l.names) == 0 {
				return err
			}
		}
		r.lines++
		if bad == nil {
			bad = r.line(f, c, text)
		}
		if bad != nil {
			return r.bad.Add(1, []*data.RowError{bad})
		}
		return nil
	})
	if err == nil && r.l.delimiter != "" && c == nil {
		err = fmt.Errorf("data: %s: the file is empty", path)
	}
	return f.sum, err
}

// columns are the places of what an action needs among the cells of a line; -1 for none.
type columns struct {
	names []string
	at    [4]int // user, item, time, rating
}

// header returns the columns of a file by its first line.
func (r *reader) header(f *lines, text []byte) (*columns, error) {
	names := r.l.names
	if len(names) == 0 {
		names = headerNames(text, r.l.delimiter, r.l.typed)
	}
	c := &columns{names: names}
	for i, want := range [...]struct{ key, name string }{{"user", r.l.user}, {"item", r.l.item}, {"time", r.l.time}, {"rating", r.l.rating}} {
		at, err := columnAt(f, names, r.l.delimiter, want.key, want.name)
		if err != nil {
			return nil, err
		}
		c.at[i] = at
	}
	return c, nil
}

// headerNames returns the names of a header's columns.
func headerNames(text []byte, delimiter string, typed bool) (names []string) {
	for n := range strings.SplitSeq(string(text), delimiter) {
		n = strings.Trim(strings.TrimSpace(n), `"`)
		if typed {
			n, _, _ = strings.Cut(n, ":")
		}
		names = append(names, n)
	}
	return names
}

// shown lists names of columns.
func shown(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		if strings.ContainsFunc(n, unicode.IsControl) {
			out[i] = scan.Show([]byte(n))
		}
	}
	return namelist.Show(out)
}

// columnAt returns the place of a column among the names, -1 if its name is empty. key is what the options call it.
func columnAt(f *lines, names []string, delimiter, key, name string) (int, error) {
	at := slices.Index(names, name)
	switch {
	case name == "":
		return -1, nil
	case at < 0:
		return -1, fmt.Errorf("data: %s:%d: no column %s (%s); there are %s%s", f.path, f.at, name, key, shown(names),
			scan.Delimited{Delim: delimiter[0]}.HeaderAdvice(names))
	case slices.Contains(names[at+1:], name):
		return -1, fmt.Errorf("data: %s:%d: column %s (%s) is there twice; there are %s", f.path, f.at, name, key, shown(names))
	}
	return at, nil
}

// line adds the actions of a line, or returns what is wrong with it.
func (r *reader) line(f *lines, c *columns, text []byte) *data.RowError {
	var cells [4][]byte // user, item, time, rating
	switch {
	case r.l.line != nil:
		var err error
		bad := r.l.line(text, func(user, item []byte) { err = errors.Join(err, r.add(history.Action{User: user, Item: item})) })
		if err != nil {
			bad = err.Error()
		}
		if bad != "" {
			return f.bad("", "%s", bad)
		}
		return nil
	case r.l.json:
		column, bad := r.object(text, &cells)
		if bad != "" {
			return f.bad(column, "%s", bad)
		}
	default:
		r.cells = split(r.cells[:0], text, r.l.delimiter)
		if len(r.cells) != len(c.names) {
			return f.bad("", "%d cells, want %d: %s", len(r.cells), len(c.names), shown(c.names))
		}
		for i, at := range c.at {
			if at >= 0 {
				cells[i] = bytes.Trim(bytes.TrimSpace(r.cells[at]), `"`)
			}
		}
	}
	return r.action(f, cells)
}

// split appends the cells between delimiters to dst.
func split(dst [][]byte, text []byte, delimiter string) [][]byte {
	for {
		i := bytes.IndexByte(text, delimiter[0])
		if len(delimiter) > 1 {
			i = bytes.Index(text, []byte(delimiter))
		}
		if i < 0 {
			return append(dst, text)
		}
		dst = append(dst, text[:i])
		text = text[i+len(delimiter):]
	}
}

// object fills the cells from a JSON object, or returns what is wrong with it.
func (r *reader) object(text []byte, cells *[4][]byte) (column, bad string) {
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if dec.Decode(&object) != nil {
		return "", "is no JSON object; want one a line"
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", "has more behind its JSON object; want one a line"
	}
	for i, name := range [...]string{r.l.user, r.l.item, r.l.time, r.l.rating} {
		if name == "" {
			continue
		}
		switch v := object[name].(type) {
		case nil:
			return name, "is missing"
		case string:
			cells[i] = []byte(v)
		case json.Number:
			cells[i] = []byte(v)
		default:
			return name, "is neither a string nor a number"
		}
	}
	return "", ""
}

// action adds an action, or returns what is wrong with its cells.
func (r *reader) action(f *lines, cells [4][]byte) *data.RowError {
	a := history.Action{User: cells[0], Item: cells[1]}
	for i, name := range [...]string{r.l.user, r.l.item} {
		if len(cells[i]) == 0 {
			return f.bad(name, "is blank; an action needs a user and an item")
		}
	}
	if r.l.rating != "" {
		v, ok := scan.ParseNumber(cells[3])
		if !ok || v != v {
			return f.bad(r.l.rating, "%s is not a number; min_rating needs one", scan.Show(cells[3]))
		}
		if v < *r.o.MinRating {
			return nil
		}
	}
	if r.l.time != "" {
		v, kind, ok := scan.ParseTime(cells[2])
		if !ok {
			return f.bad(r.l.time, "%s is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339", scan.Show(cells[2]))
		}
		if r.kind == "" {
			r.kind = kind
		}
		if kind != r.kind {
			return f.bad(r.l.time, "%s is a %s, the times before are each a %s: they have no order", scan.Show(cells[2]), kind, r.kind)
		}
		a.Time = v
	}
	if err := r.add(a); err != nil {
		return f.bad("", "%s", err)
	}
	return nil
}

// add adds an action whose user and item are no more than a line of an output can hold.
func (r *reader) add(a history.Action) error {
	for _, id := range [...][]byte{a.User, a.Item} {
		for _, c := range id {
			if c < ' ' || c == 0x7f {
				return fmt.Errorf("%s has a control character, which an id cannot have", scan.Show(id))
			}
		}
	}
	return r.b.Add(a)
}
