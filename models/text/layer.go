package text

import (
	"strconv"
	"strings"
)

// depth returns where a parameter lies, as models.Layered has it: embeddings at 0, layer i of the encoder at i + 1, the head above them.
func (f *family) depth(e *Encoder, name string) (layer, layers int) {
	layers = e.NumHiddenLayers + 1
	rest, ok := strings.CutPrefix(name, f.name+".")
	if !ok {
		return layers, layers
	}
	if strings.HasPrefix(rest, "embeddings.") {
		return 0, layers
	}
	if rest, ok = strings.CutPrefix(rest, "encoder.layer."); ok {
		number, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < e.NumHiddenLayers {
			return i + 1, layers
		}
	}
	return layers, layers
}

// Layer returns where a parameter lies: embeddings at 0, layer i at i + 1, pooler and classifier above them.
func (m *BERT) Layer(name string) (layer, layers int) { return bert.depth(&m.Encoder, name) }

// Layer returns where a parameter lies: embeddings at 0, layer i at i + 1, the classifier above them.
func (m *RoBERTa) Layer(name string) (layer, layers int) { return roberta.depth(&m.Encoder, name) }

// Layer returns where a parameter lies: embeddings at 0, layer i at i + 1, the head above them. The decoder is the table of tokens.
func (m *BERTMasked) Layer(name string) (layer, layers int) { return bert.depth(&m.Encoder, name) }

// Layer returns where a parameter lies: embeddings at 0, layer i at i + 1, the head above them. The decoder is the table of tokens.
func (m *RoBERTaMasked) Layer(name string) (layer, layers int) {
	return roberta.depth(&m.Encoder, name)
}
