package schedule

import (
	"errors"
	"fmt"
	"math"

	"github.com/splice-ml/splice/configs/registry"
)

func init() { Types.Register("plateau", Plateau{Factor: 0.1, Threshold: 1e-6, MinLR: 1e-6}) }

// Plateau multiplies the rate by factor when the monitored metric has not improved by more than threshold for more than
// patience evaluations (PyTorch's ReduceLROnPlateau with an absolute threshold). The defaults are FuxiCTR's: the rate
// falls to a tenth at each evaluation that is not better by 1e-6, never below 1e-6.
type Plateau struct {
	Factor    float64 `yaml:"factor"`    // what the rate is multiplied by, in (0, 1)
	Patience  int     `yaml:"patience"`  // evaluations without improvement that are let pass
	Threshold float64 `yaml:"threshold"` // smallest change of the metric that counts as an improvement
	Cooldown  int     `yaml:"cooldown"`  // evaluations after a reduction that are not counted
	MinLR     float64 `yaml:"min_lr"`    // the rate is never reduced below it
}

// New implements [Options].
func (o Plateau) New(lr float64, higherIsBetter bool) Schedule {
	return &plateau{Plateau: o, higher: higherIsBetter, s: State{LR: lr}}
}

// Validate implements the check of a config section.
func (o Plateau) Validate() error {
	return errors.Join(
		registry.InOpen("factor", o.Factor, 0, 1),
		registry.AtLeast("patience", o.Patience, 0),
		registry.AtLeast("threshold", o.Threshold, 0),
		registry.AtLeast("cooldown", o.Cooldown, 0),
		registry.AtLeast("min_lr", o.MinLR, 0),
	)
}

type plateau struct {
	Plateau
	higher bool
	s      State
}

func (p *plateau) LR(Progress) float64 { return p.s.LR }

// Eval counts an evaluation; a NaN never improves.
func (p *plateau) Eval(v float64) {
	s := &p.s
	better := v < s.Best-p.Threshold
	if p.higher {
		better = v > s.Best+p.Threshold
	}
	if !s.Seen {
		better = !math.IsNaN(v)
	}
	if better {
		s.Best, s.Seen, s.Bad = v, true, 0
	} else {
		s.Bad++
	}
	if s.Cooldown > 0 {
		s.Cooldown--
		s.Bad = 0
	}
	if s.Bad > p.Patience {
		// A rate that is already below min_lr (train.learning_rate is) stays as it is: it must not rise here.
		s.LR = min(s.LR, max(s.LR*p.Factor, p.MinLR))
		s.Cooldown, s.Bad = p.Plateau.Cooldown, 0
	}
}

func (p *plateau) State() State { return p.s }

func (p *plateau) Load(s State) error {
	if !(s.LR > 0 && s.LR <= p.s.LR) || math.IsNaN(s.Best) || s.Bad < 0 || s.Bad > p.Patience || s.Cooldown < 0 || s.Cooldown > p.Cooldown {
		return fmt.Errorf("schedule: load: state %+v is not one of a plateau", s)
	}
	p.s = s
	return nil
}
