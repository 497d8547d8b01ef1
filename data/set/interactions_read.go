package set

import (
	"context"
	"fmt"
	"iter"

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
		return nil, fmt.Errorf("data: %s: %w", d.Path[0], err)
	}
	return s.Users(!o.Labels), nil
}
