package train

import "github.com/splice-ml/splice/train/schedule"

// Length says how long a training goes on, and how the learning rate changes over that time.
type Length struct {
	Epochs   int
	MaxSteps int64
	Schedule schedule.Options
	Patience int
}

// Length returns how long a training by o goes on.
func (o Options) Length() Length { return Length{o.Epochs, o.MaxSteps, o.Schedule, o.Patience} }

// Derive returns the options of another training by o's recipe, such as the one that goes on from a merge. How a step is made and
// how a model is chosen on validation rows stay as they are. The length is the new one. Options that only a run of its own can use
// are off: weights of its epochs, and averages of its weights.
func (o Options) Derive(l Length) Options {
	o.Epochs, o.MaxSteps, o.Schedule, o.Patience = l.Epochs, l.MaxSteps, l.Schedule, l.Patience
	o.KeepEpochs, o.EMA, o.SWAStart = false, 0, 0
	return o
}
