package ckpt

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/splice-ml/splice/data/bound"
)

// Names of a checkpoint's files in a Hugging Face directory.
const (
	SingleFile = "model.safetensors"
	IndexFile  = "model.safetensors.index.json"
	pickleFile = "pytorch_model.bin"
)

// Names of the files of an adapter, as peft writes them.
const (
	adapterConfigFile = "adapter_config.json"
	adapterFile       = "adapter_model.safetensors"
)

// adapterHelp is what to do with an adapter, whose config is at path.
func adapterHelp(path string) string {
	base := "its base model"
	var c struct {
		Base string `json:"base_model_name_or_path"`
	}
	if b, err := bound.ReadFile(path, bound.JSON); err == nil && json.Unmarshal(b, &c) == nil && c.Base != "" {
		base = fmt.Sprintf("its base model %q", c.Base)
	}
	return "is an adapter (" + adapterConfigFile + "), not a whole model: merge it into " + base + " with peft, and give the result: " +
		`PeftModel.from_pretrained(BASE, ADAPTER).merge_and_unload().save_pretrained(OUT)`
}

// OpenDir opens the checkpoint in a directory. It is model.safetensors, or the shards that model.safetensors.index.json names. If
// there is only a PyTorch pickle, or an adapter, the error says what to do with it.
func OpenDir(dir string) (*File, error) {
	single, index := filepath.Join(dir, SingleFile), filepath.Join(dir, IndexFile)
	switch {
	case isFile(single):
		return Open(single)
	case isFile(index):
		return openShards(index)
	}
	for _, name := range []string{pickleFile, pickleFile + ".index.json"} {
		if path := filepath.Join(dir, name); isFile(path) {
			return nil, fmt.Errorf("ckpt: %s: %s (OUT is %s)", path, pickleHelp, single)
		}
	}
	if path := filepath.Join(dir, adapterConfigFile); isFile(path) {
		return nil, fmt.Errorf("ckpt: %s: %s", dir, adapterHelp(path))
	}
	return nil, fmt.Errorf("ckpt: %s has neither %s nor %s: %w", dir, SingleFile, IndexFile, fs.ErrNotExist)
}

// isFile reports whether a path names a file, or something of which the system cannot tell: opening that says why.
func isFile(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	return info.Mode().IsRegular()
}

// openShards opens the files of an index as one. Each tensor must be in the shard that the index names, and no other there.
func openShards(index string) (*File, error) {
	b, err := bound.ReadFile(index, bound.JSON)
	if err != nil {
		return nil, fmt.Errorf("ckpt: %w", err)
	}
	var x struct {
		Map map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(b, &x); err != nil {
		return nil, fmt.Errorf("ckpt: %s: is not an index of shards: %w", index, err)
	}
	if len(x.Map) == 0 {
		return nil, fmt.Errorf("ckpt: %s: is not an index of shards: its weight_map names no tensor", index)
	}
	names := slices.Sorted(maps.Keys(x.Map))
	shards := slices.Compact(slices.Sorted(maps.Values(x.Map)))
	all, err := openAll(filepath.Dir(index), shards)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ckpt: %s: the checkpoint is not whole", index), err)
	}
	r := &File{Path: index, f: all, close: all, index: make(map[string]int, len(names))}
	var errs []error
	for _, name := range names {
		if f := all[slices.Index(shards, x.Map[name])]; f.Info(name) == nil {
			errs = append(errs, fmt.Errorf("ckpt: %s: no tensor %s, which %s says is there", f.Path, name, IndexFile))
		}
	}
	var at int64
	for i, f := range all {
		for _, t := range f.Tensors {
			if shard, ok := x.Map[t.Name]; shard != shards[i] {
				if !ok {
					shard = "no shard"
				}
				errs = append(errs, fmt.Errorf("ckpt: %s: tensor %s, which %s says is in %s", f.Path, t.Name, IndexFile, shard))
				continue
			}
			r.index[t.Name] = len(r.Tensors)
			t.begin += at
			r.Tensors = append(r.Tensors, t)
		}
		at += f.dataSize()
	}
	if len(errs) > 0 {
		return nil, errors.Join(bound.Join(errs...), all.Close())
	}
	r.Meta = all[0].Meta
	return r, nil
}

// dataSize returns the bytes of the tensors.
func (r *File) dataSize() int64 {
	var n int64
	for i := range r.Tensors {
		n = max(n, r.Tensors[i].begin+r.Tensors[i].bytes())
	}
	return n
}

// joined is the data of several files, one after the other.
type joined []*File

// openAll opens shards; the error names each that is missing or unsound.
func openAll(dir string, shards []string) (joined, error) {
	var all joined
	var errs []error
	for _, shard := range shards {
		if shard == "" || filepath.Base(shard) != shard || !filepath.IsLocal(shard) {
			errs = append(errs, fmt.Errorf("ckpt: shard %q is not a file of the index's directory", shard))
			continue
		}
		f, err := Open(filepath.Join(dir, shard))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("ckpt: shard %s is missing", filepath.Join(dir, shard))
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, f)
	}
	if len(errs) > 0 {
		return nil, errors.Join(bound.Join(errs...), all.Close())
	}
	return all, nil
}

// ReadAt reads from the data of the file that has the byte off. A tensor lies in one file.
func (j joined) ReadAt(p []byte, off int64) (int, error) {
	for _, f := range j {
		n := f.dataSize()
		if off < n {
			return f.f.ReadAt(p, f.start+off)
		}
		off -= n
	}
	return 0, io.EOF
}

// Close closes all files.
func (j joined) Close() error {
	var errs []error
	for _, f := range j {
		errs = append(errs, f.Close())
	}
	return bound.Join(errs...)
}
