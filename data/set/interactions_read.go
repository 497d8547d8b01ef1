package set

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/actions"
	"github.com/splice-ml/splice/data/internal/history"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
)

// source is what the files have.
func (d Interactions) source() actions.Options {
	return actions.Options{
		Path: d.Path, Layout: d.Layout, User: d.User, Item: d.Item, Time: d.Time, Rating: d.Rating, Delimiter: d.Delimiter, Names: d.Names,
		MinRating: d.MinRating, MinUser: d.MinUser, MinItem: d.MinItem, MaxLine: d.MaxLine,
		Bad: scan.BadRows{Skip: d.BadRows == data.SkipBadRows, Limit: d.MaxBadRows},
	}
}

// read returns the log of the files.
func (d Interactions) read(ctx context.Context, o *data.OpenOptions) (*history.Log, []scan.FileSum, error) {
	log, sums, err := d.source().Read(ctx, o.Log)
	if err == nil && d.Order == orderRandom {
		log.Shuffle(d.Seed)
	}
	return log, sums, err
}

// Items is a file of what is known of items. Each of columns is a feature of the item, and of each position of the history: as
// history_NAME.
type Items struct {
	Path      []string              `yaml:"path"`      // file, list of files or glob; empty: nothing is known of items
	Delimiter string                `yaml:"delimiter"` // between the cells: one or several characters, or tab
	Names     []string              `yaml:"names"`     // names of the columns, for files without a header
	Encoding  string                `yaml:"encoding"`  // utf-8, or latin1 (ISO 8859-1)
	Item      string                `yaml:"item"`      // column of the item
	Columns   map[string]ItemColumn `yaml:"columns"`   // features, by their names
}

// ItemColumn is where a feature of items stands.
type ItemColumn struct {
	From      []string `yaml:"from"`      // its column, by default that of its name; or several, of which those that are 1 are the values
	Separator string   `yaml:"separator"` // between the values of one column; empty: a cell is one value
	Several   string   `yaml:"several"`   // of several values of an item: first (the default), or all: their set is one value
}

const (
	firstValue = "first"
	allValues  = "all"
)

// Validate returns what is wrong with the options.
func (d Items) Validate() error {
	if len(d.Path) == 0 {
		if len(d.Columns) > 0 {
			return registry.Field("path", "is missing; want the file of the columns")
		}
		return nil
	}
	errs := []error{registry.OneOf("encoding", d.Encoding, "utf-8", "latin1")}
	if d.Item == "" {
		errs = append(errs, registry.Field("item", "is missing; want the name of the column of the items"))
	}
	if d.Delimiter == "" {
		errs = append(errs, registry.Field("delimiter", "must not be empty"))
	}
	if len(d.Columns) == 0 {
		errs = append(errs, registry.Field("columns", "names no feature"))
	}
	for name, c := range d.Columns {
		if slices.Contains([]string{"", history.ItemColumn, history.HistoryColumn, "user", "label"}, name) {
			errs = append(errs, registry.Field("columns", "a feature cannot have the name %q", name))
		}
		if c.Several != "" && c.Several != firstValue && c.Several != allValues {
			errs = append(errs, registry.Field("columns", "%s: several is %q; want first or all", name, c.Several))
		}
		if len(c.From) > 1 && c.Separator != "" {
			errs = append(errs, registry.Field("columns", "%s: separator is for the values of one column", name))
		}
	}
	return errors.Join(errs...)
}

// names returns the names of the features, ascending.
func (d Items) names() []string { return slices.Sorted(maps.Keys(d.Columns)) }

// sideNames returns the names of what is known.
func sideNames(sides []history.Side) (names []string) {
	for _, s := range sides {
		names = append(names, s.Name)
	}
	return names
}

// read returns what the files know of a log's items.
func (d Items) read(ctx context.Context, l *history.Log, maxLine int, log *slog.Logger) ([]history.Side, []scan.FileSum, error) {
	if len(d.Path) == 0 {
		return nil, nil, nil
	}
	o := actions.ItemOptions{
		Path: d.Path, Delimiter: d.Delimiter, Names: d.Names, Latin1: d.Encoding == "latin1", Item: d.Item, MaxLine: maxLine,
		Features: map[string]actions.ItemFeature{},
	}
	for name, c := range d.Columns {
		f := actions.ItemFeature{Columns: c.From, Separator: c.Separator, All: c.Several == allValues}
		if len(f.Columns) == 0 {
			f.Columns = []string{name}
		}
		o.Features[name] = f
	}
	return o.Read(ctx, l, log)
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
	if err := history.CheckMap(m, d.Items.names(), d.candidates()); err != nil {
		return nil, err
	}
	log, _, err := d.read(ctx, &data.OpenOptions{Log: parts.Logger(o.Log)})
	if err != nil {
		return nil, err
	}
	s, err := history.NewSet(log, &history.Parts{}, m, history.Set{MaxLen: m.Features[history.Place(d.candidates())].MaxLen, Sequences: true})
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", d.Path[0], err)
	}
	return s.Users(!o.Labels), nil
}
