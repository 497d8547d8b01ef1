package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
	"github.com/splice-ml/splice/data/atomicfile"
	"github.com/splice-ml/splice/data/bound"
)

// MapFile is the name of a feature map's file beside a checkpoint.
const MapFile = "features.json.zst"

// LoadFeatureMap decompresses up to mapRatio times the bytes of the file, and mapBytes: far more than zstd makes of a vocabulary. What is
// beyond that is no map, but made to fill the memory.
const (
	mapBytes = 64 << 20
	mapRatio = 128
)

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

// WriteVocabulary writes the ids of the features' tokens as a JSON object in a line: of each feature its table, and the ids of its tokens, or the
// number of its hash buckets. Features of a table share its ids; 0 is padding, and 1 stands for all other tokens. Numbers and texts have none.
func (m *FeatureMap) WriteVocabulary(w io.Writer) error {
	type ids struct {
		Table   string         `json:"table"`
		Buckets int            `json:"buckets,omitempty"`
		IDs     map[string]int `json:"ids,omitempty"`
	}
	out := map[string]ids{}
	for i := range m.Features {
		f := &m.Features[i]
		t := m.Table(f.Table)
		if f.Kind == Numeric || t == nil {
			continue
		}
		v := ids{Table: t.Name, Buckets: t.Hash}
		if t.Hash == 0 {
			v.IDs = make(map[string]int, len(t.Tokens))
		}
		for k, token := range t.Tokens {
			v.IDs[token] = FirstID + k
		}
		out[f.Name] = v
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return fmt.Errorf("data: write vocabulary: %w", err)
	}
	return nil
}

// LoadFeatureMap reads a map that Save wrote, and the tokenizer beside it. A damaged file is an error.
func LoadFeatureMap(path string) (*FeatureMap, error) {
	f, size, err := bound.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: feature map: %w", err)
	}
	defer f.Close()
	m, err := decodeMap(f, size)
	if errors.As(err, new(*fs.PathError)) { // of reading: the file may be sound
		return nil, fmt.Errorf("data: feature map: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("data: feature map %s: %w; the file is damaged, make it again by training or restore it", path, err)
	}
	return m, m.loadText(path)
}

// decodeMap reads a map of size compressed bytes.
func decodeMap(r io.Reader, size int64) (*FeatureMap, error) {
	z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, err
	}
	defer z.Close()
	text := &io.LimitedReader{R: z, N: mapBytes + mapRatio*size}
	dec := json.NewDecoder(text)
	dec.DisallowUnknownFields()
	m := &FeatureMap{}
	if err := dec.Decode(m); err != nil {
		if text.N == 0 {
			return nil, fmt.Errorf("its %d bytes decompress to more than %d, which no map does", size, mapBytes+mapRatio*size)
		}
		return nil, err
	}
	switch _, err := dec.Token(); { // reads to the end, where the checksum is
	case err == nil:
		return nil, errors.New("text after the map")
	case err != io.EOF:
		return nil, fmt.Errorf("text after the map, or a wrong checksum (%w)", err)
	}
	return m, m.Check()
}
