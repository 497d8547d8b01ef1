// Package start finds, checks and loads the weights that a training starts from. They come from a run, a Hugging Face directory or a
// file. The package also records what they were.
package start

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models/nn"
)

// Options is the `init:` section: the weights that training starts from. Without from they are fresh ones.
type Options struct {
	// a run's directory, a Hugging Face directory (config.json, model.safetensors or its shards), one with model.safetensors
	// alone, or a .safetensors file; empty: fresh weights
	From string `yaml:"from"`
	// which weights of a run: best, last, ema, swa, or the number of an epoch that train.keep_epochs kept
	Checkpoint Checkpoint `yaml:"checkpoint"`
	// what comes from elsewhere: a run's directory or a file for each pattern of parameters, as of a static classifier beside a dynamic one
	Parts map[string]string `yaml:"parts"`
	// the tensors must be the model's; false: missing ones keep fresh values, unexpected ones are ignored, the log lists both
	Strict bool `yaml:"strict"`
	// run: read the data with the feature map that lies with the weights, if one does; data: fit a new map and match embedding
	// rows by token, the rest stays fresh
	Features string `yaml:"features"`
}

// Defaults returns the options of a config that leaves them out.
func Defaults() Options { return Options{Checkpoint: Best, Strict: true, Features: "run"} }

// Validate reports every option out of range.
func (o Options) Validate() error {
	errs := []error{registry.OneOf("features", o.Features, "run", "data")}
	if len(o.Parts) > 0 && o.From == "" {
		errs = append(errs, registry.Field("parts", "are laid over the weights of from, which is missing"))
	}
	for pattern, from := range o.Parts {
		if _, err := nn.Match([]string{pattern}); err != nil {
			errs = append(errs, registry.Field("parts", "%v", err))
		}
		if from == "" {
			errs = append(errs, registry.Field("parts", "%s is from nowhere; want a run's directory or a .safetensors file", pattern))
		}
	}
	return errors.Join(errs...)
}

// Checkpoint names weights of a run: one of the constants, or the number of an epoch, from 1.
type Checkpoint string

// Names of checkpoints that are no epochs.
const (
	Best Checkpoint = "best" // of the best evaluation
	Last Checkpoint = "last" // of the last step that was saved
	EMA  Checkpoint = "ema"  // moving average of the steps: train.ema
	SWA  Checkpoint = "swa"  // mean of the epochs' ends: train.swa_start
)

// Epoch returns the number of the epoch that c names, or 0 if c is one of the constants.
func (c Checkpoint) Epoch() int {
	n, err := strconv.Atoi(string(c))
	if err != nil {
		return 0
	}
	return n
}

// MarshalText returns the name.
func (c Checkpoint) MarshalText() ([]byte, error) { return []byte(c), nil }

// UnmarshalText reads a name or a number.
func (c *Checkpoint) UnmarshalText(text []byte) error {
	*c = Checkpoint(text)
	switch *c {
	case Best, Last, EMA, SWA:
		return nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return fmt.Errorf("want best, last, ema, swa or the number of an epoch from 1, have %q", text)
	}
	*c = Checkpoint(strconv.Itoa(n))
	return nil
}
