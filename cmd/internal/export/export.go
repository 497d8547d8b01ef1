// Package export is the command that writes a run in the forms of other tools.
package export

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/splice-ml/splice/cmd/internal/app"
	"github.com/splice-ml/splice/configs/export"
	"github.com/splice-ml/splice/configs/job"
	"github.com/splice-ml/splice/train/run"
)

// flags are what is asked for.
type flags struct {
	run, onnx, embeddings, out, push string
	card, measure                    bool
	set                              app.List
}

// Command returns the command.
func Command() *app.Command {
	f := &flags{}
	c := app.New("export", "writes a run in the forms of other tools: an ONNX file, a table of embeddings, a model card, a repository on a server", f.export)
	c.Flags.StringVar(&f.run, "run", "", "`directory` of the run")
	c.Flags.Var(&f.set, "set", "override a key of the run's config, `a.b=value`; may be given several times")
	c.Flags.StringVar(&f.onnx, "onnx", "", "ONNX `file` to write; "+export.FeaturesFile+" is written beside it")
	c.Flags.StringVar(&f.embeddings, "embeddings", "", "write the embeddings of the tokens of this `column`, or of a table that columns share, into --out")
	c.Flags.StringVar(&f.out, "out", "", "`directory` of --embeddings, which is made")
	c.Flags.BoolVar(&f.card, "card", false, "write a model card, README.md, into the run's directory")
	c.Flags.BoolVar(&f.measure, "measure", false, "with --card, score the test rows again, for intervals of metrics and the share of unknown tokens")
	c.Flags.StringVar(&f.push, "push", "", "upload the run by PUT to this `URL` of a server and a name, with the token of "+export.TokenVariable+
		" if that is set; how a config fetches it is printed")
	c.Examples = []string{
		"--run runs/criteo_deepfm --onnx model.onnx", "--run runs/criteo_deepfm --embeddings C1 --out embeddings", "--run runs/criteo_deepfm --card --measure",
	}
	return c
}

// export does what the flags ask for.
func (f *flags) export(ctx context.Context, c *app.Command) error {
	if err := f.check(); err != nil {
		return run.BadInput(c.Prefixed(err))
	}
	r, err := job.Open(f.run, f.set, c.Log())
	if err != nil {
		return c.Prefixed(err)
	}
	if f.onnx != "" {
		err = f.writeONNX(ctx, c, r)
	}
	if err == nil && f.embeddings != "" {
		err = f.writeEmbeddings(c, r)
	}
	if err == nil && f.card {
		if err = export.Card(ctx, r, f.measure); err == nil {
			c.Log().Info("wrote a model card", "file", filepath.Join(f.run, run.CardFile))
		}
		err = c.Prefixed(err)
	}
	if err == nil && f.push != "" { // with the card
		var section []byte
		if section, err = export.Push(ctx, r, f.target()); err == nil {
			_, err = c.Out.Write(section)
		}
		err = c.Prefixed(err)
	}
	return err
}

// target is where the run is pushed to.
func (f *flags) target() *export.Target {
	return &export.Target{URL: f.push, Token: os.Getenv(export.TokenVariable)}
}

// check compares the flags with each other.
func (f *flags) check() error {
	var errs []error
	if f.run == "" {
		errs = append(errs, errors.New("--run is missing: give the directory of a run, such as --run runs/criteo_deepfm"))
	}
	if f.onnx == "" && f.embeddings == "" && !f.card && f.push == "" {
		errs = append(errs, errors.New("nothing to write: give --onnx FILE, --embeddings COLUMN --out DIRECTORY, --card, or --push URL"))
	}
	if f.push != "" {
		if err := f.target().Check(); err != nil {
			errs = append(errs, err)
		}
	}
	if f.measure && !f.card {
		errs = append(errs, errors.New("--measure is for --card: give both"))
	}
	if f.onnx == "-" || filepath.Base(f.onnx) == export.FeaturesFile {
		errs = append(errs, fmt.Errorf("--onnx %s: give the name of an ONNX file, such as model.onnx, beside which %s is written", f.onnx, export.FeaturesFile))
	}
	if (f.embeddings == "") != (f.out == "") {
		errs = append(errs, errors.New("--embeddings and --out go together: give the column and the directory to make"))
	}
	return errors.Join(errs...)
}

func (f *flags) writeONNX(ctx context.Context, c *app.Command, r *job.Run) error {
	x, err := export.NewONNX(r)
	if err != nil {
		return c.Prefixed(err)
	}
	features := filepath.Join(filepath.Dir(f.onnx), export.FeaturesFile)
	model, err := c.Output(ctx, f.onnx)
	if err != nil {
		return err
	}
	defer model.Abort()
	about, err := c.Output(ctx, features)
	if err != nil {
		return err
	}
	defer about.Abort()
	if err := errors.Join(x.WriteFeatures(about), x.WriteModel(model)); err != nil {
		return c.Prefixed(err)
	}
	if err := errors.Join(about.Commit(), model.Commit()); err != nil {
		return c.Prefixed(err)
	}
	c.Log().Info("wrote an ONNX file", "file", f.onnx, "features", features)
	return nil
}

func (f *flags) writeEmbeddings(c *app.Command, r *job.Run) error {
	tokens, width, err := export.Embeddings(r, f.embeddings, f.out)
	if err != nil {
		return c.Prefixed(err)
	}
	c.Log().Info("wrote embeddings", "column", f.embeddings, "tokens", tokens, "width", width, "directory", f.out)
	return nil
}
