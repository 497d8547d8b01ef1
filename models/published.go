package models

import "strings"

// CurrentName returns the name that today's checkpoints give a tensor. In those of the first releases of BERT the parameters of a
// layer norm are called gamma and beta.
func CurrentName(tensor string) string {
	if s, ok := strings.CutSuffix(tensor, "LayerNorm.gamma"); ok {
		return s + "LayerNorm.weight"
	}
	if s, ok := strings.CutSuffix(tensor, "LayerNorm.beta"); ok {
		return s + "LayerNorm.bias"
	}
	return tensor
}

// IsBuffer reports whether a tensor of a published checkpoint is none of weights: positions and segments that are counted anew, or
// the steps of a batch norm. Some releases of a framework save them and others do not.
func IsBuffer(tensor string) bool {
	last := tensor[strings.LastIndexByte(tensor, '.')+1:]
	switch last {
	case "position_ids", "token_type_ids", "num_batches_tracked", "inv_freq", "masked_bias":
		return true
	}
	return false
}

// ties are the tensors of published checkpoints that are other tensors again: a framework may save either name alone, or both. The
// name on the right may have the model's prefix in front.
var ties = map[string]string{
	"cls.predictions.decoder.weight": "embeddings.word_embeddings.weight",
	"cls.predictions.decoder.bias":   "cls.predictions.bias",
	"lm_head.decoder.weight":         "embeddings.word_embeddings.weight",
	"lm_head.decoder.bias":           "lm_head.bias",
}

// TiedTo returns the name, without the model's prefix, of the parameter that a tensor is again.
func TiedTo(tensor string) (name string, ok bool) {
	name, ok = ties[tensor]
	return name, ok
}

// Tied reports whether tensor is the other name under which a published checkpoint may have the parameter called name.
func Tied(tensor, name string) bool {
	to, ok := ties[tensor]
	return ok && (name == to || strings.HasSuffix(name, "."+to))
}

// IsOutput reports whether a tensor of a published checkpoint has a row for each output of a head over whole sequences.
func IsOutput(tensor string) bool {
	for _, head := range []string{"classifier", "classifier.out_proj", "classification_head.out_proj", "score", "logits_proj"} {
		for _, part := range []string{".weight", ".bias"} {
			if name := head + part; tensor == name || strings.HasSuffix(tensor, "."+name) {
				return true
			}
		}
	}
	return false
}
