package text

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/crash"
	"github.com/splice-ml/splice/data/internal/cache"
	"github.com/splice-ml/splice/data/internal/namelist"
	"github.com/splice-ml/splice/data/internal/parts"
	"github.com/splice-ml/splice/data/internal/scan"
	"github.com/splice-ml/splice/data/token"
)

// maxLabels is how many classes rows can have before they look like numbers, or like no labels at all.
const maxLabels = 1000

// Fit returns the map of the train rows of files, which has the labels and the tokenizer. The tokenizer is the one that the options
// name, or one that is trained on the texts. If the options give both, nothing is read.
func (t *Data) Fit(ctx context.Context, o *parts.Opening, files []string) (*data.FeatureMap, error) {
	s := t.spec
	tok, err := openTokenizer(s.Options)
	if err != nil {
		return nil, err
	}
	findLabels := s.Label != "" && s.Labels == nil && !s.Regression
	if tok != nil && !findLabels {
		return s.newMap(tok, s.Labels, 0)
	}
	given := files[0]
	files = scan.Absolute(files)
	how := []any{"given", s.Labels}
	if tok == nil {
		how = []any{"trained", s.Options.VocabSize, s.Options.Cased, s.Labels}
	} else {
		how = append(how, data.Fingerprint(tok))
	}
	key, err := cache.Key("fit text", data.MapVersion, t.reading(), t.Split, s.Options.Lengths(), s.MaskRate, how, files)
	if err != nil {
		return nil, err
	}
	dir, err := makeDir(&o.Cache, key)
	if err != nil {
		return nil, err
	}
	path := dir + "/" + data.MapFile
	if e := o.Cache.Open(key, files); e != nil {
		m, err := data.LoadFeatureMap(path)
		if err == nil && m.Digest() == e.Map {
			var sum uint64
			if sum, err = folderSum(dir); err == nil && sum == e.Folder {
				return m, nil
			}
		}
		if err == nil {
			err = errors.New("it was changed")
		}
		o.Options.Log.Warn("data: cache is built again", "cache", path, "reason", err)
	}
	start := time.Now()
	read := &reader{labels: map[string]int64{}, find: findLabels, texts: tok == nil}
	if tok, err = read.run(ctx, t, o, files, tok); err != nil {
		return nil, err
	}
	labels := s.Labels
	if findLabels {
		if labels, err = read.list(given, s.Label); err != nil {
			return nil, err
		}
	}
	m, err := s.newMap(tok, labels, read.rows)
	if err != nil {
		return nil, err
	}
	if err := o.Cache.Wrap(m.Save(path)); err != nil {
		return nil, err
	}
	o.Options.Log.Info("data: read the train texts", "rows", m.Rows, "labels", namelist.ShowOrNone(labels), "vocabulary", m.Text.Vocab,
		"seconds", parts.Seconds(start))
	sum, err := folderSum(dir)
	if err != nil {
		return nil, err
	}
	return m, o.Cache.WriteIndex(key, &cache.Entry{Sources: read.sums, Map: m.Digest(), Folder: sum})
}

// folderSum returns a hash of the names and the bytes of the files in a folder: a tokenizer's identity does not cover all of its files.
func folderSum(dir string) (uint64, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	h := xxhash.New()
	for _, f := range list {
		if !f.Type().IsRegular() || strings.HasPrefix(f.Name(), ".") { // a file that is being written
			continue
		}
		fmt.Fprintf(h, "%q\n", f.Name())
		if err := addFile(h, filepath.Join(dir, f.Name())); err != nil {
			return 0, err
		}
	}
	return h.Sum64(), nil
}

// addFile adds the bytes of a file and their number to a hash.
func addFile(h io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	n, err := io.Copy(h, f)
	fmt.Fprintf(h, " %d\n", n)
	return errors.Join(err, f.Close())
}

// newMap returns the map of a tokenizer and labels.
func (s *Spec) newMap(tok token.Tokenizer, labels []string, rows int64) (*data.FeatureMap, error) {
	t, err := data.NewTextMap(tok, s.Options.Lengths())
	if err != nil {
		return nil, err
	}
	t.Labels, t.Regression, t.MaskRate = labels, s.Regression, s.MaskRate
	if t.MaskRate > 0 && tok.Special().Mask == token.None {
		return nil, errors.New("data: the tokenizer has no [MASK] or <mask>, which mask_rate needs")
	}
	m := &data.FeatureMap{Version: data.MapVersion, Rows: rows, Text: t}
	if err := m.Check(); err != nil {
		return nil, fmt.Errorf("data: feature map: %w", err)
	}
	return m, nil
}

// reader is the sink that reads texts and labels of train rows.
type reader struct {
	find  bool // labels
	texts bool
	out   chan []string // texts of a block
	ctx   context.Context

	labels map[string]int64
	rows   int64
	sums   []scan.FileSum
}

// run reads the rows and returns tok, or if it is nil a tokenizer that is trained.
func (r *reader) run(ctx context.Context, t *Data, o *parts.Opening, files []string, tok token.Tokenizer) (token.Tokenizer, error) {
	format, err := t.spec.format(files)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r.ctx, r.out = ctx, make(chan []string, 4)
	done := make(chan error, 1)
	go func() {
		defer close(r.out)
		done <- crash.Guard(func() error {
			sc, err := o.Passes.Run(ctx, format, newPlan(t.MaxLine), files, t.Split, r)
			if err == nil {
				r.sums = sc.Sums
			}
			return err
		})
	}()
	var trained error
	if r.texts {
		tok, trained = token.Train(ctx, r.lines(), token.TrainOptions{Size: t.spec.Options.VocabSize, Cased: t.spec.Options.Cased})
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

func (r *reader) lines() iter.Seq2[string, error] {
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

// Work does nothing.
func (r *reader) Work(*scan.Chunk) {}

// Emit takes the texts and the labels of a chunk.
func (r *reader) Emit(c *scan.Chunk) error {
	var texts []string
	for i := range c.N {
		if c.Part[i] != data.TrainPart {
			continue
		}
		r.rows++
		tok := c.Tok[i*cells : (i+1)*cells]
		if r.find {
			label := c.Data[tok[labelCell].Lo:tok[labelCell].Hi]
			if _, ok := r.labels[string(label)]; !ok && len(r.labels) >= maxLabels {
				return fmt.Errorf("data: %s: more than %d different labels; set regression if they are numbers, or name the column of the classes",
					c.Src.Path, maxLabels)
			}
			r.labels[string(label)]++
		}
		if r.texts {
			for _, s := range tok[:labelCell] {
				if s.Hi > s.Lo {
					texts = append(texts, string(c.Data[s.Lo:s.Hi]))
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
func (r *reader) list(file, column string) ([]string, error) {
	names := namelist.Sorted(r.labels)
	if len(names) < 2 {
		return nil, fmt.Errorf("data: %s: all train rows have the label %s (column %s); want two classes or more", file,
			namelist.ShowOrNone(names), column)
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

// openTokenizer opens the tokenizer that the options name. It returns nil if one is to be trained.
func openTokenizer(o data.TextOptions) (token.Tokenizer, error) {
	if o.Tokenizer == "" {
		return nil, nil
	}
	tok, err := token.Open(o.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("data: tokenizer: %w", err)
	}
	return tok, nil
}

// makeDir makes the folder of a map with a tokenizer in the cache.
func makeDir(d *cache.Dir, key string) (string, error) {
	return d.Path(key, "-text"), d.MakeIn(key + "-text")
}
