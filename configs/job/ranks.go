package job

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train/dist"
	"github.com/splice-ml/splice/train/run"
)

// group returns the ranks that train together.
func (j *Job) group() dist.Group {
	if j.Group == nil {
		return dist.Local{}
	}
	return j.Group
}

// writes reports whether this rank writes the run.
func (j *Job) writes() bool { return j.group().Rank() == 0 }

// agree returns the error of a step that all ranks make.
func (j *Job) agree(err error) error { return dist.Agree(j.group(), err, nil) }

// ready returns what all ranks train with, or the error that keeps one of them from it. They must have the same program, config, data and
// starting weights.
func (j *Job) ready(ctx context.Context, o TrainOptions, digest string) (*basis, error) {
	g, err := j.open(ctx, o, digest)
	if j.group().Size() == 1 {
		return g, err
	}
	var facts []dist.Fact
	if err == nil {
		if facts, err = j.facts(g, o, digest); err != nil {
			g.teachers.Close()
		}
	}
	if err := dist.Agree(j.group(), err, facts); err != nil {
		if g != nil {
			g.teachers.Close()
		}
		return nil, run.BadInput(err)
	}
	return g, nil
}

// facts are what the ranks must have alike.
func (j *Job) facts(g *basis, o TrainOptions, digest string) ([]dist.Fact, error) {
	program, err := programDigest()
	if err != nil {
		return nil, err
	}
	return []dist.Fact{
		{Name: "the program (hash of its file)", Value: program, Help: "start the same file on all hosts"},
		{Name: "the kernels", Value: kernel.Path(), Help: "set SPLICE_KERNEL to one that all processors have"},
		{Name: "the config (digest)", Value: digest[:min(12, len(digest))], Help: "give all ranks the same file and --set"},
		{Name: "--resume", Value: fmt.Sprint(o.Resume), Help: "give all ranks the same flags"},
		{Name: "the data (digest of its files, rows and feature map)", Value: g.data.Origin().Digest(), Help: "give all ranks the same files"},
		{Name: "the starting weights (hash)", Value: paramsDigest(g.params), Help: "give all ranks the same files of weights"},
	}, nil
}

// programDigest returns a hash of the running program's file.
func programDigest() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("train: the program's file: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("train: the program's file: %w", err)
	}
	defer f.Close()
	h := xxhash.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("train: the program's file: %w", err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// paramsDigest returns a hash of parameters.
func paramsDigest(p *nn.Params) string {
	h := xxhash.New()
	for _, q := range p.All() {
		fmt.Fprintln(h, q.Name, q.Shape) // a hash has no errors
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(q.Data))), 4*len(q.Data)))
	}
	return hex.EncodeToString(h.Sum(nil))
}
