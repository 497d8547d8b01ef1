package cki

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/models/nn"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ckpt"
	"github.com/splice-ml/splice/train/run"
	"github.com/splice-ml/splice/train/start"
)

// file reads the tensors of a checkpoint file.
type file struct{ *ckpt.File }

// File returns a Reader over a checkpoint file.
func File(f *ckpt.File) Reader { return file{f} }

func (f file) Tensors() []ckpt.Info { return f.File.Tensors }

// Open opens a parent: a run's directory, a directory with model.safetensors, or a safetensors file. The caller closes it.
func Open(path string) (*Parent, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cki: parent %s: there is no such run; give a run's directory or a safetensors file", path)
	} else if err != nil {
		return nil, fmt.Errorf("cki: parent %s: %w", path, err)
	}
	dir, model := run.Of(path), path
	if info.IsDir() {
		dir, model = path, filepath.Join(path, run.ModelFile)
		if !bound.Exists(model) {
			return openShards(path)
		}
	}
	f, err := ckpt.Open(model)
	if err != nil {
		return nil, fmt.Errorf("cki: parent %s: %w", path, err)
	}
	p := &Parent{Name: path, Reader: file{f}}
	if info.IsDir() && start.IsHuggingFace(dir) {
		p.Published = dir
	}
	if !info.IsDir() && !bound.Exists(filepath.Join(dir, run.ConfigFile)) {
		return p, nil // what lies beside a file that is not a run's need not belong to it
	}
	if m := filepath.Join(dir, run.FeatureFile); bound.Exists(m) {
		if p.Map, err = data.LoadFeatureMap(m); err != nil {
			return nil, errors.Join(fmt.Errorf("cki: parent %s: %w", path, err), p.Close())
		}
	}
	if filepath.Base(model) != run.ModelFile {
		return p, nil // counts are of the best model
	}
	counts, err := train.LoadCounts(dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cki: parent %s: %w", path, err), p.Close())
	}
	p.Counts = counts
	return p, nil
}

// openShards opens a directory without a single file of weights.
func openShards(dir string) (*Parent, error) {
	f, err := ckpt.OpenDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("cki: parent %s: has no %s; a run that was interrupted gets it from its first evaluation on", dir, run.ModelFile)
	case err != nil:
		return nil, fmt.Errorf("cki: parent %s: %w", dir, err)
	}
	p := &Parent{Name: dir, Reader: file{f}}
	if start.IsHuggingFace(dir) {
		p.Published = dir
	}
	return p, nil
}

// Close closes the parent's file, if it has one.
func (p *Parent) Close() error {
	if c, ok := p.Reader.(interface{ Close() error }); ok {
		return c.Close()
	}
	return nil
}

// memory reads the tensors of parameters.
type memory struct{ *nn.Params }

// Memory returns a Reader over parameters, which must not change while it is in use.
func Memory(p *nn.Params) Reader { return memory{p} }

func (m memory) Tensors() []ckpt.Info {
	var out []ckpt.Info
	for _, q := range m.All() {
		out = append(out, ckpt.Info{Name: q.Name, DType: ckpt.F32, Shape: q.Shape})
	}
	return out
}

func (m memory) ReadRows(name string, lo, hi int, dst []float32) error {
	q := m.Get(name)
	if q == nil {
		return fmt.Errorf("cki: no tensor %s", name)
	}
	rows, dim := size(q.Shape)
	if lo < 0 || hi < lo || hi > rows || len(dst) != (hi-lo)*dim {
		return fmt.Errorf("cki: tensor %s %v: rows %d to %d into %d values", name, q.Shape, lo, hi, len(dst))
	}
	copy(dst, q.Data[lo*dim:hi*dim])
	return nil
}

// Load reads a parent into p, which must have exactly the parent's tensors. Values that are not finite are errors.
func Load(r Reader, p *nn.Params) error {
	var errs []error
	have := map[string]bool{}
	for _, t := range r.Tensors() {
		have[t.Name] = true
		q := p.Get(t.Name)
		if q == nil {
			errs = append(errs, fmt.Errorf("tensor %s %v: the model has none of that name", t.Name, t.Shape))
			continue
		}
		rows, dim := size(t.Shape)
		if len(q.Data) != rows*dim {
			errs = append(errs, fmt.Errorf("tensor %s: have %v, the model wants %v", t.Name, t.Shape, q.Shape))
			continue
		}
		if err := r.ReadRows(t.Name, 0, rows, q.Data); err != nil {
			errs = append(errs, err)
		}
		if i := nn.NotFinite(q.Data); i >= 0 {
			errs = append(errs, fmt.Errorf("tensor %s: value %d is %v; a model that is not finite cannot be merged", t.Name, i, q.Data[i]))
		}
	}
	for _, q := range p.All() {
		if !have[q.Name] {
			errs = append(errs, fmt.Errorf("tensor %s: missing, the model wants %v", q.Name, q.Shape))
		}
	}
	return bound.Join(errs...)
}

// Digest identifies a model: XXH64 of the names, shapes and values of its tensors, 16 hexadecimal digits.
func Digest(r Reader) (string, error) {
	h := xxhash.New()
	var raw []byte
	if p, ok := r.(*Parent); ok {
		r = p.Reader
	}
	stored, hasStored := r.(rawReader)
	_, isFile := r.(file) // another reader may show values that are not those of its file
	for _, t := range r.Tensors() {
		fmt.Fprintf(h, "%s%v", t.Name, t.Shape)                            // a hash has no errors
		if hasStored && (isFile && t.DType == ckpt.F32 || !Mergeable(t)) { // bytes are as below; float32 need not hold others' values
			if err := stored.WriteRaw(t.Name, h); err != nil {
				return "", err
			}
			continue
		}
		rows, dim := size(t.Shape)
		step := max(1, blockValues/max(1, dim))
		buf := make([]float32, min(rows, step)*dim)
		for lo := 0; lo < rows; lo += step {
			hi := min(rows, lo+step)
			x := buf[:(hi-lo)*dim]
			if err := r.ReadRows(t.Name, lo, hi, x); err != nil {
				return "", err
			}
			raw = raw[:0]
			for _, v := range x {
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
			}
			h.Write(raw)
		}
	}
	return fmt.Sprintf("%016x", h.Sum64()), nil
}

// Selection returns the function that matches names with the patterns of merge.select. Each pattern must match at least one
// tensor.
func Selection(patterns []string, r Reader) (func(string) bool, error) {
	m, err := nn.Match(patterns)
	if err != nil {
		return nil, fmt.Errorf("cki: merge.select: %w", err)
	}
	var names []string
	for _, t := range r.Tensors() {
		names = append(names, t.Name)
	}
	if u := nn.Unmatched(patterns, names); len(u) > 0 {
		return nil, fmt.Errorf("cki: merge.select: no tensor matches %s; the model has %s", bound.Names(u), bound.Names(names))
	}
	return m, nil
}
