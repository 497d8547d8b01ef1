package export

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
)

// Files of a table of embeddings, which `pretrained.file` of a column reads too.
const (
	EmbeddingsFile = "embeddings.safetensors" // the tensor embeddings, [tokens, width]
	TokensFile     = "embeddings.tokens"      // the token of each row, one a line
)

// Embeddings writes the embeddings of a column's tokens, or of the tokens of a table, into a new directory, which is there when all is
// written, or not at all. Padding and unknown tokens are left out. It returns the number of tokens and the width.
func Embeddings(r *job.Run, column, dir string) (tokens, width int, err error) {
	o, err := open(r)
	if err != nil {
		return 0, 0, err
	}
	p, v, err := o.table(column)
	if err != nil {
		return 0, 0, err
	}
	for _, t := range v.Tokens {
		if strings.ContainsAny(t, "\r\n") {
			return 0, 0, bad(r, "column %s: the token %q has a line break in it, so that tokens cannot be written one a line", column, t)
		}
	}
	if _, err := os.Lstat(dir); err == nil {
		return 0, 0, run.BadInput(fmt.Errorf("%s is there already: give the name of a new directory, or move it away", dir))
	} else if !errors.Is(err, fs.ErrNotExist) {
		return 0, 0, run.BadInput(err)
	}
	if err := run.CheckOutput(dir); err != nil {
		return 0, 0, run.BadInput(fmt.Errorf("%s %w", dir, err))
	}
	dir = filepath.Clean(dir)
	if info, err := os.Stat(filepath.Dir(dir)); err != nil {
		return 0, 0, run.BadInput(err)
	} else if !info.IsDir() {
		return 0, 0, run.BadInput(fmt.Errorf("%s is no directory", filepath.Dir(dir)))
	}
	at := filepath.Join(filepath.Dir(dir), fmt.Sprintf(".%s.%d.tmp", filepath.Base(dir), os.Getpid()))
	if err := os.Mkdir(at, 0o777); err != nil {
		return 0, 0, run.BadInput(err)
	}
	defer os.RemoveAll(at) // nothing is there once it has its name
	if err := writeTable(at, p, v, column); err != nil {
		return 0, 0, err
	}
	return len(v.Tokens), p.Shape[1], atomicfile.Rename(at, dir)
}

// writeTable writes both files.
func writeTable(dir string, p *nn.Param, v *data.Vocabulary, column string) error {
	width := p.Shape[1]
	info := []ckpt.Info{{Name: "embeddings", DType: ckpt.F32, Shape: []int{len(v.Tokens), width}}}
	meta := map[string]string{"column": column, "parameter": p.Name}
	err := ckpt.Stream(filepath.Join(dir, EmbeddingsFile), info, meta, func(_ string, w io.Writer) error {
		out := bufio.NewWriterSize(w, 1<<16)
		var b [4]byte
		for _, x := range p.Data[data.FirstID*width : (data.FirstID+len(v.Tokens))*width] {
			binary.LittleEndian.PutUint32(b[:], math.Float32bits(x))
			if _, err := out.Write(b[:]); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, TokensFile), func(w io.Writer) error {
		for _, t := range v.Tokens {
			if _, err := io.WriteString(w, t+"\n"); err != nil {
				return err
			}
		}
		return nil
	})
}

// table returns the widest table that the model looks a column up in, and its tokens.
func (o *opened) table(column string) (*nn.Param, *data.Vocabulary, error) {
	if o.schema.Text != nil {
		return nil, nil, bad(o.Run, "reads texts: it has no columns whose embeddings could be written; the model's table of tokens is in %s", run.ModelFile)
	}
	s, err := models.NewScoring(o.Model, o.params, o.schema)
	if err != nil {
		return nil, nil, run.BadInput(err)
	}
	var p *nn.Param
	var f *data.Feature
	var have []string
	for _, l := range s.Lookups {
		for _, field := range l.Fields {
			g := field.Feature
			if g.Kind == data.Numeric || l.Dim == 1 && l.Reduce {
				continue
			}
			if !slices.Contains(have, g.Name) {
				have = append(have, g.Name)
			}
			if (g.Name == column || g.Table == column) && (p == nil || l.Dim > p.Shape[1]) {
				p, f = field.Param, g
			}
		}
	}
	if p == nil {
		if len(have) == 0 {
			return nil, nil, bad(o.Run, "the model embeds no column")
		}
		return nil, nil, bad(o.Run, "the model embeds no column %q: it embeds %s", column, bound.Names(have))
	}
	v := o.Map.Table(f.Table)
	if v.Hash > 0 {
		return nil, nil, bad(o.Run, "column %s is hashed into %d buckets, which have no tokens: give a column with a vocabulary", column, v.Hash)
	}
	if len(v.Tokens) == 0 {
		return nil, nil, bad(o.Run, "column %s has no tokens", column)
	}
	return p, v, nil
}
