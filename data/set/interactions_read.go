package set

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/history"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
)

// layout is how a file has the actions. Another one is an entry of layouts.
type layout struct {
	// delimited: cells between delimiters. names are the columns if the file has no header.
	delimiter                string
	names                    []string
	user, item, time, rating string
	typed                    bool // names in the header have their type behind a colon

	line func(text []byte, add func(user, item []byte)) (bad string) // or of a line: without times
	json bool                                                        // or a line is a JSON object
}

// layouts by their names. The sources of the names are in docs/data.md.
var layouts = map[string]layout{
	"log":            {},
	"movielens_100k": {delimiter: "\t", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"movielens_1m":   {delimiter: "::", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"movielens":      {delimiter: ",", user: "userId", item: "movieId", time: "timestamp", rating: "rating"},
	"amazon":         {delimiter: ",", names: []string{"user", "item", "rating", "time"}, user: "user", item: "item", time: "time", rating: "rating"},
	"amazon_reviews": {json: true, user: "reviewerID", item: "asin", time: "unixReviewTime", rating: "overall"},
	"recbole":        {delimiter: "\t", typed: true, user: "user_id", item: "item_id", time: "timestamp", rating: "rating"},
	"sequences":      {line: sequenceLine},
	"pairs":          {line: pairLine},
}

func layoutNames() []string { return slices.Sorted(maps.Keys(layouts)) }

// of returns the layout of the options.
func (d Interactions) layout() layout {
	l := layouts[d.Layout]
	if d.Layout == "log" {
		l = layout{delimiter: d.Delimiter, names: d.Names, user: d.User, item: d.Item, time: d.Time, rating: d.Rating}
		if l.delimiter == "tab" {
			l.delimiter = "\t"
		}
	}
	if d.MinRating == nil {
		l.rating = ""
	}
	return l
}

// timed reports whether actions have times.
func (l layout) timed(d Interactions) bool { return d.layout().time != "" }

// sequenceLine reads "user item item ...".
func sequenceLine(text []byte, add func(user, item []byte)) string {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return "a user without items; want user item item ..."
	}
	for _, f := range fields[1:] {
		add(fields[0], f)
	}
	return ""
}

// pairLine reads "user item".
func pairLine(text []byte, add func(user, item []byte)) string {
	fields := bytes.Fields(text)
	if len(fields) != 2 {
		return fmt.Sprintf("%d words, want two: user item", len(fields))
	}
	add(fields[0], fields[1])
	return ""
}

// logReader reads files of a layout.
type logReader struct {
	d     Interactions
	l     layout
	b     *history.Builder
	bad   scan.BadRows
	kind  string // how times are written
	lines int64
	sums  []scan.FileSum // of the files
}

// read returns the log of the files.
func (d Interactions) read(ctx context.Context, o *data.OpenOptions) (*history.Log, []scan.FileSum, error) {
	files, err := scan.Expand(d.Path)
	if err != nil {
		return nil, nil, err
	}
	l := d.layout()
	r := &logReader{d: d, l: l, b: &history.Builder{Timed: l.time != ""}, bad: scan.BadRows{Skip: d.BadRows == data.SkipBadRows, Limit: d.MaxBadRows}}
	for _, f := range files {
		if err := r.file(ctx, f); err != nil {
			return nil, nil, err
		}
	}
	scan.Report(o.Log, r.bad.Count, r.lines, r.bad.First)
	before := r.b.Len()
	r.b.Core(d.MinUser, d.MinItem)
	switch {
	case before == 0 && d.MinRating != nil:
		return nil, nil, fmt.Errorf("data: %s: no action has a rating of %g or more (min_rating)", files[0], *d.MinRating)
	case before == 0:
		return nil, nil, fmt.Errorf("data: %s: has no actions", files[0])
	case r.b.Len() == 0:
		return nil, nil, fmt.Errorf("data: min_user %d and min_item %d leave none of %d actions; lower them", d.MinUser, d.MinItem, before)
	}
	log := r.b.Log()
	if d.Order == orderRandom {
		log.Shuffle(d.Seed)
	}
	return log, r.sums, nil
}

// file reads a file.
func (r *logReader) file(ctx context.Context, path string) error {
	in, err := scan.OpenInput(ctx, path)
	if err != nil {
		return err
	}
	defer in.Close()
	s := bufio.NewScanner(in)
	s.Buffer(nil, max(r.d.MaxLine, 1<<10))
	var c *columns
	for line := int64(1); s.Scan(); line++ {
		if line&0xfff == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		text := bytes.TrimSuffix(s.Bytes(), []byte("\r"))
		if line == 1 {
			text = bytes.TrimPrefix(text, scan.UTF8BOM)
			if err := scan.CheckLineEnds(path, text); err != nil {
				return err
			}
			if r.l.delimiter != "" {
				if c, err = r.header(path, text); err != nil {
					return err
				}
				if len(r.l.names) == 0 {
					continue
				}
			}
		}
		if len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		r.lines++
		if bad := r.line(c, text); bad != nil {
			bad.File, bad.Line = path, line
			if err := r.bad.Add(1, []*data.RowError{bad}); err != nil {
				return err
			}
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("data: %s: a line is longer than %d bytes (max_line)", path, r.d.MaxLine)
	case err != nil:
		return scan.ReadError(path, err)
	case r.l.delimiter != "" && c == nil:
		return fmt.Errorf("data: %s: the file is empty", path)
	}
	sum := scan.FileSum{Path: scan.Absolute([]string{path})[0]}
	if sum.Size, sum.Hash, err = in.Sum(); err != nil {
		return scan.ReadError(path, err)
	}
	r.sums = append(r.sums, sum)
	return nil
}

// columns are the places of what an action needs among the cells of a line; -1 for none.
type columns struct {
	names                    []string
	user, item, time, rating int
}

// header returns the columns of a file by its first line.
func (r *logReader) header(path string, text []byte) (*columns, error) {
	names := r.l.names
	if len(names) == 0 {
		for n := range strings.SplitSeq(string(text), r.l.delimiter) {
			n = strings.Trim(strings.TrimSpace(n), `"`)
			if r.l.typed {
				n, _, _ = strings.Cut(n, ":")
			}
			names = append(names, n)
		}
	}
	c := &columns{names: names}
	for _, want := range [...]struct {
		key, name string
		at        *int
	}{{"user", r.l.user, &c.user}, {"item", r.l.item, &c.item}, {"time", r.l.time, &c.time}, {"rating", r.l.rating, &c.rating}} {
		*want.at = -1
		if want.name == "" {
			continue
		}
		if *want.at = slices.Index(names, want.name); *want.at < 0 {
			return nil, fmt.Errorf("data: %s:1: no column %s (%s); there are %s%s", path, want.name, want.key, namelist.Show(names),
				scan.Delimited{Delim: r.l.delimiter[0]}.HeaderAdvice(names))
		}
	}
	return c, nil
}

// line adds the actions of a line, or returns what is wrong with it.
func (r *logReader) line(c *columns, text []byte) *data.RowError {
	if i, f := scan.TextFault(text); f != "" && i >= 0 {
		return &data.RowError{Msg: string(f)}
	}
	var cells [4][]byte // user, item, time, rating
	switch {
	case r.l.line != nil:
		var err error
		bad := r.l.line(text, func(user, item []byte) { err = errors.Join(err, r.b.Add(history.Action{User: user, Item: item})) })
		if err != nil {
			bad = err.Error()
		}
		if bad != "" {
			return &data.RowError{Msg: bad}
		}
		return nil
	case r.l.json:
		var object map[string]any
		dec := json.NewDecoder(bytes.NewReader(text))
		dec.UseNumber()
		if dec.Decode(&object) != nil {
			return &data.RowError{Msg: "is no JSON object; want one a line"}
		}
		for i, name := range [...]string{r.l.user, r.l.item, r.l.time, r.l.rating} {
			if name == "" {
				continue
			}
			v, ok := object[name]
			if !ok || v == nil {
				return &data.RowError{Column: name, Msg: "is missing"}
			}
			cells[i] = fmt.Append(nil, v)
		}
	default:
		all := bytes.Split(text, []byte(r.l.delimiter))
		if len(all) != len(c.names) {
			return &data.RowError{Msg: fmt.Sprintf("%d cells, want %d: %s", len(all), len(c.names), namelist.Show(c.names))}
		}
		for i, at := range [...]int{c.user, c.item, c.time, c.rating} {
			if at >= 0 {
				cells[i] = bytes.Trim(bytes.TrimSpace(all[at]), `"`)
			}
		}
	}
	return r.action(cells)
}

// action adds an action, or returns what is wrong with its cells.
func (r *logReader) action(cells [4][]byte) *data.RowError {
	a := history.Action{User: cells[0], Item: cells[1]}
	for i, name := range [...]string{r.l.user, r.l.item} {
		if len(cells[i]) == 0 {
			return &data.RowError{Column: name, Msg: "is blank; an action needs a user and an item"}
		}
	}
	if r.l.rating != "" {
		v, ok := scan.ParseNumber(cells[3])
		if !ok || v != v {
			return &data.RowError{Column: r.l.rating, Msg: fmt.Sprintf("%s is not a number; min_rating needs one", scan.Show(cells[3]))}
		}
		if v < *r.d.MinRating {
			return nil
		}
	}
	if r.l.time != "" {
		v, kind, ok := parseTime(cells[2])
		if !ok {
			return &data.RowError{Column: r.l.time, Msg: fmt.Sprintf("%s is not a time; want a number, 2006-01-02, 2006-01-02 15:04:05 or RFC 3339",
				scan.Show(cells[2]))}
		}
		if r.kind == "" {
			r.kind = kind
		}
		if kind != r.kind {
			return &data.RowError{Column: r.l.time, Msg: fmt.Sprintf("%s is a %s, the times before are each a %s: they have no order",
				scan.Show(cells[2]), kind, r.kind)}
		}
		a.Time = v
	}
	if err := r.b.Add(a); err != nil {
		return &data.RowError{Msg: err.Error()}
	}
	return nil
}

// usersStream is the Source of a log whose rows are its users. The log is read when the rows are.
type usersStream struct {
	ctx  context.Context
	d    Interactions
	path string
	m    *data.FeatureMap
	o    data.StreamOptions
}

// Schema returns the features of the rows.
func (s *usersStream) Schema() *data.Schema { return s.m.Schema(s.o.Labels) }

// Rows returns -1: the users are not counted before they are read.
func (s *usersStream) Rows() int64 { return -1 }

// Batches returns the users in the order of the log, whatever the epoch.
func (s *usersStream) Batches(epoch, size int) iter.Seq2[*data.Batch, error] {
	return func(yield func(*data.Batch, error) bool) {
		d := s.d
		d.Path, d.MinUser, d.MinItem, d.BadRows = []string{s.path}, 0, 0, data.StopAtBadRow
		rows, err := d.users(s.ctx, s.m, s.o)
		if err != nil {
			yield(nil, err)
			return
		}
		for b, err := range rows.Batches(0, size) {
			out := b
			if b != nil && !s.o.Labels {
				without := *b
				without.Group, out = nil, &without
			}
			if !yield(out, err) {
				return
			}
		}
	}
}

// users returns a row for each user.
func (d Interactions) users(ctx context.Context, m *data.FeatureMap, o data.StreamOptions) (*history.Rows, error) {
	if err := d.checkMap(m); err != nil {
		return nil, err
	}
	log, _, err := d.read(ctx, &data.OpenOptions{Log: parts.Logger(o.Log)})
	if err != nil {
		return nil, err
	}
	s, err := history.NewSet(log, &history.Parts{}, m, history.Set{MaxLen: m.Features[0].MaxLen, Sequences: true})
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	return s.Users(!o.Labels), nil
}
