package cki

import (
	"errors"
	"fmt"
	"math"
	"path"
	"slices"

	"github.com/splice-ml/splice/cki/align"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/rounds"
	"github.com/splice-ml/splice/train/schedule"
)

// Options is the `merge:` section.
type Options struct {
	// runs, directories with model.safetensors or safetensors files; the first is the base. Empty: the regime trains them
	Parents    []string       `yaml:"parents"`
	Regime     Regime         `yaml:"regime"`     // how parents are made if none are given
	Vocabulary string         `yaml:"vocabulary"` // feature map of the result, if the parents' differ: base, or union with the tokens of all
	Select     []string       `yaml:"select"`     // patterns of the tensors that are merged; the others are the base's, bit for bit
	Align      align.Options  `yaml:"align"`      // permutations of the other parents' hidden units before the merge
	Method     Method         `yaml:"method"`     // how the parents become one
	BatchNorm  bool           `yaml:"batch_norm"` // recompute batch norm's running statistics after the merge, on the base's training rows
	Finetune   Finetune       `yaml:"finetune"`   // training after the merge
	Rounds     rounds.Options `yaml:"rounds"`     // merges in all, or one model that is trained on shards in rounds
	Guard      bool           `yaml:"guard"`      // pass the best parent on if the result is worse on the validation rows
	// compare with all other methods and with the controls that tell a merge's gain from a training's
	Controls bool `yaml:"controls"`
	// learning rates that the control of equal compute tries, which is one run of as many steps as all trainings together: factors of
	// train.learning_rate; the best on the validation rows counts. Empty: 0.5, 1 and 2
	ControlRates []float64 `yaml:"control_rates,added"`
	// patterns of the comparison's rows that are made, with the rows that they start from; empty: all. The parents, the best parent and
	// the merge are always made
	Rows   []string `yaml:"rows,added"`
	Head   []string `yaml:"head"`   // patterns of the weights that the published method splices, for the comparison's rows of it
	Report bool     `yaml:"report"` // write report.json, report.md and figures
	// models along the line between two parents that the report measures, both ends included; 0: 5
	LinePoints int `yaml:"line_points,added"`
}

// Finetune is a training from the merge on, by the ordinary trainer on the base's training rows.
type Finetune struct {
	Epochs       int                  `yaml:"epochs"`        // passes over the base's training rows; 0: no training
	LearningRate float64              `yaml:"learning_rate"` // the schedule's base
	Schedule     schedule.Options     `yaml:"schedule"`      // constant, linear, cosine, step or plateau
	Freeze       []string             `yaml:"freeze"`        // patterns of parameters that stay
	Teacher      string               `yaml:"teacher"`       // soft labels: none, parents (their mean logits) or self (the start's)
	Distill      train.DistillOptions `yaml:"distill"`       // how much the soft labels count
}

// maxLinePoints bounds how often models between two parents are evaluated.
const maxLinePoints = 1001

// VocabularyBase and VocabularyUnion say which tokens the result knows.
const (
	VocabularyBase  = "base"
	VocabularyUnion = "union" // those of all parents
)

// The teachers whose soft labels a Finetune can learn from.
const (
	NoTeacher      = "none"
	TeacherParents = "parents" // mean logits of all parents
	TeacherSelf    = "self"    // those of the model that the training starts from
)

// With returns the same training with another teacher.
func (f Finetune) With(teacher string) Finetune {
	f.Teacher = teacher
	return f
}

// DefaultOptions returns the options that a file's keys are laid over.
func DefaultOptions() Options {
	regime, _ := Regimes.Default("branch")
	average, _ := Registry.Default("average")
	cosine, _ := schedule.Types.Default("cosine")
	return Options{
		Regime: regime, Vocabulary: VocabularyBase, Select: []string{"*"}, Align: align.Defaults(), Method: average, BatchNorm: true, Guard: true,
		Report: true,
		Rounds: rounds.Defaults(), Head: []string{"mlp.*.weight", "fc.weight", "*pooler.dense.weight", "classifier*weight", "!*.bn.weight"},
		Finetune: Finetune{Epochs: 1, LearningRate: 1e-4, Schedule: cosine, Teacher: NoTeacher, Distill: train.DistillDefaults()},
	}
}

// WantsRow returns what reports whether a row of the comparison is among Rows, by its name.
func (o Options) WantsRow() (func(name string) bool, error) {
	if len(o.Rows) == 0 {
		return func(string) bool { return true }, nil
	}
	for _, p := range o.Rows {
		if _, err := path.Match(p, ""); err != nil {
			return nil, fmt.Errorf("%q is no pattern: %w", p, err)
		}
	}
	return func(name string) bool {
		return slices.ContainsFunc(o.Rows, func(p string) bool { ok, _ := path.Match(p, name); return ok })
	}, nil
}

// Rates returns the factors of the learning rate that the control of equal compute tries.
func (o Options) Rates() []float64 {
	if len(o.ControlRates) == 0 {
		return []float64{.5, 1, 2}
	}
	return o.ControlRates
}

// Validate reports every option out of range.
func (o Options) Validate() error {
	var errs []error
	for _, r := range o.ControlRates {
		if !(r > 0) || math.IsInf(r, 0) {
			errs = append(errs, registry.Field("control_rates", "must be above 0"))
		}
	}
	if o.Vocabulary != VocabularyBase && o.Vocabulary != VocabularyUnion {
		errs = append(errs, registry.Field("vocabulary", "must be base or union"))
	}
	if len(o.Parents) == 1 {
		errs = append(errs, registry.Field("parents", "give at least two, or none for parents that the regime trains"))
	}
	if len(o.Select) == 0 {
		errs = append(errs, registry.Field("select", "selects nothing; leave it out for all tensors"))
	}
	if _, err := o.WantsRow(); err != nil {
		errs = append(errs, registry.Field("rows", "%v", err))
	}
	if o.LinePoints < 0 || o.LinePoints == 1 || o.LinePoints > maxLinePoints {
		errs = append(errs, registry.Field("line_points", "must be in [2, %d], or 0 for 5", maxLinePoints))
	}
	if o.Rounds.Count > 1 && o.Finetune.Epochs == 0 {
		errs = append(errs, registry.Field("rounds", "further rounds train the parents by finetune, whose epochs are 0"))
	}
	if !o.Rounds.Train() {
		return errors.Join(errs...)
	}
	if len(o.Parents) > 0 {
		errs = append(errs, registry.Field("rounds", "every and steps train one model on shards of the data: leave merge.parents out"))
	}
	s, ok := o.Regime.(Sharder)
	if !ok {
		return errors.Join(append(errs, registry.Field("rounds", "every and steps need shards: set merge.regime.type to data"))...)
	}
	if _, trunk := s.Deal(); !trunk && o.Rounds.Start == rounds.StartTrunk {
		errs = append(errs, registry.Field("rounds.start", "there is no trunk: set merge.regime.trunk_steps, or start fresh"))
	}
	return errors.Join(errs...)
}

// Validate reports every option out of range.
func (f Finetune) Validate() error {
	var errs []error
	if f.Epochs < 0 {
		errs = append(errs, registry.Field("epochs", "must not be negative"))
	}
	if !(f.LearningRate > 0) {
		errs = append(errs, registry.Field("learning_rate", "must be above 0"))
	}
	if f.Teacher != NoTeacher && f.Teacher != TeacherParents && f.Teacher != TeacherSelf {
		errs = append(errs, registry.Field("teacher", "must be none, parents or self"))
	}
	return errors.Join(errs...)
}
