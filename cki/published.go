package cki

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/data/token"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// view shows tensors of a reader by other names, without some of them, or with rows in another order.
type view struct {
	Reader
	infos []ckpt.Info        // with the names that are shown
	names map[string]string  // in the reader, by those that are shown
	rows  map[string][]int32 // of tensors in another order: where in the reader each row is
}

// newView returns a view of all tensors of a reader, as they are.
func newView(r Reader) *view {
	v := &view{Reader: r, names: map[string]string{}, rows: map[string][]int32{}}
	for _, t := range r.Tensors() {
		v.show(t.Name, t)
	}
	return v
}

// show shows the reader's tensor by a name.
func (v *view) show(name string, t ckpt.Info) {
	v.names[name] = t.Name
	t.Name = name
	v.infos = append(v.infos, t)
}

func (v *view) Tensors() []ckpt.Info { return v.infos }

func (v *view) ReadRows(name string, lo, hi int, dst []float32) error {
	rows := v.rows[name]
	if rows == nil {
		return v.Reader.ReadRows(v.names[name], lo, hi, dst)
	}
	if lo < 0 || hi < lo || hi > len(rows) {
		return fmt.Errorf("cki: tensor %s: rows %d to %d of %d", name, lo, hi, len(rows))
	}
	for i, row := range rows[lo:hi] {
		dim := len(dst) / (hi - lo)
		if err := v.Reader.ReadRows(v.names[name], int(row), int(row)+1, dst[i*dim:(i+1)*dim]); err != nil {
			return err
		}
	}
	return nil
}

// WriteRaw writes the bytes of a tensor as they are stored.
func (v *view) WriteRaw(name string, w io.Writer) error {
	r, ok := v.Reader.(rawReader)
	if !ok || v.rows[name] != nil {
		return fmt.Errorf("cki: tensor %s: its bytes are not stored as they are shown", name)
	}
	return r.WriteRaw(v.names[name], w)
}

// Close closes the reader.
func (v *view) Close() error {
	if c, ok := v.Reader.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Import shows the tensors of parents that are no runs by the names of a model which knows how published checkpoints call them.
// What the model does not need is left out. Parents of other models stay as they are.
func Import(parents []*Parent, m models.Model) {
	im, ok := m.(models.Importer)
	if !ok {
		return
	}
	for _, p := range parents {
		if p.Map != nil {
			continue
		}
		v := &view{Reader: p.Reader, names: map[string]string{}}
		var others []ckpt.Info
		for _, t := range p.Tensors() {
			name, ok := im.Import(t.Name)
			if _, twice := v.names[name]; !ok || twice {
				others = append(others, t)
				continue
			}
			v.show(name, t)
		}
		for _, t := range others { // a parameter that is there under its other name alone
			short, tied := models.TiedTo(t.Name)
			name, ok := im.Import(short)
			if tied && ok && v.names[name] == "" {
				v.show(name, t)
			}
		}
		p.Reader = v
	}
}

// Reconcile shows the parents by the base's names, as far as they have no feature maps: with and without the model's prefix, the names
// of earlier releases, and tied tensors under either name. Rows of a head go to the base's classes. What the result takes from the base
// anyway, buffers and integers, is left out of the others. Heads of other classes and tokenizers with other ids are errors.
//
// Beside a run over texts, a Hugging Face directory is shown as the first such run: by its names and in the order of its classes. It
// then has the run's feature map.
func Reconcile(parents []*Parent) error {
	var errs []error
	if i := slices.IndexFunc(parents, func(p *Parent) bool { return p.Map != nil && p.Map.Text != nil }); i >= 0 {
		for _, p := range parents {
			if p.Map != nil || p.Published == "" {
				continue
			}
			if err := likeRun(parents[i], p); err != nil {
				errs = append(errs, err)
			}
		}
		if len(errs) > 0 {
			return errors.Join(errs...)
		}
	}
	for _, p := range parents[min(1, len(parents)):] {
		base := parents[0]
		if base.Map != nil || p.Map != nil {
			continue
		}
		rename(base, p)
		if base.Published == "" || p.Published == "" {
			continue
		}
		was, err := start.ReadPublished(p.Published)
		want, wrong := start.ReadPublished(base.Published)
		if err := cmp.Or(err, wrong); err != nil {
			errs = append(errs, fmt.Errorf("cki: parent %s: %w", p.Name, err))
			continue
		}
		if was.Classes != nil && want.Classes != nil {
			if err := turn(p, was.Classes, want.Classes); err != nil {
				errs = append(errs, fmt.Errorf("cki: parent %s: %w: parent %s", p.Name, err, base.Name))
			}
		}
		if what := start.OtherModel(base.Published, p.Published); what != "" {
			errs = append(errs, fmt.Errorf("cki: parent %s: its %s has %s of parent %s: other models, which cannot be merged; "+
				"give the files of the weights if you know better", p.Name, run.ModelConfigFile, what, base.Name))
		}
		if err := sameIDs(base.Published, p.Published); err != nil {
			errs = append(errs, fmt.Errorf("cki: parent %s: its tokenizer is not that of parent %s: %w: "+
				"an id means another token to each; give the files of the weights if you know better", p.Name, base.Name, err))
		} else if err := sameCuts(base.Published, p.Published); err != nil {
			errs = append(errs, fmt.Errorf("cki: parent %s: its tokenizer is not that of parent %s: %w, for instance since one of them makes "+
				"lower case of it; give both the files of one tokenizer, or the files of the weights if you know better", p.Name, base.Name, err))
		}
	}
	return bound.Join(errs...)
}

// likeRun shows a Hugging Face directory as a run over texts.
func likeRun(r, p *Parent) error {
	rename(r, p)
	if what := start.OtherModel(run.Of(r.Name), p.Published); what != "" {
		return fmt.Errorf("cki: parent %s: its %s has %s: other models, which cannot be merged", p.Name, run.ModelConfigFile, what+" of parent "+r.Name)
	}
	text := r.Map.Text
	was, err := start.ReadPublished(p.Published)
	if err != nil {
		return fmt.Errorf("cki: parent %s: %w", p.Name, err)
	}
	if was.Classes != nil && text.Labels != nil {
		if err := turn(p, was.Classes, text.Labels); err != nil {
			return fmt.Errorf("cki: parent %s: %w: parent %s", p.Name, err, r.Name)
		}
	}
	tok, err := token.Open(p.Published)
	if err != nil {
		return fmt.Errorf("cki: parent %s: whether its tokenizer is that of parent %s cannot be told: %w", p.Name, r.Name, err)
	}
	if have := fmt.Sprintf("%016x", tok.Fingerprint()); have != text.Fingerprint {
		return fmt.Errorf("cki: parent %s: its tokenizer is not that of parent %s: an id means another token to each%s; "+
			"merge models of one tokenizer", p.Name, r.Name, example(run.Of(r.Name), p.Published))
	}
	p.Map = r.Map
	return nil
}

// example names an id that the tokenizers of two directories give to different tokens, if there is one.
func example(dir, other string) string {
	if err := sameIDs(dir, other); err != nil {
		return fmt.Sprintf(" (%v)", err)
	}
	return ""
}

// rename shows p by the base's names.
func rename(base, p *Parent) {
	byName, taken := map[string]ckpt.Info{}, map[string]bool{}
	for _, t := range p.Tensors() {
		byName[t.Name] = t
	}
	v := &view{Reader: p.Reader, names: map[string]string{}}
	show := func(name string, t ckpt.Info) {
		v.show(name, t)
		taken[t.Name] = true
	}
	as := prefixed(base, p)
	var lacking []string
	for _, t := range base.Tensors() {
		u, ok := byName[t.Name]
		if !ok {
			u, ok = byName[as[t.Name]]
		}
		switch {
		case !Mergeable(t) && (!ok || !u.DType.IsFloat() || models.IsBuffer(t.Name)):
			taken[u.Name] = true // the base's holds
		case ok:
			show(t.Name, u)
		default:
			lacking = append(lacking, t.Name)
		}
	}
	for _, name := range lacking {
		for _, u := range p.Tensors() {
			if models.Tied(u.Name, name) || models.Tied(name, u.Name) {
				show(name, u)
				break
			}
		}
	}
	for _, u := range p.Tensors() {
		again := func(t ckpt.Info) bool { return models.Tied(u.Name, t.Name) || models.Tied(t.Name, u.Name) }
		if !taken[u.Name] && Mergeable(u) && !slices.ContainsFunc(base.Tensors(), again) {
			v.show(u.Name, u) // Check says that the base has none
		}
	}
	p.Reader = v
}

// prefixed returns the names in p of the base's tensors that p has with, or without, one part more in front, or by the name of an
// earlier release.
func prefixed(base, p *Parent) map[string]string {
	type change struct {
		part string
		more bool // of p
	}
	have := map[string]bool{}
	for _, t := range p.Tensors() {
		have[t.Name] = true
	}
	want := map[string]string{} // names of the base, by their current form
	parts := map[string]bool{}
	for _, t := range base.Tensors() {
		want[models.CurrentName(t.Name)] = t.Name
		if first, _, ok := strings.Cut(t.Name, "."); ok {
			parts[first] = true
		}
	}
	as := map[string]string{}
	by := map[change]map[string]string{}
	for name := range have {
		now := models.CurrentName(name)
		if b, ok := want[now]; ok {
			as[b] = name
			continue
		}
		add := func(c change, full string) {
			b, ok := want[full]
			if !ok || have[b] {
				return
			}
			if by[c] == nil {
				by[c] = map[string]string{}
			}
			by[c][b] = name
		}
		for part := range parts {
			add(change{part, false}, part+"."+now)
		}
		if part, rest, ok := strings.Cut(now, "."); ok {
			add(change{part, true}, rest)
		}
	}
	most, twice := 0, false
	for _, names := range by {
		most, twice = max(most, len(names)), len(names) == most || twice && len(names) < most
	}
	for _, names := range by {
		if len(names) == most && !twice { // else there is no telling which
			maps.Copy(as, names)
		}
	}
	return as
}

// turn shows the rows of a head by class in another order.
func turn(p *Parent, was, want []string) error {
	var head []string
	for _, t := range p.Tensors() {
		if models.IsOutput(t.Name) {
			head = append(head, t.Name)
		}
	}
	if len(head) == 0 {
		return nil // what the config says of classes is about no tensor here
	}
	rows := start.MatchClasses(was, want)
	if rows == nil {
		return fmt.Errorf("its head is for the classes %s, not for %s", bound.Names(was), bound.Names(want))
	}
	if slices.IsSorted(rows) {
		return nil
	}
	v := newView(p.Reader)
	for _, t := range v.infos {
		if !models.IsOutput(t.Name) {
			continue
		}
		if len(t.Shape) == 0 || t.Shape[0] != len(rows) {
			return fmt.Errorf("tensor %s %v has no row for each of the classes %s, which have another order than those",
				t.Name, t.Shape, bound.Names(was))
		}
		v.rows[t.Name] = rows
	}
	p.Reader = v
	return nil
}

// sameIDs reports an id that two directories' tokenizers give to different tokens. One that cannot be read says nothing.
func sameIDs(dir, other string) error {
	a, err := token.Open(dir)
	if err != nil {
		return nil
	}
	b, err := token.Open(other)
	if err != nil || a.Fingerprint() == b.Fingerprint() {
		return nil
	}
	for id := range int32(max(a.Vocab(), b.Vocab())) {
		if x, y := a.Token(id), b.Token(id); x != y {
			return fmt.Errorf("id %d is %q to one and %q to the other", id, y, x)
		}
	}
	return nil
}

// cutTokens is how many tokens of a vocabulary sameCuts looks at.
const cutTokens = 1000

// sameCuts returns an error with a text of which the tokenizers of two directories make other ids. The texts are words of the
// vocabulary as they are, in upper case and with an accent. A directory without a tokenizer makes none.
func sameCuts(dir, other string) error {
	a, err := token.Open(dir)
	if err != nil {
		return nil
	}
	b, err := token.Open(other)
	if err != nil || a.Fingerprint() == b.Fingerprint() {
		return nil
	}
	for id := range int32(min(a.Vocab(), cutTokens)) {
		word := a.Token(id)
		if r, _ := utf8.DecodeRuneInString(word); !unicode.IsLetter(r) { // special tokens stand in brackets
			continue
		}
		for _, text := range []string{word, strings.ToUpper(word), word + "\u0301"} {
			var x, y token.Encoding
			if a.Encode(&x, 0, text) != nil || b.Encode(&y, 0, text) != nil {
				continue
			}
			if !slices.Equal(x.IDs, y.IDs) {
				return fmt.Errorf("%q has the ids %v to one and %v to the other", text, y.IDs, x.IDs)
			}
		}
	}
	return nil
}

// ToData shows the rows of the parents' heads by the data's classes. The parents must have been reconciled: their classes are in the
// base's order. What is not the data's is a warning, since other names may mean the same.
func ToData(parents []*Parent, d *data.Splits, log *slog.Logger) ([]*Parent, error) {
	if len(parents) == 0 || parents[0].Published == "" || parents[0].Map != nil || d.Schema.Text == nil {
		return parents, nil
	}
	base := parents[0]
	if tok, err := token.Open(base.Published); err == nil && d.Map != nil && d.Map.Text != nil &&
		fmt.Sprintf("%016x", tok.Fingerprint()) != d.Map.Text.Fingerprint {
		log.Warn("the tokenizer beside the base is not the data's: if ids mean other tokens to it, set data.tokenizer", "base", base.Name)
	}
	published, err := start.ReadPublished(base.Published)
	if err != nil {
		return nil, fmt.Errorf("cki: parent %s: %w", base.Name, err)
	}
	order, want := published.Classes, d.Schema.Text.Labels
	var out []*Parent
	for _, p := range parents {
		was := order
		if was == nil && p.Published != "" { // the base does not say
			about, err := start.ReadPublished(p.Published)
			if err != nil {
				return nil, fmt.Errorf("cki: parent %s: %w", p.Name, err)
			}
			was = about.Classes
		}
		q := *p
		out = append(out, &q)
		if was == nil || want == nil {
			continue
		}
		if start.MatchClasses(was, want) == nil {
			log.Warn("the classes of a parent's head have other names than the data's", "parent", p.Name, "have", was, "data", want)
			continue
		}
		if err := turn(&q, was, want); err != nil {
			return nil, fmt.Errorf("cki: parent %s: %w: the data", p.Name, err)
		}
	}
	return out, nil
}
