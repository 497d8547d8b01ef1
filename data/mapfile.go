package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
)

// MapFile is the name of a feature map's file beside a checkpoint.
const MapFile = "features.json.zst"

// maxMapBytes bounds what LoadFeatureMap decompresses, against files that are not what they seem.
const maxMapBytes = 8 << 30

// Save writes m as JSON, compressed by zstd with a checksum, and the tokenizer's files into the same folder. An interrupted Save leaves the earlier file intact.
func (m *FeatureMap) Save(path string) error {
	if err := m.check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	err := writeFile(path, func(w io.Writer) error {
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(true))
		if err != nil {
			return err
		}
		if err := json.NewEncoder(z).Encode(m); err != nil {
			return err
		}
		return z.Close()
	})
	if err != nil {
		return fmt.Errorf("data: save feature map: %w", err)
	}
	return m.saveText(path)
}

// LoadFeatureMap reads a map that Save wrote, and the tokenizer beside it. A damaged file is an error.
func LoadFeatureMap(path string) (*FeatureMap, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("data: feature map: %w", err)
	}
	m, err := decodeMap(raw)
	if err != nil {
		return nil, fmt.Errorf("data: feature map %s: %w; the file is damaged, make it again by training or restore it", path, err)
	}
	return m, m.loadText(path)
}

func decodeMap(raw []byte) (*FeatureMap, error) {
	z, err := zstd.NewReader(bytes.NewReader(raw), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	dec := json.NewDecoder(io.LimitReader(z, maxMapBytes))
	dec.DisallowUnknownFields()
	m := &FeatureMap{}
	if err := dec.Decode(m); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF { // reads to the end, where the checksum is
		return nil, fmt.Errorf("text after the map, or a wrong checksum (%v)", err)
	}
	return m, m.check()
}

// writeFile writes a file atomically: to a temporary file beside it, synced, then renamed.
func writeFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return commitFile(f, path)
}

// commitFile syncs and closes the temporary file f and gives it its name.
func commitFile(f *os.File, path string) error {
	if err := f.Chmod(0o644); err != nil && !os.IsPermission(err) {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	if d, err := os.Open(filepath.Dir(path)); err == nil { // the name itself must survive a power cut, too
		d.Sync()
		d.Close()
	}
	return nil
}
