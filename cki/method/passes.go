package method

import (
	"context"
	"fmt"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/models"
	"github.com/splice-ml/splice/models/nn"
)

// passes runs parents' models over the Lab's training rows, the same rows for each.
type passes struct {
	in      *cki.Input
	name    string // of the method
	rows    int64  // at most
	compile models.CompileOptions
}

// params returns parent k as the model's parameters.
func (p *passes) params(k int) (*nn.Params, error) {
	q, err := p.in.Lab.NewParams(p.in.Seed)
	if err != nil {
		return nil, err
	}
	all := *p.in
	all.Select = nil
	return q, all.Fill(cki.Merged{Tensor: pass(k)}, q)
}

// run calls each after every batch that parent k's model ran, with its number of rows. A smaller batch after the first is left
// out, so that all count alike.
func (p *passes) run(ctx context.Context, k int, each func(prog *models.Program, rows int)) error {
	wrap := func(err error) error {
		return fmt.Errorf("method: %s: parent %s: %w", p.name, p.in.Parents[k].Name, err)
	}
	lab := p.in.Lab
	if lab.Data == nil || lab.Data.Train == nil {
		return wrap(fmt.Errorf("the data has no training rows"))
	}
	params, err := p.params(k)
	if err != nil {
		return wrap(err)
	}
	compile := p.compile
	if compile.Capture != nil {
		compile.Length = models.Longest(lab.Data.Train.Schema()) // one graph, whose nodes are looked at
	}
	prog, err := models.Compile(lab.Model, params, lab.Data.Train.Schema(), compile)
	if err != nil {
		return wrap(err)
	}
	defer prog.Close()
	var rows, step int64
	for b, err := range lab.Data.Train.Batches(0, p.compile.Batch) {
		if err != nil {
			return wrap(err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if step > 0 && (b.N < p.compile.Batch || rows+int64(b.N) > p.rows) {
			break
		}
		if _, err := prog.Run(b, step); err != nil {
			return wrap(err)
		}
		each(prog, b.N)
		rows, step = rows+int64(b.N), step+1
	}
	if step == 0 {
		return wrap(fmt.Errorf("the data has no training rows"))
	}
	return nil
}

// together runs several models over the Lab's training rows, side by side. Changes of a model's parameters take effect in the next pass.
type together struct {
	in    *cki.Input
	name  string // of the method
	progs []*models.Program
}

// runTogether compiles the models of the parameters, for evaluation, each with one graph whose nodes can be looked at.
func runTogether(in *cki.Input, name string, params []*nn.Params, batch int) (*together, error) {
	t := &together{in: in, name: name}
	if in.Lab.Data == nil || in.Lab.Data.Train == nil {
		return nil, fmt.Errorf("method: %s: the data has no training rows", name)
	}
	sc := in.Lab.Data.Train.Schema()
	for _, p := range params {
		prog, err := models.Compile(in.Lab.Model, p, sc,
			models.CompileOptions{Batch: batch, Length: models.Longest(sc), Precision: in.Lab.Options.Precision})
		if err != nil {
			t.close()
			return nil, fmt.Errorf("method: %s: %w", name, err)
		}
		t.progs = append(t.progs, prog)
	}
	return t, nil
}

// rows calls each after every batch that all models ran, with the number of its rows that count, until there were so many rows.
func (t *together) rows(ctx context.Context, most int64, each func(progs []*models.Program, n int) error) error {
	var rows int64
	for b, err := range t.in.Lab.Data.Train.Batches(0, t.progs[0].Batch()) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, p := range t.progs {
			if _, err := p.Run(b, 0); err != nil {
				return err
			}
		}
		n := int(min(int64(b.N), most-rows))
		if err := each(t.progs, n); err != nil {
			return err
		}
		if rows += int64(n); rows >= most {
			break
		}
	}
	if rows == 0 {
		return fmt.Errorf("the data has no training rows")
	}
	return nil
}

// close frees the programs.
func (t *together) close() {
	for _, p := range t.progs {
		p.Close()
	}
}
