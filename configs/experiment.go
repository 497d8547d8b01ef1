// Package configs reads experiments from YAML files. It is strict, and reports every mistake of a file at once. Defaults live in the
// option structs of the packages. A file may extend another one, at one level, and the command line may override its values.
//
// The result does not depend on the environment: no variables are expanded. Files are found relative to the working directory, and
// those of `extends` relative to the file that names them.
package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/splice-ml/splice/cki"
	_ "github.com/splice-ml/splice/cki/assess" // registers its method
	_ "github.com/splice-ml/splice/cki/method" // registers its methods
	_ "github.com/splice-ml/splice/cki/regime" // registers its regimes
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/data"
	_ "github.com/splice-ml/splice/data/set" // registers its data sets
	"github.com/splice-ml/splice/models"
	_ "github.com/splice-ml/splice/models/ctr"  // registers its models
	_ "github.com/splice-ml/splice/models/seq"  // registers its models
	_ "github.com/splice-ml/splice/models/text" // registers its models
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/ensemble"
	"github.com/splice-ml/splice/train/start"
	"github.com/splice-ml/splice/train/task"
)

// Experiment is one config file. It says what is trained on which data, and how.
type Experiment struct {
	Run     string                  `yaml:"run,nodigest"`     // directory of the run's files; empty: runs/ and the name of the config file
	Seed    uint64                  `yaml:"seed"`             // of everything random: initial weights, the order of rows, dropout
	Threads int                     `yaml:"threads,nodigest"` // processor threads, which change no result; 0: all
	Data    data.Dataset            `yaml:"data,required"`    // what to learn from
	Model   models.Model            `yaml:"model,required"`   // what to train
	Task    task.Task               `yaml:"task"`             // loss and metrics
	Train   train.Options           `yaml:"train"`            // how to train
	Init    start.Options           `yaml:"init"`             // what to start from
	Teacher ensemble.TeacherOptions `yaml:"teacher"`          // soft labels
	Merge   cki.Options             `yaml:"merge"`            // how cmd/cki merges runs
	Serve   models.ServeOptions     `yaml:"serve,nodigest"`   // how the finished run is held when it scores rows

	Fetch map[string]Fetch `yaml:"fetch,nodigest"` // public files to get if they are not there, by the folder they belong into
	// if they cannot be had: none: stop; synthetic: the section `synthetic`, keys of any section, is laid over the config;
	// always: it is, whether they are there or not
	Fallback string `yaml:"fallback,nodigest"`
}

// Default returns the experiment over which the keys of a file are laid. Data and Model have no default.
func Default() Experiment {
	t, _ := task.Registry.Default("binary_classification")
	return Experiment{
		Seed: 1, Task: t, Train: train.Defaults(), Init: start.Defaults(), Teacher: ensemble.TeacherDefaults(),
		Merge: cki.DefaultOptions(), Serve: models.ServeDefaults(), Fallback: FallbackNone,
	}
}

// maxThreads is above what machines have. Each thread has buffers.
const maxThreads = 4096

// checkThreads reports a number of threads that is out of range.
func checkThreads(n int) error {
	switch {
	case n < 0:
		return registry.Field("threads", "must be 0 (all) or more")
	case n > maxThreads:
		return registry.Field("threads", "must be at most %d; more threads than the machine has make nothing faster", maxThreads)
	}
	return nil
}

// Validate reports every value out of range.
func (e *Experiment) Validate() error {
	var errs []error
	errs = append(errs, checkThreads(e.Threads))
	if _, nameless := e.Fetch[""]; nameless {
		errs = append(errs, registry.Field("fetch", "has an entry without a folder; want one such as datasets/SST-2"))
	}
	if f := e.Fallback; f != FallbackNone && f != FallbackSynthetic && f != FallbackAlways {
		errs = append(errs, registry.Field("fallback", "must be none, synthetic or always"))
	}
	if t := e.Merge.Finetune.Teacher; t != cki.NoTeacher && e.Task != nil {
		if _, ok := e.Task.(task.Distiller); !ok {
			errs = append(errs, registry.Field("merge.finetune.teacher", "%s: the task has no loss for soft labels; want none", t))
		}
	}
	if m := e.Train.Monitor; m != "" && e.Task != nil {
		ms, err := e.Task.Metrics()
		if err != nil {
			return errors.Join(errs...) // the task reports its metrics itself
		}
		var names []string
		for _, m := range ms {
			names = append(names, m.Name())
		}
		if !slices.Contains(names, m) {
			errs = append(errs, registry.Field("train.monitor",
				"is not among the task's metrics ("+strings.Join(names, ", ")+"); add it there, or monitor one of them"))
		}
	}
	return errors.Join(errs...)
}

// Load reads an experiment from a file, and from the file that it extends, and applies overrides such as "train.epochs=2" in their
// order. An override of a section's `type` comes first, and drops the section's other keys. The error lists every mistake in a line
// of its own: "file:line: path: what is wrong, what to do".
func Load(path string, overrides []string) (*Experiment, error) {
	return LoadEdited(path, overrides, func(root *yaml.Node, _ *registry.Problems) *yaml.Node { return root })
}

// LoadEdited is Load with a last change of the syntax tree before it is decoded. What edit finds wrong it adds to the problems; it may
// return nil then. If the config has a section `synthetic` that is not laid over it, edit is called a second time, for the config as it
// would be with that section.
func LoadEdited(path string, overrides []string, edit func(root *yaml.Node, p *registry.Problems) *yaml.Node) (*Experiment, error) {
	e, found := Default(), false
	err := loadWith(path, overrides, &e, func(root *yaml.Node, p *registry.Problems) *yaml.Node {
		root, found = withFallback(root, overrides, p)
		if root == nil {
			return nil
		}
		return edit(root, p)
	})
	if err != nil {
		return nil, err
	}
	if found && e.Fallback != FallbackAlways { // its mistakes are to be known before it is needed
		if _, err := LoadEdited(path, append(slices.Clone(overrides), "fallback="+FallbackAlways), edit); err != nil {
			return nil, fmt.Errorf("with the section synthetic: %w", err)
		}
	}
	return &e, nil
}

// YAML returns the experiment as YAML, with every default filled in and in a fixed order. Loading it gives the same experiment.
func (e *Experiment) YAML() ([]byte, error) {
	n, err := registry.Encode(e, nil)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	return registry.Marshal(n)
}

// Digest returns a text that identifies what decides the results of the experiment. It is a hash of 16 hexadecimal digits of the
// resolved config, without the keys that change no result. These are `run`, `threads` and those that the reference marks so. Two
// configs of equal digest give equal models from equal data files.
func (e *Experiment) Digest() (string, error) {
	n, err := registry.EncodeResult(e)
	if err != nil {
		return "", fmt.Errorf("configs: %w", err)
	}
	b, err := registry.Marshal(n)
	if err != nil {
		return "", fmt.Errorf("configs: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// MergeYAML returns the `merge:` section as YAML, with every default filled in.
func (e *Experiment) MergeYAML() ([]byte, error) {
	n, err := registry.Encode(&e.Merge, nil)
	if err != nil {
		return nil, fmt.Errorf("configs: %w", err)
	}
	return registry.Marshal(n)
}
