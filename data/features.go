package data

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/splice-ml/splice/data/internal/clock"
)

// FeatureMap is everything that turns raw values into ids and numbers: vocabularies, numbers of hash buckets, the statistics of
// numeric columns, and the tokenizer and labels of texts. It is fitted on train rows and saved with a run. It must not change once it
// is used.
type FeatureMap struct {
	Version  int           `json:"version"`
	Rows     int64         `json:"rows"` // that it was fitted on
	Features MapFeatures   `json:"features"`
	Tables   []*Vocabulary `json:"tables"`         // in the order of their first features
	Text     *TextMap      `json:"text,omitempty"` // of data sets of texts

	once   sync.Once
	digest string
}

// MostFeatures is well above what tables of rows have. Each feature has a vocabulary and tensors of its own.
const MostFeatures = 20_000

// MapFeatures are the features of a map, in their order.
type MapFeatures []MapFeature

// UnmarshalJSON reads features, but no more than a map has, before they fill the memory.
func (l *MapFeatures) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if t, err := d.Token(); err != nil || t == nil {
		return err
	} else if t != json.Delim('[') {
		return fmt.Errorf("features are %v, not a list", t)
	}
	for *l = nil; d.More(); {
		if len(*l) == MostFeatures {
			return fmt.Errorf("more than %d features", MostFeatures)
		}
		var f MapFeature
		if err := d.Decode(&f); err != nil {
			return err
		}
		*l = append(*l, f)
	}
	return nil
}

// MapFeature is how the column of the same name becomes a feature.
type MapFeature struct {
	Name      string  `json:"name"`
	Kind      Kind    `json:"kind"`
	From      string  `json:"from,omitempty"`      // the feature whose ids this one's follow from, by the Of of its table; empty: it has a column
	Table     string  `json:"table,omitempty"`     // of tokens; empty for Numeric
	Separator string  `json:"separator,omitempty"` // of a Multi or a Sequence
	MaxLen    int     `json:"max_len,omitempty"`   // of a Multi or a Sequence
	Pool      string  `json:"pool,omitempty"`      // of a Multi or a Sequence
	Keep      string  `json:"keep,omitempty"`      // of a Sequence: which tokens of a longer one, KeepLast or KeepFirst
	Transform string  `json:"transform,omitempty"` // of a column of numbers, or of times
	Fill      float64 `json:"fill,omitempty"`      // value of a blank, after the transform
	Mean      float64 `json:"mean,omitempty"`      // for Standardize
	Std       float64 `json:"std,omitempty"`       // for Standardize, above 0

	Column  string    `json:"column,omitempty"`  // that is read; empty: the one of the feature's name
	Prefix  int       `json:"prefix,omitempty"`  // characters of a cell that are its token; 0: all
	Time    string    `json:"time,omitempty"`    // how the times are written that Transform is of; empty: as dates, or in seconds
	Low     float64   `json:"low,omitempty"`     // for MinMax
	High    float64   `json:"high,omitempty"`    // for MinMax, above Low
	Buckets int       `json:"buckets,omitempty"` // for QuantileBucket: how many are wanted; equal edges are one
	Edges   []float64 `json:"edges,omitempty"`   // for Bucket and QuantileBucket, ascending
	Count   int       `json:"count,omitempty"`   // of a vector: how many numbers it has, with Separator between them
	Dim     int       `json:"dim,omitempty"`     // see Feature
	Project bool      `json:"project,omitempty"`
	Frozen  bool      `json:"frozen,omitempty"`
	InitStd float64   `json:"init_std,omitempty"`
}

// ReadsNumbers reports whether the column is read as numbers.
func (f *MapFeature) ReadsNumbers() bool { return f.Transform != "" }

// ReadsTimes reports whether the column is read as times, which are numbers: seconds since 1970.
func (f *MapFeature) ReadsTimes() bool { return slices.Contains(ofTimes, f.Transform) }

// Fitted reports whether values are transformed by what all train rows have.
func (f *MapFeature) Fitted() bool {
	return f.Transform == Standardize || f.Transform == MinMax || f.Transform == QuantileBucket
}

// makesTokens reports whether the transform makes tokens of numbers.
func (f *MapFeature) makesTokens() bool {
	switch f.Transform {
	case LogSquareBucket, Bucket, QuantileBucket:
		return true
	}
	return f.ReadsTimes()
}

// Source returns the name of the column that is read.
func (f *MapFeature) Source() string { return cmp.Or(f.Column, f.Name) }

// MapVersion is the version of the layout of feature maps.
const MapVersion = 1

// Schema returns the features as a model sees them.
func (m *FeatureMap) Schema(group bool) *Schema {
	s := &Schema{HasGroup: group}
	for _, f := range m.Features {
		out := Feature{Name: f.Name, Kind: f.Kind, Table: f.Table, MaxLen: f.MaxLen, Pool: f.Pool, Dim: f.Dim, Project: f.Project, Frozen: f.Frozen, InitStd: f.InitStd}
		if f.Kind == Numeric {
			out.Table, out.Column, out.Count = f.Name, s.NumDense, f.Count
			s.NumDense += out.Numbers()
		} else {
			out.Vocab = m.Table(f.Table).Size()
		}
		s.Features = append(s.Features, out)
	}
	if m.Text != nil {
		s.Text = m.Text.Schema()
	}
	return s
}

// Table returns the vocabulary of that name, nil if there is none.
func (m *FeatureMap) Table(name string) *Vocabulary {
	for _, t := range m.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Stored returns the map of the features that have columns, which is m if all have.
func (m *FeatureMap) Stored() *FeatureMap {
	out := &FeatureMap{Version: m.Version, Rows: m.Rows, Text: m.Text}
	for _, f := range m.Features {
		if f.From == "" {
			out.Features = append(out.Features, f)
			if t := m.Table(f.Table); t != nil && !slices.Contains(out.Tables, t) {
				out.Tables = append(out.Tables, t)
			}
		}
	}
	if len(out.Features) == len(m.Features) {
		return m
	}
	return out
}

// Derive fills the features of b that follow from others.
func (m *FeatureMap) Derive(b *Batch) {
	for i := range m.Features {
		if f := &m.Features[i]; f.From != "" {
			of := m.Table(f.Table).Of
			to := b.IDs[f.Name]
			for k, id := range b.IDs[f.From] {
				to[k] = of[id]
			}
		}
	}
}

// feature returns the feature of that name, nil if there is none.
func (m *FeatureMap) feature(name string) *MapFeature {
	for i := range m.Features {
		if m.Features[i].Name == name {
			return &m.Features[i]
		}
	}
	return nil
}

// ID returns the id of a token of a feature, OOVID if the feature's vocabulary does not have it.
func (m *FeatureMap) ID(feature, token string) (int32, error) {
	f := m.feature(feature)
	if f == nil || f.Kind == Numeric {
		return 0, fmt.Errorf("data: no feature %q with ids", feature)
	}
	return m.Table(f.Table).ID([]byte(token)), nil
}

// Token returns the token of an id of a feature. Reserved ids and hash buckets have none.
func (m *FeatureMap) Token(feature string, id int32) (string, bool) {
	f := m.feature(feature)
	if f == nil || f.Kind == Numeric {
		return "", false
	}
	t := m.Table(f.Table)
	if id < FirstID || int(id) >= FirstID+len(t.Tokens) {
		return "", false
	}
	return t.Tokens[id-FirstID], true
}

// ItemName returns the token of an id of the first sequence's table, or its number if it has none.
func (m *FeatureMap) ItemName(id int32) string {
	for i := range m.Features {
		if m.Features[i].Kind == Sequence {
			if name, ok := m.Token(m.Features[i].Name, id); ok {
				return name
			}
			break
		}
	}
	return fmt.Sprint(id)
}

// Digest identifies the map: two maps of equal digest turn every value into the same id or number.
func (m *FeatureMap) Digest() string {
	m.once.Do(func() {
		h := sha256.New()
		if err := json.NewEncoder(h).Encode(m); err != nil { // check refuses what JSON cannot hold
			panic(fmt.Sprintf("data: feature map: %v", err))
		}
		m.digest = hex.EncodeToString(h.Sum(nil))
	})
	return m.digest
}

// Check returns what makes m unusable, for maps that come from a file.
func (m *FeatureMap) Check() error {
	if m == nil {
		return errors.New("there is none")
	}
	if m.Version != MapVersion {
		return fmt.Errorf("version %d, want %d", m.Version, MapVersion)
	}
	if len(m.Features) == 0 && m.Text == nil || m.Rows < 0 {
		return fmt.Errorf("%d features of %d rows", len(m.Features), m.Rows)
	}
	if m.Text != nil {
		if err := m.Text.check(); err != nil {
			return err
		}
	}
	names := map[string]bool{}
	for _, t := range m.Tables {
		if t == nil || t.Name == "" || names[t.Name] {
			return fmt.Errorf("a table without a name of its own")
		}
		names[t.Name] = true
		if err := t.check(); err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	clear(names)
	for _, f := range m.Features {
		if f.Name == "" || names[f.Name] {
			return fmt.Errorf("feature %q is there twice or has no name", f.Name)
		}
		names[f.Name] = true
		if err := m.checkFeature(&f); err != nil {
			return fmt.Errorf("feature %s: %w", f.Name, err)
		}
	}
	return nil
}

func (m *FeatureMap) checkFeature(f *MapFeature) error {
	if f.Kind > Sequence || f.Transform != "" && !slices.Contains(transforms, f.Transform) && !f.ReadsTimes() {
		return fmt.Errorf("kind %v, transform %q", f.Kind, f.Transform)
	}
	if (f.Kind == Numeric) != (f.Transform != "" && !f.makesTokens()) || f.Kind.Lists() && f.ReadsNumbers() {
		return fmt.Errorf("transform %q does not go with kind %v", f.Transform, f.Kind)
	}
	if f.Kind != Numeric && m.Table(f.Table) == nil {
		return fmt.Errorf("no table %q", f.Table)
	}
	if (f.Kind == Sequence) != (f.Keep != "") || f.Keep != "" && f.Keep != KeepLast && f.Keep != KeepFirst {
		return fmt.Errorf("a %v that keeps %q", f.Kind, f.Keep)
	}
	if f.From != "" {
		from := m.feature(f.From)
		if from == nil || from.From != "" || f.Kind == Numeric || from.Kind != f.Kind || from.MaxLen != f.MaxLen {
			return fmt.Errorf("cannot follow from %q", f.From)
		}
		if of := m.Table(f.Table).Of; len(of) != m.Table(from.Table).Size() {
			return fmt.Errorf("table %s is of %d ids, not of the %d of table %s", f.Table, len(of), m.Table(from.Table).Size(), from.Table)
		}
	}
	if f.Kind.Lists() && (f.Separator == "" || f.MaxLen < 1 || f.MaxLen > 1<<16) {
		return fmt.Errorf("separator %q, %d ids", f.Separator, f.MaxLen)
	}
	if f.Transform == Standardize && !(f.Std > 0) {
		return fmt.Errorf("standard deviation %g", f.Std)
	}
	if err := clock.Check(f.Time); err != nil || f.Time != "" && !f.ReadsTimes() {
		return fmt.Errorf("times of %q", f.Time)
	}
	if f.Prefix < 0 || f.Prefix > maxPrefix || f.Prefix > 0 && (f.Kind != Categorical || f.ReadsNumbers()) {
		return fmt.Errorf("a prefix of %d characters", f.Prefix)
	}
	if f.Count < 0 || f.Count > maxWidth || f.Count > 0 && (f.Kind != Numeric || f.Transform != Raw || f.Separator == "") {
		return fmt.Errorf("a %v of %d numbers, transform %q, separator %q", f.Kind, f.Count, f.Transform, f.Separator)
	}
	if f.Dim < 0 || f.Dim > maxWidth || !(f.InitStd >= 0 && f.InitStd <= math.MaxFloat32) || f.Project && f.Count == 0 && (f.Dim == 0 || f.Kind == Numeric) || f.Frozen && f.Kind == Numeric {
		return fmt.Errorf("a %v of width %d, projected %v, frozen %v, drawn with %g", f.Kind, f.Dim, f.Project, f.Frozen, f.InitStd)
	}
	if f.Transform == MinMax && !(f.High > f.Low) {
		return fmt.Errorf("numbers from %g to %g", f.Low, f.High)
	}
	if !ascending(f.Edges) || len(f.Edges) > maxEdges || f.Buckets < 0 || f.Buckets > maxEdges {
		return fmt.Errorf("%d edges of buckets, which must be ascending", len(f.Edges))
	}
	for _, v := range [...]float64{f.Fill, f.Mean, f.Std, f.Low, f.High} {
		if !(math.Abs(v) <= math.MaxFloat32) {
			return fmt.Errorf("number %g is out of range", v)
		}
	}
	return nil
}
