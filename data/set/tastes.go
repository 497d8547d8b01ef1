package set

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strconv"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/rng"
)

// Tastes is generated clicks of users who have tastes of their own. A row is a user who is shown an item of some genre, at some hour, on
// some device; its label is 1 for a click. What runs that saw other users learn differs, so that a merge of them has something to gain.
//
// A click has the probability sigmoid(z),
//
//	z = bias + common(item, genre, hour, device) + habit(user) + <taste(user), look(item)>
//
// where taste and look are vectors of [tasteRank] numbers, and the looks of a genre's items are alike. What is common can be learned
// from the rows of any users, and so can the looks; a taste only from the rows of its own user.
//
// Items follow Zipf's law, users come equally often, and every row is drawn by itself, so that the last rows are as good a test part as
// random ones. The three parts of z have the same variances for every seed, and a quarter of the rows are clicks.
type Tastes struct {
	Users int        `yaml:"users"` // number of users
	Items int        `yaml:"items"` // number of items
	Rows  int64      `yaml:"rows"`  // rows to generate
	Seed  uint64     `yaml:"seed"`  // of the tastes, the rows and their labels; the split has its own
	Split data.Split `yaml:"split"` // how the rows become parts: the first four fifths train, the last tenth test without it
}

func init() {
	data.Register("tastes", Tastes{Users: 1000, Items: 300, Rows: 200_000, Seed: 1, Split: data.Split{By: data.SplitOrder}})
}

// tastesNames are the columns of a row after the label.
var tastesNames = [...]string{"user", "item", "genre", "hour", "device"}

const (
	tastesGenres  = 20
	tastesHours   = 24
	tastesDevices = 4

	tasteRank    = 3   // numbers of a taste and of a look
	tastesCommon = .8  // standard deviation of z due to what is common,
	tastesHabit  = .5  // due to how often a user clicks at all,
	tastesOwn    = 1.4 // and due to tastes
	tastesRate   = .25 // share of clicks
	tastesZipf   = .7  // exponent of the law of items
	tastesPilot  = 20000
	maxTastes    = 1 << 24 // users, items, and rows in units of 1024, at most
)

// Validate returns what is wrong with the options.
func (d Tastes) Validate() error {
	var errs []error
	within := func(key string, n, most int64) {
		if n < 1 || n > most {
			errs = append(errs, registry.Field(key, "must be in [1, %d], have %d", most, n))
		}
	}
	within("users", int64(d.Users), maxTastes)
	within("items", int64(d.Items), maxTastes)
	within("rows", d.Rows, maxTastes<<10)
	if d.Split.By == data.SplitTime {
		errs = append(errs, registry.Field("split.by", "the rows have no times; split at random or by order"))
	}
	return errors.Join(errs...)
}

// Open generates the rows and keeps them as text in the cache directory, where the reader of delimited files takes over.
func (d Tastes) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
	o.Log = parts.Logger(o.Log)
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if len(d.Split.Ratio) == 0 && len(d.Split.Counts) == 0 {
		d.Split.Ratio = []float64{.8, .1, .1}
	}
	var text bytes.Buffer
	rows, err := d.generate(ctx, &text)
	if err != nil {
		return nil, err
	}
	o.Log.Info("data: the rows are SYNTHETIC: clicks of users with tastes of their own", "users", d.Users, "items", d.Items, "rows", d.Rows,
		"seed", d.Seed)
	return openGenerated(ctx, d.csv(), text.Bytes(), rows, o)
}

// openGenerated opens generated rows, of which the text is kept in the cache. rows are their true probabilities in the order of the text, from
// which follows what is reachable on a test part at its end; nil if nothing is known.
func openGenerated(ctx context.Context, c CSV, text []byte, rows []scored, o data.OpenOptions) (*data.Splits, error) {
	path, err := keep(text, cache.At(o.CacheDir, o.Log))
	if err != nil {
		return nil, err
	}
	c.Path = []string{path}
	s, err := c.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s.Synthetic, s.Sources = &data.Reachable{}, nil
	if c.Split.By == data.SplitOrder && s.Test != nil && rows != nil {
		test := rows[int64(len(rows))-s.Test.Rows():]
		s.Synthetic.AUC, _ = bestAUC(test)
		s.Synthetic.LogLoss, _ = bestLogLoss(test)
	}
	return s, nil
}

// keep makes sure that the cache has a file of the text, and returns its path.
func keep(text []byte, dir cache.Dir) (string, error) {
	digest := xxhash.Sum64(text)
	path := dir.Path(digestText(digest), "-tastes.tsv")
	if sum, err := scan.HashFile(path); err == nil && sum == digest {
		return path, nil
	}
	if err := dir.Make(); err != nil {
		return "", err
	}
	return path, dir.Wrap(atomicfile.Write(path, func(w io.Writer) error { _, err := w.Write(text); return err }))
}

// Stream reads one file in order: tab separated rows with a header of user, item, genre, hour, device, and a column label or none.
func (d Tastes) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	return d.csv().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Tastes) Encoder(m *data.FeatureMap) (data.RowEncoder, error) { return d.csv().Encoder(m) }

// csv is the data set of the rows as text, without its files.
func (d Tastes) csv() CSV {
	c := CSV{Common: data.DefaultCommon(), Label: data.Names{"label"}, Delimiter: "\t"}
	c.Split, c.Columns = d.Split, map[string]data.Column{}
	for _, name := range tastesNames {
		c.Columns[name] = data.CategoricalColumn{}
	}
	return c
}

// generate writes the rows with a header to dst and returns their probabilities and labels.
func (d Tastes) generate(ctx context.Context, dst *bytes.Buffer) ([]scored, error) {
	w := newTastesWorld(d)
	r := rng.New(rng.Key(d.Seed, "tastes", "rows"))
	dst.WriteString("label")
	for _, name := range tastesNames {
		dst.WriteString("\t" + name)
	}
	dst.WriteByte('\n')
	rows := make([]scored, d.Rows)
	for i := range rows {
		if i&0xfff == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		x := w.draw(r)
		p := w.prob(w.parts(x))
		rows[i] = scored{p, r.Float64() < p}
		dst.Write(x.appendTo(dst.AvailableBuffer(), rows[i].label))
	}
	return rows, nil
}

// tastesRow is a row's user, item, genre, hour and device by number.
type tastesRow [len(tastesNames)]int

// appendTo appends the row as a line.
func (x tastesRow) appendTo(buf []byte, label bool) []byte {
	if label {
		buf = append(buf, '1')
	} else {
		buf = append(buf, '0')
	}
	for i, n := range x {
		buf = append(buf, '\t', tastesNames[i][0])
		buf = strconv.AppendInt(buf, int64(n), 10)
	}
	return append(buf, '\n')
}

// tastesWorld is what a seed fixes before the first row.
type tastesWorld struct {
	law    rng.Alias // of items
	genre  []int     // by item
	effect [len(tastesNames)][]float64
	taste  [][tasteRank]float64 // by user
	look   [][tasteRank]float64 // by item
	scale  [3]float64           // gives the parts of z their deviations
	bias   float64
}

// newTastesWorld draws effects, tastes and looks, and calibrates them on a pilot sample.
func newTastesWorld(d Tastes) *tastesWorld {
	w := &tastesWorld{genre: make([]int, d.Items), taste: make([][tasteRank]float64, d.Users), look: make([][tasteRank]float64, d.Items)}
	p, sum := make([]float64, d.Items), 0.
	for i := range p {
		p[i] = math.Pow(float64(i+1), -tastesZipf)
		sum += p[i]
	}
	w.law = rng.NewAlias(p, sum)
	for f, n := range [...]int{d.Users, d.Items, tastesGenres, tastesHours, tastesDevices} {
		r := rng.New(rng.Key(d.Seed, "tastes", tastesNames[f]))
		w.effect[f] = make([]float64, n)
		for i := range w.effect[f] {
			w.effect[f][i] = r.NormFloat64()
		}
	}
	r := rng.New(rng.Key(d.Seed, "tastes", "vectors"))
	var center [tastesGenres][tasteRank]float64
	for g := range center {
		center[g] = gauss(r)
	}
	for u := range w.taste {
		w.taste[u] = gauss(r)
	}
	for i := range w.look {
		w.genre[i] = r.IntN(tastesGenres)
		w.look[i] = gauss(r)
		for k, c := range center[w.genre[i]] {
			w.look[i][k] += c
		}
	}
	w.calibrate(rng.New(rng.Key(d.Seed, "tastes", "pilot")))
	return w
}

func gauss(r *rand.Rand) (v [tasteRank]float64) {
	for k := range v {
		v[k] = r.NormFloat64()
	}
	return v
}

// calibrate scales the parts of z to their deviations and sets the bias for a share tastesRate of clicks.
func (w *tastesWorld) calibrate(r *rand.Rand) {
	rows := make([][3]float64, tastesPilot)
	var sum, sq [3]float64
	for i := range rows {
		rows[i] = w.parts(w.draw(r))
		for j, v := range rows[i] {
			sum[j] += v
			sq[j] += v * v
		}
	}
	n := float64(tastesPilot)
	for j, want := range [...]float64{tastesCommon, tastesHabit, tastesOwn} {
		if variance := sq[j]/n - sum[j]*sum[j]/n/n; variance > 1e-9 { // one user alone has no deviation
			w.scale[j] = want / math.Sqrt(variance)
		}
	}
	lo, hi := -20., 20.
	for range 60 {
		w.bias = (lo + hi) / 2
		var p float64
		for _, z := range rows {
			p += w.prob(z)
		}
		if p/n < tastesRate {
			lo = w.bias
		} else {
			hi = w.bias
		}
	}
}

// draw returns the next row of r.
func (w *tastesWorld) draw(r *rand.Rand) tastesRow {
	item := w.law.At(r.Uint64())
	return tastesRow{r.IntN(len(w.taste)), item, w.genre[item], r.IntN(tastesHours), r.IntN(tastesDevices)}
}

// parts returns the three unscaled parts of z: what is common, the user's habit and taste.
func (w *tastesWorld) parts(x tastesRow) (z [3]float64) {
	for f := 1; f < len(x); f++ {
		z[0] += w.effect[f][x[f]]
	}
	z[1] = w.effect[0][x[0]]
	for k, v := range w.taste[x[0]] {
		z[2] += v * w.look[x[1]][k]
	}
	return z
}

// prob is the probability of a click given the parts of z.
func (w *tastesWorld) prob(z [3]float64) float64 {
	return 1 / (1 + math.Exp(-(w.bias + w.scale[0]*z[0] + w.scale[1]*z[1] + w.scale[2]*z[2])))
}
