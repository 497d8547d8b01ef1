package data

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"github.com/splice-ml/splice/data/atomicfile"
)

// MapFile is the name of a feature map's file beside a checkpoint.
const MapFile = "features.json.zst"

// maxMapBytes bounds what LoadFeatureMap decompresses, against files that are not what they seem.
const maxMapBytes = 8 << 30

// Save writes m as JSON, compressed by zstd with a checksum, and the tokenizer's files into the same folder. An interrupted Save
// leaves the earlier file intact.
func (m *FeatureMap) Save(path string) error {
	if err := m.Check(); err != nil {
		return fmt.Errorf("data: feature map: %w", err)
	}
	err := atomicfile.Write(path, func(w io.Writer) error {
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
	return m, m.Check()
}
