package onnx

import (
	"bytes"
	"errors"
	"testing"
)

// What does not fit into a file is refused before anything is written.
func TestSize(t *testing.T) {
	m := &model{graph: graph{name: "m", tensors: []namedTensor{{name: "w", shape: []int{1000}, floats: make([]float32, 1000)}}}}
	var b bytes.Buffer
	if err := m.write(&b, 4000); !errors.Is(err, ErrSize) || b.Len() > 0 {
		t.Errorf("error %v after %d bytes", err, b.Len())
	}
	if err := m.write(&b, 5000); err != nil || b.Len() < 4000 {
		t.Errorf("error %v after %d bytes", err, b.Len())
	}
}
