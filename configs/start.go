package configs

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/run"
)

// Init is the `init:` section: the weights that training starts from. Without from they are fresh ones.
type Init struct {
	From       string     `yaml:"from"`       // a run's directory, a Hugging Face directory (config.json, model.safetensors or its shards), one with model.safetensors alone, or a .safetensors file; empty: fresh weights
	Checkpoint Checkpoint `yaml:"checkpoint"` // which weights of a run: best, last, ema, swa, or the number of an epoch that train.keep_epochs kept
	Strict     bool       `yaml:"strict"`     // the tensors must be the model's; false: missing ones keep fresh values, unexpected ones are ignored, the log lists both
	Features   string     `yaml:"features"`   // run: read the data with the feature map that lies with the weights, if one does; data: fit a new map and match embedding rows by token, the rest stays fresh
}

// Teacher is the `teacher:` section: models whose predictions count as soft labels beside the true ones.
type Teacher struct {
	From                 []string `yaml:"from"` // directories of runs with the same feature map, or self for the weights that training starts from; several are an ensemble; empty: none
	Mode                 string   `yaml:"mode"` // how several become one: logits or probabilities, of which the mean is taken
	train.DistillOptions `yaml:",inline"`
}

// Self is the entry of Teacher.From that stands for the starting weights.
const Self = "self"

func defaultInit() Init { return Init{Checkpoint: Best, Strict: true, Features: "run"} }

func defaultTeacher() Teacher {
	return Teacher{Mode: train.MeanLogits, DistillOptions: train.DistillDefaults()}
}

// Validate reports every option out of range.
func (i Init) Validate() error {
	return registry.OneOf("features", i.Features, "run", "data")
}

// Validate reports every option out of range.
func (t Teacher) Validate() error {
	errs := []error{t.DistillOptions.Validate()}
	for i, from := range t.From {
		switch {
		case from == "":
			errs = append(errs, registry.Field("from", "has an empty entry; want directories of runs, or self"))
		case slices.Contains(t.From[:i], from):
			errs = append(errs, registry.Field("from", "names %s twice; give each teacher once", from))
		}
	}
	return errors.Join(append(errs, registry.OneOf("mode", t.Mode, train.MeanLogits, train.MeanProbabilities))...)
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

// Epoch returns the number of the epoch, 0 for the others.
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

// LoadFinetune returns the experiment that trains the model of a run on: the run's data, model, task and train sections, for one
// whole epoch, with overrides laid over them. Where to start from and where to write are the caller's to say.
func LoadFinetune(dir string, overrides []string) (*Experiment, error) {
	path := filepath.Join(dir, run.ConfigFile)
	src, err := readFile(path)
	if err != nil {
		return nil, err
	}
	p := &registry.Problems{File: path}
	root := registry.Parse(src, p)
	if p.Len() > 0 {
		return nil, p.Err()
	}
	for _, key := range []string{"run", "init", "teacher", "merge", "fetch", "fallback"} {
		takeKey(root, key)
	}
	if root, err = once(root, p); err != nil {
		return nil, err
	}
	root = override(root, overrides, p)
	e := Default()
	registry.DecodeStruct(root, &e, p, "")
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &e, nil
}

// once replaces the train section of a run's config by that of one more whole epoch.
func once(root *yaml.Node, p *registry.Problems) (*yaml.Node, error) {
	e := Default()
	if registry.DecodeStruct(root, &e, p, ""); p.Len() > 0 {
		return nil, p.Err()
	}
	l := e.Train.Length()
	l.Epochs, l.MaxSteps = 1, 0
	section, err := registry.Encode(e.Train.Derive(l), nil)
	if err != nil {
		return nil, err
	}
	takeKey(root, "train")
	if root == nil {
		root = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: 1}
	}
	root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "train"}, section)
	return root, nil
}
