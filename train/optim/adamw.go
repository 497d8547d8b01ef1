package optim

func init() {
	Types.Register("adamw", AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.01})
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it. It decays the weights by
// w −= lr·weight_decay·w before the update, and not through the gradient.
type AdamW struct {
	Beta1       float64 `yaml:"beta1"`        // decay of the mean of the gradient, in [0, 1)
	Beta2       float64 `yaml:"beta2"`        // decay of the mean of its square, in [0, 1)
	Eps         float64 `yaml:"eps"`          // added to the denominator
	WeightDecay float64 `yaml:"weight_decay"` // times the learning rate, the part of w that a step takes off
}

// New implements [Options].
func (o AdamW) New() *Optimizer {
	return newOptimizer("adamw", &adam{beta1: o.Beta1, beta2: o.Beta2, eps: o.Eps}, 0, o.WeightDecay)
}

// Validate implements the check of a config section.
func (o AdamW) Validate() error { return Adam(o).Validate() }
