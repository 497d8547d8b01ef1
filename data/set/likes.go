package set

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/rng"
)

// Likes is generated clicks and likes of users who have tastes of their own: rows with two labels that share structure. A row is a user who
// is shown an item of some genre, at some hour, on some device. The label click is that of [Tastes]. The label like is 1 in a share of the
// clicks, with the probability sigmoid(b + shared·z + √(1 − shared²)·z'), where z is that of the click and z' is drawn like z, with effects
// and tastes of its own. So a fifth of the clicks are likes, and a twentieth of the rows.
type Likes struct {
	Users  int        `yaml:"users"`  // number of users
	Items  int        `yaml:"items"`  // number of items
	Rows   int64      `yaml:"rows"`   // rows to generate
	Seed   uint64     `yaml:"seed"`   // of the tastes, the rows and their labels; the split has its own
	Shared float64    `yaml:"shared"` // correlation of what decides a like with what decides a click, in [0, 1]
	Label  data.Names `yaml:"label"`  // click, like or both; the other one is left out
	Split  data.Split `yaml:"split"`  // how the rows become parts: the first four fifths train, the last tenth test without it
}

func init() {
	data.Register("likes", Likes{
		Users: 1000, Items: 300, Rows: 200_000, Seed: 1, Shared: .7, Label: slices.Clone(likesLabels), Split: data.Split{By: data.SplitOrder},
	})
}

var likesLabels = data.Names{"click", "like"}

// likesRate is the share of clicks that are likes.
const likesRate = .2

// tastes is what generates the users, items and clicks.
func (d Likes) tastes() Tastes {
	return Tastes{Users: d.Users, Items: d.Items, Rows: d.Rows, Seed: d.Seed, Split: d.Split}
}

// Validate returns what is wrong with the options.
func (d Likes) Validate() error {
	errs := []error{d.tastes().Validate(), registry.In("shared", d.Shared, 0, 1)}
	if len(d.Label) == 0 {
		errs = append(errs, registry.Field("label", "is missing; want click, like or [click, like]"))
	}
	for i, n := range d.Label {
		if !slices.Contains(likesLabels, n) || slices.Contains(d.Label[:i], n) {
			errs = append(errs, registry.Field(fmt.Sprintf("label.%d", i), "%q is neither click nor like, or there twice", n))
		}
	}
	return errors.Join(errs...)
}

// Open generates the rows and keeps them as text in the cache directory, where the reader of delimited files takes over.
func (d Likes) Open(ctx context.Context, o data.OpenOptions) (*data.Splits, error) {
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
	o.Log.Info("data: the rows are SYNTHETIC: clicks and likes of users with tastes of their own", "users", d.Users, "items", d.Items,
		"rows", d.Rows, "seed", d.Seed)
	var of []scored
	if len(d.Label) == 1 {
		of = rows[slices.Index(likesLabels, d.Label[0])]
	}
	return openGenerated(ctx, d.csv(), text.Bytes(), of, o)
}

// Stream reads one file in order: tab separated rows with a header of user, item, genre, hour, device, and the columns click and like or
// none.
func (d Likes) Stream(ctx context.Context, path string, m *data.FeatureMap, o data.StreamOptions) data.Source {
	return d.csv().Stream(ctx, path, m, o)
}

// Encoder encodes rows in memory.
func (d Likes) Encoder(m *data.FeatureMap) (data.RowEncoder, error) { return d.csv().Encoder(m) }

// csv is the data set of the rows as text, without its files.
func (d Likes) csv() CSV {
	c := d.tastes().csv()
	c.Label = d.Label
	for _, n := range likesLabels {
		if !slices.Contains(d.Label, n) {
			c.Columns[n] = data.IgnoreColumn{}
		}
	}
	return c
}

// generate writes the rows with a header to dst and returns the probabilities and labels of clicks and of likes.
func (d Likes) generate(ctx context.Context, dst *bytes.Buffer) (rows [2][]scored, err error) {
	own := d.tastes()
	own.Seed = rng.Key(d.Seed, "likes")
	w := likesWorld{click: newTastesWorld(d.tastes()), own: newTastesWorld(own), shared: d.Shared}
	w.calibrate(d.Seed)
	r := rng.New(rng.Key(d.Seed, "likes", "rows"))
	dst.WriteString("click\tlike")
	for _, name := range tastesNames {
		dst.WriteString("\t" + name)
	}
	dst.WriteByte('\n')
	for i := range rows {
		rows[i] = make([]scored, d.Rows)
	}
	for i := range d.Rows {
		if i&0xfff == 0 && ctx.Err() != nil {
			return rows, ctx.Err()
		}
		x := w.click.draw(r)
		click, like := w.probs(x)
		clicked, liked := r.Float64() < click, r.Float64() < like
		rows[0][i], rows[1][i] = scored{click, clicked}, scored{click * like, clicked && liked}
		dst.Write(strconv.AppendInt(dst.AvailableBuffer(), int64(bit(clicked)), 10))
		dst.WriteByte('\t')
		dst.Write(x.appendTo(dst.AvailableBuffer(), clicked && liked))
	}
	return rows, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// likesWorld is what a seed fixes before the first row.
type likesWorld struct {
	click, own *tastesWorld
	shared     float64
	bias       float64
}

// probs returns the probability of a click, and that of a like after one.
func (w *likesWorld) probs(x tastesRow) (click, like float64) {
	z := w.click.logit(x)
	rest := math.Sqrt(1 - w.shared*w.shared)
	return 1 / (1 + math.Exp(-z-w.click.bias)), 1 / (1 + math.Exp(-w.bias-w.shared*z-rest*w.own.logit(x)))
}

// logit is z without its bias.
func (w *tastesWorld) logit(x tastesRow) float64 {
	z := w.parts(x)
	return w.scale[0]*z[0] + w.scale[1]*z[1] + w.scale[2]*z[2]
}

// calibrate sets the bias for a share likesRate of likes among clicks.
func (w *likesWorld) calibrate(seed uint64) {
	r := rng.New(rng.Key(seed, "likes", "pilot"))
	pilot := make([]tastesRow, tastesPilot)
	for i := range pilot {
		pilot[i] = w.click.draw(r)
	}
	lo, hi := -20., 20.
	for range 40 {
		w.bias = (lo + hi) / 2
		clicks, likes := 0., 0.
		for _, x := range pilot {
			c, l := w.probs(x)
			clicks, likes = clicks+c, likes+c*l
		}
		if likes/clicks < likesRate {
			lo = w.bias
		} else {
			hi = w.bias
		}
	}
}
