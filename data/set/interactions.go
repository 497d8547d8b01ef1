package set

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/actions"
	"github.com/splice-ml/splice/data/internal/history"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parts"
)

// Interactions is a log of who had what, such as clicks, ratings or purchases, as rows for models of histories. A row is an item and
// the history of the user before it: the columns item and history. The label says whether the user took the item next. The group is the
// user.
//
// A user's actions are ordered by time. Those of equal time stay in the order of the files: where logs have times in days or were
// written in batches, results depend on it, as with MovieLens-1M, where a quarter of the last actions share their time with the one
// before. The vocabulary of items is that of the whole log, since a catalogue is known before its items are chosen; its counts too.
type Interactions struct {
	Path   []string `yaml:"path"`   // file, list of files or glob; .gz and .zst are decompressed
	Layout string   `yaml:"layout"` // of the files: see docs/data.md

	User      string   `yaml:"user"`      // column of the user, of layout log
	Item      string   `yaml:"item"`      // column of the item, of layout log
	Time      string   `yaml:"time"`      // column of the time, of layout log; empty: the files are in the order of time
	Rating    string   `yaml:"rating"`    // column of the rating, of layout log, for min_rating
	Delimiter string   `yaml:"delimiter"` // between the cells of layout log: one or several characters, or tab
	Names     []string `yaml:"names"`     // names of the columns of layout log, for files without a header

	// time: a user's actions are ordered by time, or as in the files without times; random: in an order that is drawn by the seed, for
	// files whose order says nothing
	Order     string   `yaml:"order"`
	MinRating *float64 `yaml:"min_rating"` // actions of a lower rating are left out; null: all count
	MinUser   int      `yaml:"min_user"`   // users with fewer actions are left out, and again as items are left out (the k-core)
	MinItem   int      `yaml:"min_item"`   // items with fewer actions are left out, and again as users are left out

	HistoryRows `yaml:",inline"`

	Items Items `yaml:"items"` // what a file knows of the items

	BadRows    string `yaml:"bad_rows"`     // error: stop at a line that cannot be read; skip: leave it out and report it
	MaxBadRows int64  `yaml:"max_bad_rows"` // stop at more skipped lines than this
	MaxLine    int    `yaml:"max_line"`     // bytes of the longest line
}

// Orders of a user's actions.
const (
	orderTime   = "time"
	orderRandom = "random"
)

// Rows of HistoryRows.
const (
	candidateRows = "candidates"
	sequenceRows  = "sequences"
)

func init() {
	data.Register("interactions", Interactions{
		Layout: "log", User: "user", Item: "item", Time: "time", Delimiter: ",", Order: orderTime, HistoryRows: historyRows,
		Items:   Items{Delimiter: ",", Encoding: "utf-8", Item: "item"},
		BadRows: data.StopAtBadRow, MaxBadRows: 1000, MaxLine: 1 << 20,
	})
}

// HistoryRows say how a log becomes rows of histories.
type HistoryRows struct {
	// leave_one_out: of each user the last action is for test, the one before for validation; time: actions after one moment are for
	// validation and after another one for test, of each user the first; users: the last actions of some users, who are not trained on
	Split string    `yaml:"split"`
	Ratio []float64 `yaml:"ratio"` // of split time and users: shares of train, validation and test

	// candidates: a train row is one action, or an item that the user never had; sequences: it is all of a user's train actions, for
	// models that predict the next item at each position
	Rows   string `yaml:"rows"`
	MaxLen int    `yaml:"max_len"` // longest history; of a longer one the last actions are kept
	// of sequences: a longer train history is cut into rows of max_len that begin this many actions apart, so that no action is lost; 0: its
	// last max_len actions are the one row
	Stride     int `yaml:"stride"`
	MinHistory int `yaml:"min_history"` // an action with fewer before it is no train row
	Negatives  int `yaml:"negatives"`   // negatives of each train row of candidates, drawn anew in each epoch
	// how negatives are drawn among the items that a user never had: uniform, or popularity, by how often items were had
	NegativesBy   string `yaml:"negatives_by"`
	EvalNegatives int    `yaml:"eval_negatives"` // negatives of each action to predict of candidates, drawn once
	Seed          uint64 `yaml:"seed"`           // of the negatives of evaluation, of a split by users and of a random order; training has the run's
}

var historyRows = HistoryRows{
	Split: history.LeaveOneOut, Ratio: []float64{.8, .1, .1}, Rows: candidateRows, MaxLen: 50, MinHistory: 1, Negatives: 4,
	NegativesBy: "uniform", EvalNegatives: 99,
}

// Validate returns what is wrong with the options.
func (d HistoryRows) Validate() error {
	errs := []error{
		registry.OneOf("split", d.Split, history.LeaveOneOut, history.ByTime, history.ByUsers),
		registry.OneOf("rows", d.Rows, candidateRows, sequenceRows),
		registry.In("max_len", d.MaxLen, 1, 1<<16), registry.AtLeast("min_history", d.MinHistory, 0),
		registry.In("negatives", d.Negatives, 0, maxNegatives), registry.In("eval_negatives", d.EvalNegatives, 0, 100*maxNegatives),
		registry.OneOf("negatives_by", d.NegativesBy, "uniform", "popularity"),
	}
	if d.Stride > 0 && d.Rows == candidateRows {
		errs = append(errs, registry.Field("stride", "is for rows: sequences; candidates have a row for each action"))
	} else if d.Rows == sequenceRows {
		errs = append(errs, registry.In("stride", d.Stride, 0, d.MaxLen))
	}
	if d.Split != history.LeaveOneOut {
		errs = append(errs, data.Split{By: data.SplitRandom, Ratio: d.Ratio}.Validate())
		if len(d.Ratio) == 0 {
			errs = append(errs, registry.Field("ratio", "is missing; want the shares of train, validation and test"))
		}
	}
	return errors.Join(errs...)
}

// Validate returns what is wrong with the options.
func (d Interactions) Validate() error {
	errs := []error{
		registry.OneOf("layout", d.Layout, actions.Layouts()...), registry.OneOf("order", d.Order, orderTime, orderRandom),
		registry.AtLeast("min_user", d.MinUser, 0), registry.AtLeast("min_item", d.MinItem, 0),
		d.HistoryRows.Validate(), registry.OneOf("bad_rows", d.BadRows, data.StopAtBadRow, data.SkipBadRows),
		registry.In("max_line", d.MaxLine, 1, 1<<30),
	}
	if len(d.Path) == 0 {
		errs = append(errs, registry.Field("path", "is missing; want a file, a list of files or a glob"))
	}
	if d.MinRating != nil && math.IsNaN(*d.MinRating) {
		errs = append(errs, registry.Field("min_rating", "must be a number"))
	}
	if d.Order == orderRandom && d.Split == history.ByTime {
		errs = append(errs, registry.Field("order", "random has no moments to split at; split by leave_one_out or users"))
	}
	if known := slices.Contains(actions.Layouts(), d.Layout); known && d.Split == history.ByTime && !d.source().Timed() {
		errs = append(errs, registry.Field("split", "the layout %s has no times; split by leave_one_out or users", d.Layout))
	} else if known && d.MinRating != nil && !d.source().Rated() {
		if d.Layout == actions.Log {
			errs = append(errs, registry.Field("min_rating", "needs ratings; set rating to the name of their column"))
		} else {
			errs = append(errs, registry.Field("min_rating", "the layout %s has no ratings; remove it", d.Layout))
		}
	}
	if d.Layout == actions.Log {
		for _, c := range [...]struct{ key, name string }{{"user", d.User}, {"item", d.Item}} {
			if c.name == "" {
				errs = append(errs, registry.Field(c.key, "is missing; want the name of the column"))
			}
		}
		if d.Delimiter == "" {
			errs = append(errs, registry.Field("delimiter", "must not be empty"))
		}
	}
	return errors.Join(errs...)
}

// Open reads the log and makes its rows.
func (d Interactions) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	o.Log = parts.Logger(o.Log)
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	start := time.Now()
	log, sums, err := d.read(ctx, &o)
	if err != nil {
		return nil, err
	}
	o.Log.Info("data: read interactions", "users", len(log.Users), "items", len(log.Names), "actions", len(log.Item), "seconds", parts.Seconds(start))
	sides, known, err := d.Items.read(ctx, log, d.MaxLine, o.Log)
	if err != nil {
		return nil, err
	}
	s, err := d.open(namelist.Show(d.Path), log, sides, o)
	if err != nil {
		return nil, err
	}
	sums = append(sums, known...)
	s.Sources = parts.Sources(nil, data.TrainPart, sums)
	return s, nil
}

func (d HistoryRows) candidates() bool { return d.Rows == candidateRows }

// open makes the rows of a log. from is what it was read from.
func (d HistoryRows) open(from string, log *history.Log, sides []history.Side, o data.OpenOptions) (*data.Splits, error) {
	p, err := history.Split{By: d.Split, Ratio: d.Ratio, Seed: d.Seed}.Of(log)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", from, err)
	}
	m := o.Map
	if m == nil {
		m = history.Fit(log, sides, d.candidates(), d.MaxLen)
	} else if err := history.CheckMap(m, sideNames(sides), d.candidates()); err != nil {
		return nil, err
	}
	s, err := history.NewSet(log, p, m, history.Set{
		MaxLen: m.Features[history.Place(d.candidates())].MaxLen, Sequences: d.Rows == sequenceRows, Negatives: [...]int{d.Negatives, d.EvalNegatives, d.EvalNegatives},
		ByCount: d.NegativesBy == "popularity", EvalSeed: d.Seed, Stride: d.Stride,
	})
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", from, err)
	}
	out := &data.Splits{Schema: s.Schema, Map: m}
	for _, part := range [...]struct {
		to *data.Source
		of data.Part
	}{{&out.Train, data.TrainPart}, {&out.Valid, data.ValidPart}, {&out.Test, data.TestPart}} {
		if o.Only != "" && o.Only != part.of.String() {
			continue
		}
		rows := s.Rows(part.of, d.MinHistory, o.Seed)
		if rows.Rows() == 0 && (part.of == data.TrainPart || o.Only != "") {
			return nil, fmt.Errorf("data: %s: the split leaves no %s rows: users have too few actions, or lower min_history", from, part.of)
		}
		if rows.Rows() > 0 {
			*part.to = rows
		} else {
			o.Log.Warn("data: the split leaves no rows of a part: users have too few actions", "part", part.of)
		}
	}
	return out, nil
}

// Stream reads one file in order. Candidates are comma separated rows with a header, the columns item and history, whose items are
// separated by |, and if need be user and label. Sequences are a log in the layout of the data: a row is a user, with all of their actions
// or, if labels are wanted, with the last one as the label.
func (d Interactions) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	if d.Rows == sequenceRows {
		return &usersStream{ctx: ctx, d: d, path: path, m: m, o: o}
	}
	c := d.stored()
	c.MaxLine = d.MaxLine
	return history.Derived(c.Stream(ctx, path, m.Stored(), o), m, m.Schema(o.Labels))
}

// Encoder encodes rows in memory.
func (d Interactions) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	return d.encoder(m, d.Items.names())
}

func (d HistoryRows) encoder(m *data.FeatureMap, sides []string) (data.RowEncoder, error) {
	if err := history.CheckMap(m, sides, d.candidates()); err != nil {
		return nil, err
	}
	e, err := d.stored().Encoder(m.Stored())
	if err != nil {
		return nil, err
	}
	return history.DerivedEncoder(e, m), nil
}

// stored is the data set of files that have rows.
func (d HistoryRows) stored() CSV {
	c := CSV{Common: data.DefaultCommon(), Label: data.Names{"label"}, Group: "user", Delimiter: ",", Quote: true}
	c.Columns = map[string]data.Column{
		history.HistoryColumn: data.SequenceColumn{CategoricalColumn: data.CategoricalColumn{Share: history.TableName}, Separator: "|", MaxLen: d.MaxLen},
	}
	if d.Rows == candidateRows {
		c.Columns[history.ItemColumn] = data.CategoricalColumn{Share: history.TableName}
	}
	return c
}

// SynthInteractions is a generated log. Each item has a few items that often follow it; what else users have follows no rule. So a model
// of the order learns what one of popularity cannot.
type SynthInteractions struct {
	Users       int `yaml:"users"`      // number of users
	Items       int `yaml:"items"`      // number of items
	Actions     int `yaml:"actions"`    // mean number of a user's actions
	Categories  int `yaml:"categories"` // items have one of so many categories; 0: none is known
	HistoryRows `yaml:",inline"`
}

func init() {
	data.Register("synthetic_interactions", SynthInteractions{Users: 2000, Items: 500, Actions: 20, HistoryRows: historyRows})
}

// Validate returns what is wrong with the options.
func (d SynthInteractions) Validate() error {
	return errors.Join(registry.In("users", d.Users, 1, 1<<24), registry.In("items", d.Items, 2, 1<<24), registry.In("actions", d.Actions, 3, 1<<12),
		registry.In("categories", d.Categories, 0, 1<<20),
		d.HistoryRows.Validate())
}

// Open generates the log and makes its rows.
func (d SynthInteractions) Open(_ context.Context, o data.OpenOptions) (*data.Splits, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	log, err := history.Generate(d.Users, d.Items, d.Actions, synthSeed)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	o.Log = parts.Logger(o.Log)
	s, err := d.open("the generated log", log, d.sides(log), o)
	if err != nil {
		return nil, err
	}
	s.Synthetic = &data.Reachable{}
	return s, nil
}

// sides returns the categories of items: that of item i7 is c7 modulo their number.
func (d SynthInteractions) sides(l *history.Log) []history.Side {
	if d.Categories == 0 {
		return nil
	}
	s := history.Side{Name: "category"}
	for _, name := range l.Names {
		i, _ := strconv.Atoi(strings.TrimPrefix(name, "i"))
		s.Value = append(s.Value, "c"+strconv.Itoa(i%d.Categories))
	}
	return []history.Side{s}
}

// Encoder encodes rows in memory.
func (d SynthInteractions) Encoder(m *data.FeatureMap) (data.RowEncoder, error) {
	return d.encoder(m, sideNames(d.sides(&history.Log{})))
}

// Stream reads one file in order, as that of Interactions: sequences are "user item item ..." a line.
func (d SynthInteractions) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	i := Interactions{Items: Items{Columns: map[string]ItemColumn{}}, Layout: "sequences", Order: orderTime, HistoryRows: d.HistoryRows, MaxLine: 1 << 20}
	for _, side := range d.sides(&history.Log{}) {
		i.Items.Columns[side.Name] = ItemColumn{}
	}
	return i.Stream(ctx, path, m, o)
}
