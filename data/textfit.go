package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/splice-ml/splice/data/token"
)

// maxLabels is how many classes rows can have before they look like numbers, or like no labels at all.
const maxLabels = 1000

// fitText returns the map of the train rows of path: the labels, and the tokenizer that the options name or, without one, one
// that is trained. Nothing is read if both are given.
func (b *builder) fitText(ctx context.Context) (*FeatureMap, error) {
	s := b.text
	tok, err := s.options.openTokenizer()
	if err != nil {
		return nil, err
	}
	findLabels := s.label != "" && s.labels == nil && !s.regression
	if tok != nil && !findLabels {
		return s.newMap(tok, s.labels, 0)
	}
	files := absolute(b.main)
	how := []any{"given", s.labels}
	if tok == nil {
		how = []any{"trained", s.options.VocabSize, s.options.Cased, s.labels}
	} else {
		how = append(how, fingerprint(tok))
	}
	key, err := cacheKey("fit text", mapVersion, b.reading(), b.Split, s.options.lengths(), s.maskRate, how, files)
	if err != nil {
		return nil, err
	}
	dir, err := b.cache.textDir(key)
	if err != nil {
		return nil, err
	}
	path := dir + "/" + MapFile
	if e := b.cache.open(key, files); e != nil {
		m, err := LoadFeatureMap(path)
		if err == nil && m.Digest() == e.Map {
			return m, nil
		}
		b.o.Log.Warn("data: cache is built again", "cache", path, "reason", err)
	}
	start := time.Now()
	read := &textReader{labels: map[string]int64{}, find: findLabels, texts: tok == nil}
	if tok, err = read.run(ctx, b, files, tok); err != nil {
		return nil, err
	}
	labels := s.labels
	if findLabels {
		if labels, err = read.list(b.main[0], s.label); err != nil {
			return nil, err
		}
	}
	m, err := s.newMap(tok, labels, read.rows)
	if err != nil {
		return nil, err
	}
	if err := b.cache.wrap(m.Save(path)); err != nil {
		return nil, err
	}
	b.o.Log.Info("data: read the train texts", "rows", m.Rows, "labels", labelNames(labels), "vocabulary", m.Text.Vocab, "seconds", seconds(start))
	return m, b.cache.writeIndex(key, &entry{Sources: read.sums, Map: m.Digest()})
}

// newMap returns the map of a tokenizer and labels.
func (s *textSpec) newMap(tok token.Tokenizer, labels []string, rows int64) (*FeatureMap, error) {
	t, err := newTextMap(tok, s.options.lengths())
	if err != nil {
		return nil, err
	}
	t.Labels, t.Regression, t.MaskRate = labels, s.regression, s.maskRate
	if t.MaskRate > 0 && tok.Special().Mask == token.None {
		return nil, errors.New("data: the tokenizer has no [MASK] or <mask>, which mask_rate needs")
	}
	m := &FeatureMap{Version: mapVersion, Rows: rows, Text: t}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("data: feature map: %w", err)
	}
	return m, nil
}

// textReader is the sink that reads texts and labels of train rows.
type textReader struct {
	find  bool // labels
	texts bool
	out   chan []string // texts of a block
	ctx   context.Context

	labels map[string]int64
	rows   int64
	sums   []fileSum
}

// run reads the rows and returns tok, or if it is nil a tokenizer that is trained.
func (r *textReader) run(ctx context.Context, b *builder, files []string, tok token.Tokenizer) (token.Tokenizer, error) {
	format, err := b.text.format(files)
	if err != nil {
		return nil, err
	}
	b.format = format
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.ctx, r.out = ctx, make(chan []string, 4)
	done := make(chan error, 1)
	go func() {
		sc, err := b.scan(ctx, textPlan(b.MaxLine), files, b.Split, r)
		if err == nil {
			r.sums = sc.sums
		}
		close(r.out)
		done <- err
	}()
	var trained error
	if r.texts {
		o := token.TrainOptions{Size: b.text.options.VocabSize, Cased: b.text.options.Cased}
		tok, trained = token.Train(ctx, r.lines(), o)
		cancelIf(trained, cancel)
	}
	for range r.out {
	}
	if err := <-done; err != nil && !(trained != nil && errors.Is(err, context.Canceled)) {
		return nil, err
	}
	if trained != nil {
		return nil, fmt.Errorf("data: vocabulary of the train texts: %w", trained)
	}
	return tok, nil
}

func cancelIf(err error, cancel func()) {
	if err != nil {
		cancel()
	}
}

func (r *textReader) lines() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for texts := range r.out {
			for _, t := range texts {
				if !yield(t, nil) {
					return
				}
			}
		}
	}
}

func (r *textReader) work(*chunk) {}

func (r *textReader) emit(c *chunk) error {
	var texts []string
	for i := range c.n {
		if c.part[i] != partTrain {
			continue
		}
		r.rows++
		tok := c.tok[i*textTokens : (i+1)*textTokens]
		if r.find {
			label := c.data[tok[textLabel].lo:tok[textLabel].hi]
			if _, ok := r.labels[string(label)]; !ok && len(r.labels) >= maxLabels {
				return fmt.Errorf("data: %s: more than %d different labels; set regression if they are numbers, or name the column of the classes", c.src.path, maxLabels)
			}
			r.labels[string(label)]++
		}
		if r.texts {
			for _, s := range tok[:textLabel] {
				if s.hi > s.lo {
					texts = append(texts, string(c.data[s.lo:s.hi]))
				}
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	select {
	case r.out <- texts:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// list returns the labels that were found: in the order of their numbers if all are whole, else by their bytes.
func (r *textReader) list(file, column string) ([]string, error) {
	names := sortedKeys(r.labels)
	if len(names) < 2 {
		return nil, fmt.Errorf("data: %s: all train rows have the label %s (column %s); want two classes or more", file, labelNames(names), column)
	}
	if slices.IndexFunc(names, func(s string) bool { return !isWhole(s) }) < 0 {
		slices.SortStableFunc(names, func(a, b string) int {
			x, _ := strconv.ParseInt(a, 10, 64)
			y, _ := strconv.ParseInt(b, 10, 64)
			return cmp.Or(cmp.Compare(x, y), strings.Compare(a, b))
		})
	}
	return names, nil
}
