package text

import (
	"strings"

	"github.com/splice-ml/splice/models"
)

// published returns the name that a tensor of a published checkpoint has here. In a checkpoint of a bare encoder names have no
// prefix, and in those of the first releases the parameters of a layer norm are called gamma and beta. published reports false for
// names that begin with one of skip, for the heads of other tasks, and for the numbers of positions, which are not weights.
func (f *family) published(tensor string, skip ...string) (string, bool) {
	name := models.CurrentName(tensor)
	for _, p := range []string{"embeddings.", "encoder.", "pooler."} {
		if strings.HasPrefix(name, p) {
			name = f.name + "." + name
		}
	}
	for _, s := range append(skip, "qa_outputs.") {
		if strings.HasPrefix(name, s) {
			return "", false
		}
	}
	if models.IsBuffer(name) {
		return "", false
	}
	return name, true
}

// Import returns the name that a tensor of a published checkpoint has here. It reports false for the heads of other tasks.
func (m *BERT) Import(tensor string) (string, bool) { return bert.published(tensor, "cls.") }

// Fresh reports whether a published checkpoint may lack a parameter. It may lack those of the head.
func (m *BERT) Fresh(name string) bool {
	return strings.HasPrefix(name, "classifier.") || strings.HasPrefix(name, "bert.pooler.")
}

// Import returns the name that a tensor of a published checkpoint has here. It reports false for the heads of other tasks.
func (m *RoBERTa) Import(tensor string) (string, bool) {
	return roberta.published(tensor, "lm_head.", "roberta.pooler.")
}

// Fresh reports whether a published checkpoint may lack a parameter. It may lack those of the head.
func (m *RoBERTa) Fresh(name string) bool { return strings.HasPrefix(name, "classifier.") }

// Import returns the name that a tensor of a published checkpoint has here. It reports false for the heads of other tasks
// and for the decoder, which is the table of tokens again: see [models.Tied].
func (m *BERTMasked) Import(tensor string) (string, bool) {
	return bert.published(tensor, "cls.seq_relationship.", "cls.predictions.decoder.", "bert.pooler.", "classifier.")
}

// Fresh reports whether a published checkpoint may lack a parameter. It may lack those of the head.
func (m *BERTMasked) Fresh(name string) bool { return strings.HasPrefix(name, "cls.") }

// Import returns the name that a tensor of a published checkpoint has here. It reports false for the heads of other tasks
// and for the decoder, which is the table of tokens again: see [models.Tied].
func (m *RoBERTaMasked) Import(tensor string) (string, bool) {
	return roberta.published(tensor, "lm_head.decoder.", "roberta.pooler.", "classifier.")
}

// Fresh reports whether a published checkpoint may lack a parameter. It may lack those of the head.
func (m *RoBERTaMasked) Fresh(name string) bool { return strings.HasPrefix(name, "lm_head.") }
