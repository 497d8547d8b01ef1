package set

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/table"
)

// Criteo is rows in the layout of Criteo's display advertising log: tab separated without a header or quotes, a label
// 0 or 1, 13 counts I1..I13 and 26 categories C1..C26, a missing value blank. Lines with nothing on them are skipped.
type Criteo struct {
	data.Common `yaml:",inline"`
	Trim        bool `yaml:"trim"` // blanks around a value do not count
	// if no file of path exists: none, which is an error, or synthetic: generated rows of the same layout
	Fallback string `yaml:"fallback"`
}

func init() { data.Register("criteo", Criteo{Common: data.DefaultCommon(), Fallback: fallbackNone}) }

const (
	criteoNums = 13
	criteoCats = 26
	criteoCols = criteoNums + criteoCats
)

// criteoNames are the names of the columns after the label.
var criteoNames = func() (names [criteoCols]string) {
	for i := range names {
		if i < criteoNums {
			names[i] = "I" + strconv.Itoa(i+1)
		} else {
			names[i] = "C" + strconv.Itoa(i+1-criteoNums)
		}
	}
	return names
}()

// Validate returns what is wrong with the options.
func (d Criteo) Validate() error {
	errs := []error{d.Common.Validate(), checkFallback(d.Fallback)}
	if d.Split.By == data.SplitTime {
		errs = append(errs, registry.Field("split.by", "the criteo layout has no time column; its rows are in order of time, use order"))
	}
	errs = append(errs, table.CheckColumns(d.Columns, criteoNames[:]), table.RefuseDerived(d.Columns, "criteo"))
	for _, name := range namelist.Sorted(d.Columns) {
		if data.HasLists(d.Columns[name]) {
			errs = append(errs, registry.Field("columns."+name,
				"the criteo layout has no columns of several tokens; use categorical, numeric or ignore"))
		}
		if _, ok := d.Columns[name].(data.NumericColumn); ok && matchesCategory(name) {
			errs = append(errs, registry.Field("columns."+name, "the categories C1..C26 are tokens; use categorical or ignore"))
		}
	}
	return errors.Join(errs...)
}

func matchesCategory(pattern string) bool {
	return slices.ContainsFunc(criteoNames[criteoNums:], func(n string) bool {
		ok, _ := path.Match(pattern, n)
		return ok
	})
}

// Open reads the files of the section.
func (d Criteo) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	d.Common = d.WithDefaults()
	if err := table.Validate(d, d.Common); err != nil {
		return nil, err
	}
	if err := d.fallback(ctx, o); err != nil {
		return nil, err
	}
	s, err := d.table().Open(ctx, o)
	if err != nil {
		return nil, err
	}
	return s, d.synthetic(s)
}

// Stream reads one file in order.
func (d Criteo) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	d.Common = d.WithDefaults()
	return d.table().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory. The column of the label is "label".
func (d Criteo) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	d.Common = d.WithDefaults()
	return d.table().Encoder(m)
}

func (d Criteo) table() *table.Data {
	t := &table.Data{Common: d.Common, Format: criteoFormat{columns: d.Columns, trim: d.Trim}, Label: "label", Name: "criteo"}
	if d.Trim { // caches without the key are older
		t.Key = "trim"
	}
	return t
}

// synthPath is where generated rows of Criteo's layout are kept.
var synthPath = filepath.Join("datasets", "criteo_synth.tsv")

// synthSeed is the seed of the generated rows.
const synthSeed = 1

// fallback replaces a path without files by generated rows, if the options say so.
func (d *Criteo) fallback(ctx context.Context, o data.OpenOptions) error {
	if d.Fallback != fallbackSynthetic {
		return nil
	}
	for _, p := range d.Path {
		if m, err := filepath.Glob(p); err != nil || len(m) > 0 {
			return nil // a bad pattern is reported where the files are opened
		}
	}
	if o.Log != nil {
		o.Log.Warn("data: no such files: using SYNTHETIC rows of the same layout", "path", d.Path, "file", synthPath)
	}
	info, err := SynthFile(ctx, synthPath, SynthOptions{Seed: synthSeed, Log: o.Log})
	if err != nil {
		return err
	}
	if o.Log != nil {
		o.Log.Info("data: " + info.String())
	}
	d.Path = []string{synthPath}
	return nil
}

// synthetic marks rows that were generated, and says what can be reached on the test part if it is what the file's
// description speaks of: the last rows.
func (d *Criteo) synthetic(s *data.Splits) error {
	if len(d.Path) != 1 {
		return nil
	}
	info, err := ReadSynthInfo(d.Path[0])
	if err != nil || info == nil {
		return err
	}
	s.Synthetic = &data.Reachable{}
	if d.Split.By == data.SplitOrder && s.Test != nil && len(d.TestPath) == 0 && s.Test.Rows() == info.TestRows {
		s.Synthetic.AUC, s.Synthetic.LogLoss = info.AUC, info.LogLoss
	}
	return nil
}

// What Criteo does if no file of its path exists.
const (
	fallbackNone      = "none"
	fallbackSynthetic = "synthetic"
)

// checkFallback returns what is wrong with the option fallback.
func checkFallback(fallback string) error {
	if fallback == "" {
		return nil
	}
	return registry.OneOf("fallback", fallback, fallbackNone, fallbackSynthetic)
}
