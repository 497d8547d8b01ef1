package start

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/given"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
)

// Given fills the tables of p with the embeddings that the columns of a data set give, and returns the names of those tables. Tokens that a file
// lacks keep what they were drawn, and so does what stands for other tokens; the log says how many. Only the tokens of the vocabulary are held
// in memory.
func Given(ctx context.Context, d data.Dataset, m *data.FeatureMap, p *nn.Params, log *slog.Logger) ([]string, error) {
	g, ok := d.(interface {
		Given(m *data.FeatureMap) ([]data.GivenTable, error)
	})
	if !ok || m == nil {
		return nil, nil
	}
	list, err := g.Given(m)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range list {
		tables := tablesOf(p, t.Vocabulary)
		if len(tables) == 0 {
			return nil, fmt.Errorf("column %s: the model looks no embeddings of it up: leave pretrained out, or take another model", t.Column)
		}
		for _, q := range tables {
			if dim := t.Dim; dim > 0 && dim != q.Dim() {
				return nil, fmt.Errorf("column %s: pretrained.dim is %d, and the model has embeddings of %d numbers of it", t.Column, dim, q.Dim())
			}
			f := &filling{vocabulary: t.Vocabulary, to: q, where: make([]string, t.Vocabulary.Size())}
			if err := f.read(ctx, t.Pretrained); err != nil {
				return nil, fmt.Errorf("column %s: pretrained: %w", t.Column, err)
			}
			if log != nil {
				log.Info("given embeddings", "column", t.Column, "file", t.File, "tokens", len(t.Vocabulary.Tokens), "given", f.found,
					"fresh", len(t.Vocabulary.Tokens)-f.found, "unused", f.rows-f.found, "frozen", t.Freeze)
			}
			if f.found == 0 {
				return nil, fmt.Errorf("column %s: pretrained: %s has none of the column's %d tokens, such as %q; are they written alike?", t.Column, t.File,
					len(t.Vocabulary.Tokens), slices.Concat(t.Vocabulary.Tokens, []string{""})[0])
			}
			names = append(names, q.Name)
		}
	}
	return names, nil
}

// tablesOf returns the embedding tables over a vocabulary: not its first-order terms.
func tablesOf(p *nn.Params, v *data.Vocabulary) (list []*nn.Param) {
	for _, q := range p.All() {
		if q.Kind == nn.Table && strings.HasSuffix(q.Name, "."+v.Name+".weight") && !strings.HasPrefix(q.Name, "linear.") && q.Shape[0] == v.Size() {
			list = append(list, q)
		}
	}
	return list
}

// filling is a table while it is filled.
type filling struct {
	vocabulary  *data.Vocabulary
	to          *nn.Param
	where       []string // by id: where its vector stood; empty for none
	rows, found int      // of the file; of those, tokens of the vocabulary
}

// put takes the vector of a token.
func (f *filling) put(token []byte, vector []float32, where string) error {
	f.rows++
	id := f.vocabulary.ID(token)
	if id == data.OOVID {
		return nil
	}
	if first := f.where[id]; first != "" {
		return fmt.Errorf("%s: the token %q is there already, at %s", where, token, first)
	}
	f.where[id] = where
	f.found++
	copy(f.to.Data[int(id)*f.to.Dim():], vector)
	return nil
}

// read reads a file by its extension.
func (f *filling) read(ctx context.Context, p data.Pretrained) error {
	tokens := p.Tokens
	if tokens == "" {
		tokens = given.TokensFile(p.File)
	}
	dim := f.to.Dim()
	switch strings.ToLower(filepath.Ext(p.File)) {
	case ".safetensors":
		return f.readTensor(ctx, p, tokens)
	case ".npy":
		return given.Array(ctx, p.File, tokens, dim, f.put)
	case ".npz":
		return given.Archive(ctx, p.File, dim, f.put)
	case ".parquet":
		return given.Parquet(ctx, p.File, dim, f.put)
	case ".bin", ".pt", ".pth", ".pkl", ".h5":
		return fmt.Errorf("%s: cannot be read; write it as .safetensors or .npy with the tokens beside it, as .npz or .parquet with key and value, or as text, a token and its numbers a line", p.File)
	}
	return given.Text(ctx, p.File, dim, f.put)
}

// rowsAtOnce is how many rows of a tensor are read together.
const rowsAtOnce = 1024

// readTensor reads the rows of a tensor, and their tokens from a text file.
func (f *filling) readTensor(ctx context.Context, p data.Pretrained, tokens string) error {
	c, err := ckpt.Open(p.File)
	if err != nil {
		return err
	}
	defer c.Close()
	name, dim := p.Tensor, f.to.Dim()
	if name == "" {
		if len(c.Tensors) != 1 {
			return fmt.Errorf("%s: has %d tensors; name one by tensor", p.File, len(c.Tensors))
		}
		name = c.Tensors[0].Name
	}
	t := c.Info(name)
	if t == nil {
		return fmt.Errorf("%s: has no tensor %s", p.File, name)
	}
	if len(t.Shape) != 2 || t.Shape[1] != dim {
		return fmt.Errorf("%s: tensor %s has the shape %v; want rows of %d numbers (dim)", p.File, name, t.Shape, dim)
	}
	n, some := 0, make([]float32, 0, rowsAtOnce*dim)
	err = given.Tokens(ctx, tokens, func(line int, token []byte) error {
		if n >= t.Shape[0] {
			return fmt.Errorf("%s:%d: more tokens than %s has rows (%d)", tokens, line, p.File, t.Shape[0])
		}
		at := n % rowsAtOnce
		if at == 0 {
			hi := min(n+rowsAtOnce, t.Shape[0])
			some = some[:(hi-n)*dim]
			if err := c.ReadRows(name, n, hi, some); err != nil {
				return err
			}
		}
		vector := some[at*dim : (at+1)*dim]
		if i := nn.NotFinite(vector); i >= 0 {
			return fmt.Errorf("%s: row %d of tensor %s: number %d is %v, want a finite one", p.File, n, name, i, vector[i])
		}
		n++
		return f.put(token, vector, fmt.Sprintf("%s:%d", tokens, line))
	})
	if err == nil && n < t.Shape[0] {
		err = fmt.Errorf("%s: has %d tokens, %s has %d rows", tokens, n, p.File, t.Shape[0])
	}
	return err
}
