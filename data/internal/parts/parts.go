// Package parts opens the train, validation and test part of a data set, whether its rows are features or texts.
package parts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/scan"
)

// Kind is a kind of rows of a data set: features, or texts.
type Kind interface {
	// CheckMap returns why m cannot be the map of the rows.
	CheckMap(m *data.FeatureMap) error
	// Schema returns what models see of rows that m encodes.
	Schema(m *data.FeatureMap) *data.Schema
	// Fit returns the feature map of the train rows of files, the first parts of o's split.
	Fit(ctx context.Context, o *Opening, files []string) (*data.FeatureMap, error)
	// Rows returns the parts of files, encoded by m: from the cache, or else after writing it. It returns what the files were, too.
	Rows(ctx context.Context, o *Opening, m *data.FeatureMap, files []string, split data.Split) ([3]data.Source, []scan.FileSum, error)
	// Train returns a train part that shuffles as the options say.
	Train(o *Opening, src data.Source) data.Source
}

// Opening is a data set while its parts are opened.
type Opening struct {
	data.Common
	Options data.OpenOptions
	Cache   cache.Dir
	Passes  scan.Passes
}

// Open opens the parts of a data set of rows of a kind.
func Open(ctx context.Context, kind Kind, c data.Common, o data.OpenOptions) (*data.Splits, error) {
	o.Log = Logger(o.Log)
	if !slices.Contains([]string{"", "train", "valid", "test"}, o.Only) {
		return nil, fmt.Errorf("data: no part %q; want train, valid or test", o.Only)
	}
	op := &Opening{Common: c, Options: o, Cache: cache.At(o.CacheDir, o.Log)}
	op.Passes = scan.Passes{Bad: scan.BadRowsOf(c), Threads: o.Threads, MaxRows: c.MaxRows}
	if err := op.Cache.Make(); err != nil {
		return nil, err
	}
	var files [3][]string
	var err [3]error
	files[data.ValidPart], err[data.ValidPart] = scan.Expand(c.ValidPath)
	files[data.TestPart], err[data.TestPart] = scan.Expand(c.TestPath)
	if o.Map == nil || op.WantsMain() {
		files[data.TrainPart], err[data.TrainPart] = scan.Expand(c.Path)
	}
	if err := errors.Join(err[:]...); err != nil {
		return nil, err
	}
	for _, f := range scan.Absolute(files[data.TrainPart]) {
		if slices.Contains(scan.Absolute(files[data.ValidPart]), f) || slices.Contains(scan.Absolute(files[data.TestPart]), f) {
			o.Log.Warn("data: a file of path is in valid_path or test_path too; its rows are not unseen", "file", f)
		}
	}
	m := o.Map
	if m == nil {
		var err error
		if m, err = kind.Fit(ctx, op, files[data.TrainPart]); err != nil {
			return nil, err
		}
	} else if err := kind.CheckMap(m); err != nil {
		return nil, err
	}
	return op.parts(ctx, kind, m, files)
}

func (op *Opening) wants(part data.Part) bool {
	return op.Options.Only == "" || op.Options.Only == part.String()
}

// WantsMain reports whether a part that is wanted comes from path.
func (op *Opening) WantsMain() bool {
	for part := data.TrainPart; part <= data.TestPart; part++ {
		if op.wants(part) && op.Split.Has(part) {
			return true
		}
	}
	return false
}

// parts opens the parts that are wanted.
func (op *Opening) parts(ctx context.Context, kind Kind, m *data.FeatureMap, files [3][]string) (*data.Splits, error) {
	var out [3]data.Source
	var sources []data.SourceFile
	if op.WantsMain() {
		from, sums, err := kind.Rows(ctx, op, m, scan.Absolute(files[data.TrainPart]), op.Split)
		if err != nil {
			return nil, err
		}
		sources = Sources(sources, data.TrainPart, sums)
		for part := data.TrainPart; part <= data.TestPart; part++ {
			if !op.Split.Has(part) || !op.wants(part) {
				continue
			}
			if from[part] == nil {
				return nil, fmt.Errorf("data: the split leaves no %s rows; give that part a larger share", part)
			}
			out[part] = from[part]
		}
	}
	for _, part := range [...]data.Part{data.ValidPart, data.TestPart} {
		if len(files[part]) == 0 || !op.wants(part) {
			continue
		}
		from, sums, err := kind.Rows(ctx, op, m, scan.Absolute(files[part]), data.Split{})
		if err != nil {
			return nil, err
		}
		sources = Sources(sources, part, sums)
		out[part] = from[data.TrainPart]
	}
	if only := op.Options.Only; only != "" && out[partOf(only)] == nil {
		return nil, fmt.Errorf("data: there is no %s part; give split or %s_path", only, only)
	}
	if out[data.TrainPart] != nil {
		out[data.TrainPart] = kind.Train(op, out[data.TrainPart])
	}
	return &data.Splits{
		Schema: kind.Schema(m), Map: m, Train: out[data.TrainPart], Valid: out[data.ValidPart], Test: out[data.TestPart], Sources: sources,
	}, nil
}

// Sources appends files that the option of a part names to list.
func Sources(list []data.SourceFile, part data.Part, sums []scan.FileSum) []data.SourceFile {
	for _, s := range sums {
		list = append(list, data.SourceFile{Key: part.PathKey(), Path: s.Path, Size: s.Size, Hash: fmt.Sprintf("%016x", s.Hash)})
	}
	return list
}

// partOf returns the part of that name, partTrain if there is none.
func partOf(name string) data.Part {
	for part := data.TrainPart; part <= data.TestPart; part++ {
		if part.String() == name {
			return part
		}
	}
	return data.TrainPart
}

// Logger returns log, or a logger that drops everything if log is nil.
func Logger(log *slog.Logger) *slog.Logger {
	if log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return log
}

// Seconds returns the time since start, for a log.
func Seconds(start time.Time) float64 { return time.Since(start).Round(time.Millisecond).Seconds() }
