package figures

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data/bound"
)

// file is the content of a file of figures. A section that is left out is a figure that is not made.
type file struct {
	Runs          string         `yaml:"runs"`          // directory of the runs and of what is kept of them
	Out           string         `yaml:"out"`           // directory of the figures
	Data          dataset        `yaml:"data,required"` // what the runs learn from
	Limit         *limit         `yaml:"limit"`
	Barrier       *barrier       `yaml:"barrier"`
	Layers        *layers        `yaml:"layers"`
	Compatibility *compatibility `yaml:"compatibility"`
	Similarity    *similarity    `yaml:"similarity"`
	Rounds        *byRounds      `yaml:"rounds"`
	Quick         size           `yaml:"quick"` // minutes: shows that everything runs
	Full          size           `yaml:"full"`  // what results are from
}

// dataset is what the runs learn from.
type dataset struct {
	Name    string   `yaml:"name,required"`
	Needs   []string `yaml:"needs"`    // files or globs without which there is no such data
	StandIn []string `yaml:"stand_in"` // overrides in place of missing files
	Quick   []string `yaml:"quick"`    // overrides of the quick size, where the files are there
}

// size is how much is made.
type size struct {
	Seeds int      `yaml:"seeds"` // pairs of runs, with seeds 1, 2, ...
	Set   []string `yaml:"set"`   // overrides
}

// Validate reports mistakes of one size.
func (s *size) Validate() error {
	if s.Seeds < 1 {
		return registry.Field("seeds", "must be at least 1")
	}
	return nil
}

// drawings returns the figures in their order.
func (f *file) drawings() (out []drawing) {
	if f.Limit != nil {
		out = append(out, f.Limit)
	}
	if f.Barrier != nil {
		out = append(out, f.Barrier)
	}
	if f.Layers != nil {
		out = append(out, f.Layers)
	}
	if f.Compatibility != nil {
		out = append(out, f.Compatibility)
	}
	if f.Similarity != nil {
		out = append(out, f.Similarity)
	}
	if f.Rounds != nil {
		out = append(out, f.Rounds)
	}
	return out
}

// Validate reports a file without figures.
func (f *file) Validate() error {
	if len(f.drawings()) == 0 {
		return errors.New("has no figure: give a section limit, barrier, layers, compatibility, similarity or rounds")
	}
	return nil
}

// load reads a file of figures, strictly.
func load(path string) (*file, error) {
	src, err := bound.ReadFile(path, bound.Config)
	if err != nil {
		return nil, fmt.Errorf("figures: %w", err)
	}
	p := &registry.Problems{File: path}
	f := &file{Runs: filepath.Join("runs", "figures", "cells"), Out: filepath.Join("runs", "figures"), Quick: size{Seeds: 2}, Full: size{Seeds: 5}}
	root := registry.Parse(src, p)
	if p.Len() == 0 {
		registry.DecodeStruct(root, f, p, "")
	}
	return f, p.Err()
}
