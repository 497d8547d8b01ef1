package merge

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/cki/compare"
	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// Explanation says what a merge took from whom. It is found from the values of the merge and of its parents, whatever the method was.
type Explanation struct {
	Dir     string
	Passed  compare.RowName // what the model is
	Parents []string
	Changed []string // parents that are other models now than those that were merged
	Tensors []TensorOrigin
}

// TensorOrigin says where a tensor's values come from.
type TensorOrigin struct {
	Name     string
	Shape    []int
	Shares   []float64 // by parent: weights of sum 1; nil if the parents are equal, or do not determine them
	Residual float64   // distance of the tensor's rows from combinations of the parents', over the tensor's norm
	Rows     *RowOrigins
}

// RowOrigins say where the rows of a matrix come from: the embeddings of a table, or the weights of a layer.
type RowOrigins struct {
	Table   bool
	Mostly  []int       // by parent: rows of which it has more than half
	Mixed   int         // rows of which no parent has more than half
	Equal   int         // rows that the parents have in common, or that they do not determine
	Extreme []RowOrigin // of a table: the rows that are most of one parent, those that were trained most first
}

// RowOrigin is a row of a table.
type RowOrigin struct {
	Token  string
	Shares []float64 // by parent
	Counts []int64   // by parent: how often it trained the row; nil if that is not known
}

// extremeRows is how many rows of a table are shown.
const extremeRows = 10

// GoneError says that the parents of a merge are not there any more.
type GoneError struct {
	Dir  string
	Gone []string
}

// Error names them.
func (e *GoneError) Error() string {
	return fmt.Sprintf("%s was merged of %s, which is not there any more: what came from whom can be found from the parents alone (%s has what was known then)",
		e.Dir, bound.Names(e.Gone), filepath.Join(e.Dir, run.MarkdownFile))
}

// Explain finds out what the merge in a directory took from whom. m is its model; nil if nothing but tensors is known.
func Explain(dir string, m models.Model) (*Explanation, error) {
	from, err := readProvenance(dir)
	if err != nil {
		return nil, err
	}
	out := &Explanation{Dir: dir, Passed: from.Passed}
	if from.Passed == compare.RowRounds {
		return nil, run.BadInput(fmt.Errorf("%s is one model that was trained in rounds: it has no parents", dir))
	}
	var paths, gone []string
	for _, p := range from.Parents {
		out.Parents = append(out.Parents, p.Name)
		if path := foundParent(dir, p.Name); path != "" {
			paths = append(paths, path)
		} else {
			gone = append(gone, p.Name)
		}
	}
	if len(gone) > 0 {
		return nil, run.BadInput(&GoneError{dir, gone})
	}
	parents, err := OpenParents(paths, m)
	if err != nil {
		return nil, err
	}
	defer CloseParents(parents)
	result, err := cki.Open(dir)
	if err != nil {
		return nil, run.BadInput(err)
	}
	defer result.Close()
	cki.Import([]*cki.Parent{result}, m)
	alone, mixed := cki.Remap(parents, result.Map, cki.FillOOV), cki.Remap(parents, result.Map, cki.FillOther)
	for i, p := range from.Parents {
		same := false
		for _, as := range []*cki.Parent{parents[i], alone[i]} {
			d, err := cki.Digest(as)
			if err != nil {
				return nil, run.BadInput(err)
			}
			same = same || d == p.Digest
		}
		if !same {
			out.Changed = append(out.Changed, p.Name)
		}
	}
	for _, t := range result.Tensors() {
		if !cki.Mergeable(t) {
			continue
		}
		one, err := explain(t.Name, t.Shape, result, parents, mixed)
		if err != nil {
			return nil, run.BadInput(err)
		}
		out.Tensors = append(out.Tensors, *one)
	}
	return out, nil
}

func readProvenance(dir string) (*Provenance, error) {
	path := filepath.Join(dir, run.MergeFile)
	b, err := bound.ReadFile(path, bound.JSON)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, run.BadInput(fmt.Errorf("%s is no merge: it has no %s", dir, run.MergeFile))
	} else if err != nil {
		return nil, run.BadInput(err)
	}
	p := &Provenance{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, run.BadInput(fmt.Errorf("%s: %w", path, err))
	}
	if len(p.Parents) == 0 {
		return nil, run.BadInput(fmt.Errorf("%s names no parents", path))
	}
	return p, nil
}

// foundParent returns the path of a parent: its name, or of one that the regime made, a directory in that of the merge.
func foundParent(dir, name string) string {
	for _, path := range []string{filepath.Join(dir, run.ParentsDir, name), name} {
		if bound.Exists(path) {
			return path
		}
	}
	return ""
}

// explainedValues is about how many values of a tensor are read at once.
const explainedValues = 1 << 18

// explain finds out where the values of a tensor come from. parents are as they are, and mixed as they were merged.
func explain(name string, shape []int, result *cki.Parent, parents, mixed []*cki.Parent) (*TensorOrigin, error) {
	for _, p := range mixed {
		at := slices.IndexFunc(p.Tensors(), func(t ckpt.Info) bool { return t.Name == name })
		if at < 0 || !slices.Equal(p.Tensors()[at].Shape, shape) {
			return nil, fmt.Errorf("%s: parent %s has no tensor %s of shape %v: it is another model now", result.Name, p.Name, name, shape)
		}
	}
	rows, dim := 1, 1
	for i, n := range shape {
		if i == 0 {
			rows = n
		} else {
			dim *= n
		}
	}
	out := &TensorOrigin{Name: name, Shape: shape}
	if len(shape) < 2 {
		rows, dim = 1, rows
	} else {
		out.Rows = &RowOrigins{Mostly: make([]int, len(mixed))}
	}
	table := cki.TableOf(result, name)
	known := knownBy(table, parents)
	if known != nil {
		out.Rows.Table = true
	}
	whole, row := report.NewMix(len(mixed)), report.NewMix(len(mixed))
	step := max(1, min(rows, explainedValues/max(1, dim)))
	merged := make([]float32, step*dim)
	values := make([][]float32, len(mixed))
	for k := range values {
		values[k] = make([]float32, step*dim)
	}
	slice := make([][]float32, len(mixed))
	var rest float64
	for lo := 0; lo < rows; lo += step {
		n := min(step, rows-lo)
		read := func(p *cki.Parent, dst []float32) error {
			hi := lo + n
			if len(shape) < 2 {
				hi = dim // a vector is one row here
			}
			if err := p.ReadRows(name, lo, hi, dst); err != nil {
				return err
			}
			if i := nn.NotFinite(dst); i >= 0 {
				return fmt.Errorf("%s: tensor %s: value %d is %v", p.Name, name, lo*dim+i, dst[i])
			}
			return nil
		}
		if err := read(result, merged[:n*dim]); err != nil {
			return nil, err
		}
		for k, p := range mixed {
			if err := read(p, values[k][:n*dim]); err != nil {
				return nil, err
			}
		}
		of := func(at, n int) [][]float32 {
			for k := range slice {
				slice[k] = values[k][at*dim : (at+n)*dim]
			}
			return slice
		}
		whole.Add(of(0, n), merged[:n*dim])
		if out.Rows == nil {
			continue
		}
		for i := range n {
			row.Reset()
			row.Add(of(i, 1), merged[i*dim:(i+1)*dim])
			weights, d := row.Weights()
			rest += d * d
			out.Rows.add(lo+i, weights, known, table, name, mixed)
		}
	}
	var d float64
	if out.Shares, d = whole.Weights(); out.Rows == nil {
		rest = d * d
	}
	out.Residual = math.Sqrt(rest) / max(whole.Norm(), math.SmallestNonzeroFloat64)
	return out, nil
}

// knownBy returns, by row and parent, whether the parent knows the token of a table's row; nil of a tensor that is no table.
func knownBy(v *data.Vocabulary, parents []*cki.Parent) [][]bool {
	if v == nil {
		return nil
	}
	known := make([][]bool, v.Size())
	for i := range known {
		known[i] = make([]bool, len(parents))
	}
	for k, p := range parents {
		if p.Map == nil || p.Map.Table(v.Name) == nil {
			continue
		}
		own := p.Map.Table(v.Name)
		for i, row := range data.RowMap(own, v) {
			known[i][k] = row >= 0
		}
	}
	return known
}

// add counts row i. Where the parents have the same values, the row is of the only parent that knows its token, if there is one.
func (r *RowOrigins) add(i int, weights []float64, known [][]bool, table *data.Vocabulary, name string, parents []*cki.Parent) {
	if weights == nil && known != nil {
		if k := slices.Index(known[i], true); k >= 0 && !slices.Contains(known[i][k+1:], true) {
			weights = make([]float64, len(parents))
			weights[k] = 1
		}
	}
	if weights == nil {
		r.Equal++
		return
	}
	best := 0
	for k, w := range weights {
		if w > weights[best] {
			best = k
		}
	}
	if weights[best] > 0.5 {
		r.Mostly[best]++
	} else {
		r.Mixed++
	}
	if known == nil || i < data.FirstID {
		return
	}
	one := RowOrigin{Token: tokenOf(table, i), Shares: weights}
	for _, p := range parents {
		if c := p.Counts[name]; i < len(c) {
			one.Counts = append(one.Counts, c[i])
		}
	}
	if len(one.Counts) < len(parents) {
		one.Counts = nil
	}
	at, _ := slices.BinarySearchFunc(r.Extreme, one, func(a, b RowOrigin) int {
		if c := compareExtremes(a, b); c != 0 {
			return c
		}
		return -1 // behind its equals
	})
	if at < extremeRows {
		r.Extreme = slices.Insert(r.Extreme, at, one)
		r.Extreme = r.Extreme[:min(len(r.Extreme), extremeRows)]
	}
}

// compareExtremes puts rows first that are more of one parent, to a hundredth, and of these the ones that were trained more often.
func compareExtremes(a, b RowOrigin) int {
	side := func(r RowOrigin) float64 { return float64(int(100*min(1, slices.Max(r.Shares)) + 0.5)) }
	trained := func(r RowOrigin) (n int64) {
		for _, c := range r.Counts {
			n += c
		}
		return n
	}
	return cmp.Or(cmp.Compare(side(b), side(a)), cmp.Compare(trained(b), trained(a)))
}

func tokenOf(v *data.Vocabulary, row int) string {
	if v.Hash > 0 || row-data.FirstID >= len(v.Tokens) {
		return fmt.Sprintf("bucket %d", row-data.FirstID)
	}
	return cmp.Or(v.Tokens[row-data.FirstID], "(blank)")
}
